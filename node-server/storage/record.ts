/**
 * The WAL's bytes. One append is one batch: it counts as a whole or not at all.
 *
 *   0           4            8            12                20
 *   ┌───────────┬────────────┬────────────┬─────────────────┬───────────────────┐
 *   │ "RKVW"    │ length (4) │ CRC32C (4) │ batch number (8)│ record ‖ record … │
 *   └───────────┴────────────┴────────────┴─────────────────┴───────────────────┘
 *   length is that of the records; the CRC covers batch number and records. Batch numbers go up by one, across segments.
 *
 *   record: 1 identity    cluster ID (8) ‖ member ID (8) ‖ incarnation (8)
 *           2 hard state  term (8) ‖ vote (8) ‖ commit (8)
 *           3 entry       term (8) ‖ index (8) ‖ is config (1) ‖ length (4) ‖ data
 *           4 base        the log begins behind: index (8) ‖ term (8)
 *
 * An entry replaces any earlier one with its index and all that followed it.
 */
import { unreachable } from '../../lib/assert.ts'
import { ByteReader, ByteWriter, MalformedBytes } from '../../lib/bytes.ts'
import { crc32c } from '../../lib/crc32c.ts'
import { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import type { Entry, HardState } from '../raft/message.ts'

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
export const BATCH_HEADER_SIZE_BYTES = 20
/** Far beyond what one Ready holds; a longer length is damage. */
export const MAX_BATCH_SIZE_BYTES = 1024 * 1024 * 1024

export function encodeBatch(batchNumber: number, records: readonly WalRecord[]): Buffer {
  const writer = new ByteWriter(sizeHint(records)).raw(MAGIC).u32(0).u32(0).u53(batchNumber)
  for (const record of records) writeRecord(writer, record)
  const bytes = writer.finish()
  bytes.writeUInt32BE(bytes.length - BATCH_HEADER_SIZE_BYTES, 4)
  bytes.writeUInt32BE(crc32c(bytes.subarray(12)), 8)
  return bytes
}

function sizeHint(records: readonly WalRecord[]): number {
  let sizeBytes = BATCH_HEADER_SIZE_BYTES
  for (const record of records) sizeBytes += record.kind === 'entry' ? record.entry.data.length + 22 : 32
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
        .bytes(data)
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
  if (bytes.length - offset < BATCH_HEADER_SIZE_BYTES) return { kind: 'bad', problem: 'the header is cut off' }
  if (!bytes.subarray(offset, offset + 4).equals(MAGIC))
    return { kind: 'bad', problem: 'the mark of a batch is missing' }
  const length = bytes.readUInt32BE(offset + 4)
  const endOffset = offset + BATCH_HEADER_SIZE_BYTES + length
  if (length > MAX_BATCH_SIZE_BYTES || endOffset > bytes.length) return { kind: 'bad', problem: 'the batch is cut off' }
  const body = bytes.subarray(offset + 12, endOffset)
  if (crc32c(body) !== bytes.readUInt32BE(offset + 8)) return { kind: 'bad', problem: 'the checksum does not match' }
  try {
    const reader = new ByteReader(body)
    const batchNumber = reader.u53()
    const records: WalRecord[] = []
    while (reader.remainingBytes > 0) records.push(readRecord(reader))
    return { kind: 'batch', batchNumber, records, endOffset }
  } catch (error) {
    if (error instanceof MalformedBytes) return { kind: 'bad', problem: error.message }
    throw error
  }
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
      const kind = reader.u8() === 1 ? 'config' : 'normal'
      return { kind: 'entry', entry: { ...head, kind, data: reader.bytes() } }
    }
    case 4:
      return { kind: 'base', base: { index: LogIndex(reader.u53()), term: Term(reader.u53()) } }
    default:
      throw new MalformedBytes(`there is no WAL record of kind ${code}`)
  }
}

/** The number of a whole batch somewhere behind `offset`, if there is one: a sign that the damage before it is no torn tail. */
export function findLaterBatch(bytes: Buffer, offset: number, minBatchNumber: number): number | undefined {
  for (let at = bytes.indexOf(MAGIC, offset); at !== -1; at = bytes.indexOf(MAGIC, at + 1)) {
    const found = readBatch(bytes, at)
    if (found.kind === 'batch' && found.batchNumber >= minBatchNumber) return found.batchNumber
  }
  return undefined
}
