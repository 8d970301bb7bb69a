/** `dump DIR`: the log in words, a line for each record, in the order in which it was written. */
import { memberPaths } from '../storage/data-directory.ts'
import type { Disk } from '../storage/disk.ts'
import type { WalRecord } from '../storage/record.ts'
import { describeRecord } from './describe-record.ts'
import { partsOf, readSegments, type SegmentPart } from './segments.ts'
import type { ExitCode, ToolIo } from './tool-io.ts'
import { counted } from './words.ts'

export interface DumpFlags {
  /** Only entries from this index on, and none of the other records. */
  readonly from: number | undefined
  readonly to: number | undefined
  readonly values: boolean
}

export async function runDump(io: ToolIo, disk: Disk, dataDirectory: string, flags: DumpFlags): Promise<ExitCode> {
  const { wal } = memberPaths(dataDirectory)
  let segments = 0
  let isDamaged = false
  for await (const { name, bytes } of readSegments(disk, wal)) {
    segments += 1
    for (const part of partsOf(bytes)) {
      isDamaged ||= part.kind === 'bad' && !part.isTorn
      for (const line of linesOf(part, flags)) {
        if (!(await io.out.write(`${name} ${part.offset} ${line}\n`))) return 0 // nobody reads any more
      }
    }
  }
  if (segments === 0) {
    await io.err.write(`Error: there is no log in ${wal}\n`)
    return 1
  }
  if (isDamaged) await io.err.write('Error: the log is damaged: `check` says what that means\n')
  return isDamaged ? 1 : 0
}

function* linesOf(part: SegmentPart, flags: DumpFlags): Iterable<string> {
  switch (part.kind) {
    case 'batch':
      for (const record of part.records) {
        if (isAsked(record, flags))
          yield `batch=${part.batchNumber} ${describeRecord(record, { hasValues: flags.values })}`
      }
      return
    case 'unused':
      if (flags.from === undefined && flags.to === undefined) yield `unused ${counted(part.sizeBytes, 'byte')}`
      return
    case 'bad':
      yield part.isTorn
        ? `torn: ${part.problem}; it was never written in full, and a start cuts it off if this is the last segment`
        : `damaged: ${part.problem}`
  }
}

function isAsked(record: WalRecord, { from, to }: DumpFlags): boolean {
  if (from === undefined && to === undefined) return true
  if (record.kind !== 'entry') return false
  const { index } = record.entry
  return (from === undefined || index >= from) && (to === undefined || index <= to)
}
