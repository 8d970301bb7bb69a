/**
 * The WAL's bytes. One append is one batch: it counts as a whole or not at all.
 *
 *   0        4            8                  16                  20                24
 *   ┌────────┬────────────┬──────────────────┬───────────────────┬─────────────────┬───────────────────┬──────┐
 *   │ "RKVW" │ length (4) │ batch number (8) │ header CRC32C (4) │ body CRC32C (4) │ record ‖ record … │ 0xff │
 *   └────────┴────────────┴──────────────────┴───────────────────┴─────────────────┴───────────────────┴──────┘
 *   length is that of the records. The header CRC covers the 16 bytes before it: a length that can be trusted, and an end
 *   that is not zero, tell a batch that was never written in full from one that was damaged later. The body CRC covers
 *   the records and goes on from the header's. Batch numbers go up by one, across segments.
 *
 *   record: 1 identity    cluster ID (8) ‖ member ID (8) ‖ incarnation (8)
 *           2 hard state  term (8) ‖ vote (8) ‖ commit (8)
 *           3 entry       term (8) ‖ index (8) ‖ is config (1) ‖ length (4) ‖ data
 *           4 base        the log begins behind: index (8) ‖ term (8)
 *
 * An entry replaces any earlier one with its index and all that followed it.
 */
import { assert, unreachable } from '../../lib/assert.ts'
import { ByteReader, ByteWriter, copiedSizeBytes, MalformedBytes, sizeOfParts } from '../../lib/bytes.ts'
import { crc32c } from '../../lib/crc32c.ts'
import { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { MAX_BATCH_SIZE_BYTES } from '../limits.ts'
import type { Entry, EntryKind, HardState } from '../raft/message.ts'

export interface Identity {
  readonly clusterId: ClusterId
  readonly memberId: MemberId
  /** Drawn when the directory is made: tells it from one that was there before under the same IDs. */
  readonly incarnation: bigint
}

export interface LogBase {
  readonly index: LogIndex
  readonly term: Term
}

export type WalRecord =
  | { readonly kind: 'identity'; readonly identity: Identity }
  | { readonly kind: 'hard-state'; readonly hardState: HardState }
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'base'; readonly base: LogBase }

export const MAGIC = Buffer.from('RKVW')
export const BATCH_HEADER_SIZE_BYTES = 24
const END = 0xff
/** What a disk writes as a whole or not at all. */
const SECTOR_SIZE_BYTES = 512

/** In parts, one behind the other: large data is among them, as it lies. */
export function encodeBatch(batchNumber: number, records: readonly WalRecord[]): readonly Buffer[] {
  const writer = new ByteWriter(sizeHint(records)).raw(MAGIC).u32(0).u53(batchNumber).u32(0).u32(0)
  for (const record of records) writeRecord(writer, record)
  const parts = writer.u8(END).parts()
  const length = sizeOfParts(parts) - BATCH_HEADER_SIZE_BYTES - 1
  assert(length <= MAX_BATCH_SIZE_BYTES, () => `a batch of ${length} bytes is more than the log takes at once`)
  const [head] = parts
  assert(head !== undefined, 'a batch has a header')
  head.writeUInt32BE(length, 4)
  const headerCrc = crc32c(head.subarray(0, 16))
  head.writeUInt32BE(headerCrc, 16)
  head.writeUInt32BE(bodyCrc(parts, headerCrc), 20)
  return parts
}

function bodyCrc(parts: readonly Buffer[], headerCrc: number): number {
  let crc = headerCrc
  for (const [i, part] of parts.entries()) {
    const start = i === 0 ? BATCH_HEADER_SIZE_BYTES : 0
    const end = i === parts.length - 1 ? part.length - 1 : part.length
    crc = crc32c(part.subarray(start, end), crc)
  }
  return crc
}

function sizeHint(records: readonly WalRecord[]): number {
  let sizeBytes = BATCH_HEADER_SIZE_BYTES + 1
  for (const record of records) sizeBytes += record.kind === 'entry' ? copiedSizeBytes(record.entry.data) + 22 : 32
  return sizeBytes
}

function writeRecord(writer: ByteWriter, record: WalRecord): void {
  switch (record.kind) {
    case 'identity': {
      const { clusterId, memberId, incarnation } = record.identity
      writer.u8(1).u64(clusterId).u64(memberId).u64(incarnation)
      return
    }
    case 'hard-state': {
      const { term, vote, commit } = record.hardState
      writer.u8(2).u53(term).u64(vote).u53(commit)
      return
    }
    case 'entry': {
      const { term, index, kind, data } = record.entry
      writer
        .u8(3)
        .u53(term)
        .u53(index)
        .u8(Number(kind === 'config'))
        .sharedBytes(data)
      return
    }
    case 'base':
      writer.u8(4).u53(record.base.index).u53(record.base.term)
      return
    default:
      unreachable(record)
  }
}

export type BatchRead =
  | {
      readonly kind: 'batch'
      readonly batchNumber: number
      readonly records: readonly WalRecord[]
      readonly endOffset: number
    }
  /** No whole batch stands at the offset. */
  | { readonly kind: 'bad'; readonly problem: string }

