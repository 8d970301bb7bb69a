/**
 * A segment: all that was changed after one revision and up to another, in one object that is written whole.
 *
 *   segment   "raftkvC1" (8) ‖ SHA-256 of all that follows (32) ‖ size of the head (4) ‖ head, as JSON ‖ block*
 *   block     size (4) ‖ rows, compressed by zstd
 *   row       size (4) ‖ tag (1): 0 put, 1 delete ‖ mvccpb.KeyValue; of a delete only key and mod_revision are set
 *
 * A row after its size is what the store itself keeps of a change (mvcc/key-value.ts). Rows stand in the order in which the
 * changes were made, so the position of a row in its revision is its sub-revision.
 */
import { createHash } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { z } from 'zod'
import { ByteReader, ByteWriter, MalformedBytes } from '../../../lib/bytes.ts'
import { KeyValue } from '../../proto/generated/etcd/kv.ts'

const MAGIC = Buffer.from('raftkvC1')
const DIGEST_SIZE_BYTES = 32
/** A later format gets another number; what is only added does not. */
const FORMAT = 1
/** Rows are compressed when there are so many bytes of them. */
const BLOCK_BYTES = 1024 * 1024
/** Of a block as it is read: its rows and one more, which may be as long as the longest request. */
const MAX_BLOCK_BYTES = 16 * 1024 * 1024

const revision = z.int().min(0)
const point = z.object({ revision, fingerprint: z.string() })

const headJson = z.object({
  format: z.literal(FORMAT),
  clusterId: z.string(),
  /** The segment has what came after it. */
  after: point,
  /** All of this revision is in the segment, and nothing later. */
  last: point,
  /** SHA-256 of the segment before it; none at the beginning of a chain. */
  former: z.string().optional(),
  marks: z.array(z.object({ atMs: z.int(), revision })),
  leases: z.array(z.object({ id: z.string(), ttlSeconds: z.int().min(1) })),
  rows: z.int().min(1),
})

export type SegmentHead = Omit<z.infer<typeof headJson>, 'format'>

/**
 * A place in the history of a cluster. The fingerprint is of the last change of that revision: two histories that differ there
 * are told apart by it. Empty where it is not known, or the revision has no change.
 */
export type Point = z.infer<typeof point>

/** At that time the cluster was at that revision. */
export interface Mark {
  readonly atMs: number
  readonly revision: number
}

/** Of a lease that a change of the segment names. */
export type GrantedLease = SegmentHead['leases'][number]

export interface Row {
  readonly isDelete: boolean
  /** Encoded mvccpb.KeyValue. */
  readonly keyValue: Buffer
}

export interface Segment {
  readonly head: SegmentHead
  /** Of all of its bytes. */
  readonly sha256: string
  readonly bytes: Buffer
}

export function fingerprintOf(row: Row): string {
  return createHash('sha256').update(encodeRow(row)).digest('hex')
}

function encodeRow({ isDelete, keyValue }: Row): Buffer {
  return Buffer.concat([Buffer.of(isDelete ? 1 : 0), keyValue])
}

/** Rows on their way into a segment, compressed as they come. */
export class Blocks {
  readonly #finished: Buffer[] = []
  readonly #open = new ByteWriter(BLOCK_BYTES)
  #finishedBytes = 0
  rows = 0

  /** What they take in memory. */
  get sizeBytes(): number {
    return this.#finishedBytes + this.#open.lengthBytes
  }

  add(row: Row): void {
    this.#open.bytes(encodeRow(row))
    this.rows += 1
    if (this.#open.lengthBytes >= BLOCK_BYTES) this.#finish()
  }

  #finish(): void {
    const block = zstdCompressSync(this.#open.finish())
    this.#finished.push(block)
    this.#finishedBytes += block.length
  }

  end(): readonly Buffer[] {
    if (this.#open.lengthBytes > 0) this.#finish()
    return this.#finished
  }
}

export function encodeSegment(head: SegmentHead, blocks: readonly Buffer[]): Segment {
  const body = new ByteWriter().bytes(Buffer.from(JSON.stringify({ format: FORMAT, ...head })))
  for (const block of blocks) body.bytes(block)
  const rest = body.finish()
  const bytes = Buffer.concat([MAGIC, createHash('sha256').update(rest).digest(), rest])
  return { head, bytes, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/** Throws `MalformedBytes` when anything is not as it was written, and for a segment of a later format. */
export function decodeSegment(bytes: Buffer): Segment {
  const reader = new ByteReader(bytes)
  if (!Buffer.from(reader.raw(MAGIC.length)).equals(MAGIC)) throw new MalformedBytes('it is no segment')
  const digest = reader.raw(DIGEST_SIZE_BYTES)
  const rest = bytes.subarray(MAGIC.length + DIGEST_SIZE_BYTES)
  if (!createHash('sha256').update(rest).digest().equals(digest)) throw new MalformedBytes('its digest is another')
  const head = headJson.safeParse(JSON.parse(Buffer.from(reader.bytes()).toString('utf8')))
  if (!head.success) throw new MalformedBytes('it is of a later version, or its head is not understood')
  const { format: _, ...known } = head.data
  return { head: known, bytes, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/** In the order in which the changes were made. Throws `MalformedBytes`. */
export function* rowsOf({ bytes }: Segment): Generator<Row> {
  const reader = new ByteReader(bytes.subarray(MAGIC.length + DIGEST_SIZE_BYTES))
  reader.bytes()
  while (reader.remainingBytes > 0) {
    const rows = new ByteReader(zstdDecompressSync(reader.bytes(), { maxOutputLength: MAX_BLOCK_BYTES }))
    while (rows.remainingBytes > 0) {
      const row = Buffer.from(rows.bytes())
      yield { isDelete: row[0] === 1, keyValue: row.subarray(1) }
    }
  }
}

export function decodeKeyValue({ keyValue }: Row): KeyValue {
  try {
    return KeyValue.decode(keyValue)
  } catch (cause) {
    throw new MalformedBytes(`a change that is no KeyValue: ${String(cause)}`)
  }
}
