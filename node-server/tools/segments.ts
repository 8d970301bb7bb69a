/** The log's files part by part, for those who want to see what is there rather than to go on from it. */
import { join } from 'node:path'
import type { Disk } from '../storage/disk.ts'
import { isTorn, isZero, readBatch, type WalRecord } from '../storage/record.ts'
import { SEGMENT_NAME } from '../storage/wal-replay.ts'

export type SegmentPart =
  | {
      readonly kind: 'batch'
      readonly offset: number
      readonly batchNumber: number
      readonly records: readonly WalRecord[]
    }
  /** Zeros written ahead. */
  | { readonly kind: 'unused'; readonly offset: number; readonly sizeBytes: number }
  /** Ends the segment: what comes behind cannot be told apart. Torn: it was never written in full. */
  | { readonly kind: 'bad'; readonly offset: number; readonly problem: string; readonly isTorn: boolean }

export interface SegmentFile {
  readonly name: string
  readonly bytes: Buffer
}

export async function* readSegments(disk: Disk, directory: string): AsyncIterable<SegmentFile> {
  const names = (await disk.list(directory)).filter((name) => SEGMENT_NAME.test(name))
  for (const name of names) yield { name, bytes: await disk.readFile(join(directory, name)) }
}

export function* partsOf(bytes: Buffer): Iterable<SegmentPart> {
  for (let offset = 0; offset < bytes.length;) {
    const read = readBatch(bytes, offset)
    if (read.kind === 'bad') {
      if (isZero(bytes, offset, bytes.length)) yield { kind: 'unused', offset, sizeBytes: bytes.length - offset }
      else yield { kind: 'bad', offset, problem: read.problem, isTorn: isTorn(bytes, offset) }
      return
    }
    yield { kind: 'batch', offset, batchNumber: read.batchNumber, records: read.records }
    offset = read.endOffset
  }
}