/** Reads the batch at `offset`, never throwing on damage. Entry data shares memory with the input. */
export function readBatch(bytes: Buffer, offset: number): BatchRead {
  const header = readHeader(bytes, offset)
  if (typeof header === 'string') return { kind: 'bad', problem: header }
  const { batchNumber, headerCrc, endOffset } = header
  if (endOffset > bytes.length) return { kind: 'bad', problem: 'the batch is cut off' }
  const body = bytes.subarray(offset + BATCH_HEADER_SIZE_BYTES, endOffset - 1)
  if (crc32c(body, headerCrc) !== bytes.readUInt32BE(offset + 20))
    return { kind: 'bad', problem: 'the checksum does not match' }
  if (bytes[endOffset - 1] !== END) return { kind: 'bad', problem: 'the end mark is missing' }
  try {
    const reader = new ByteReader(body)
    const records: WalRecord[] = []
    while (reader.remainingBytes > 0) records.push(readRecord(reader))
    return { kind: 'batch', batchNumber, records, endOffset }
  } catch (error) {
    if (error instanceof MalformedBytes) return { kind: 'bad', problem: error.message }
    throw error
  }
}

interface BatchHeader {
  readonly batchNumber: number
  readonly headerCrc: number
  /** May lie behind the end of the input. */
  readonly endOffset: number
}

function readHeader(bytes: Buffer, offset: number): BatchHeader | string {
  if (bytes.length - offset < BATCH_HEADER_SIZE_BYTES) return 'the header is cut off'
  if (bytes.compare(MAGIC, 0, 4, offset, offset + 4) !== 0) return 'the mark of a batch is missing'
  const headerCrc = bytes.readUInt32BE(offset + 16)
  if (crc32c(bytes.subarray(offset, offset + 16)) !== headerCrc) return 'the checksum of the header does not match'
  const length = bytes.readUInt32BE(offset + 4)
  const batchNumber = Number(bytes.readBigUInt64BE(offset + 8))
  return { batchNumber, headerCrc, endOffset: offset + BATCH_HEADER_SIZE_BYTES + length + 1 }
}

/**
 * Whether the bad batch at `offset` was never written in full: the file ends within it, or a sector of it is still all
 * zeros. Otherwise all of it was there once, may have been promised, and has been damaged since.
 */
export function isTorn(bytes: Buffer, offset: number): boolean {
  const header = readHeader(bytes, offset)
  const isHeaderBad = typeof header === 'string'
  const endOffset = isHeaderBad ? offset + BATCH_HEADER_SIZE_BYTES + 1 : header.endOffset
  // A written header is followed by the kind of a record, and a written batch ends in its mark: neither is zero.
  if (endOffset > bytes.length || bytes[endOffset - 1] === 0) return true
  for (let at = offset; at < endOffset;) {
    const sectorEnd = Math.min(endOffset, at - (at % SECTOR_SIZE_BYTES) + SECTOR_SIZE_BYTES)
    if (isZero(bytes, at, sectorEnd)) return true
    at = sectorEnd
  }
  return false
}

const ZEROS = Buffer.alloc(64 * 1024)

/** So many zeros, in parts that all are the same memory. */
export function zeroParts(sizeBytes: number): readonly Buffer[] {
  const parts: Buffer[] = []
  for (let left = sizeBytes; left > 0; left -= ZEROS.length) parts.push(ZEROS.subarray(0, Math.min(left, ZEROS.length)))
  return parts
}

/** Whether nothing was ever written from `from` to `to`. */
export function isZero(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += ZEROS.length) {
    const end = Math.min(to, at + ZEROS.length)
    if (bytes.compare(ZEROS, 0, end - at, at, end) !== 0) return false
  }
  return true
}

function readRecord(reader: ByteReader): WalRecord {
  const code = reader.u8()
  switch (code) {
    case 1:
      return {
        kind: 'identity',
        identity: { clusterId: ClusterId(reader.u64()), memberId: MemberId(reader.u64()), incarnation: reader.u64() },
      }
    case 2:
      return {
        kind: 'hard-state',
        hardState: { term: Term(reader.u53()), vote: MemberId(reader.u64()), commit: LogIndex(reader.u53()) },
      }
    case 3: {
      const head = { term: Term(reader.u53()), index: LogIndex(reader.u53()) }
      const kind = readEntryKind(reader)
      return { kind: 'entry', entry: { ...head, kind, data: reader.bytes() } }
    }
    case 4:
      return { kind: 'base', base: { index: LogIndex(reader.u53()), term: Term(reader.u53()) } }
    default:
      throw new MalformedBytes(`there is no WAL record of kind ${code}`)
  }
}

function readEntryKind(reader: ByteReader): EntryKind {
  const code = reader.u8()
  if (code > 1) throw new MalformedBytes(`there is no entry of kind ${code}`)
  return code === 1 ? 'config' : 'normal'
}

/** The number of a whole batch somewhere behind `offset`, if there is one: a sign that the damage before it is no torn tail. */
export function findLaterBatch(bytes: Buffer, offset: number, minBatchNumber: number): number | undefined {
  for (let at = bytes.indexOf(MAGIC, offset); at !== -1; at = bytes.indexOf(MAGIC, at + 1)) {
    const found = readBatch(bytes, at)
    if (found.kind === 'batch' && found.batchNumber >= minBatchNumber) return found.batchNumber
  }
  return undefined
}
