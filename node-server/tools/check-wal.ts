/** The log's part of `check`: every segment read to its end, then replayed as a start would. */
import { formatId } from '../../lib/ids.ts'
import type { StoredIdentity } from '../storage/data-directory.ts'
import type { Disk } from '../storage/disk.ts'
import type { WalRecord } from '../storage/record.ts'
import { replay, type WalContents } from '../storage/wal-replay.ts'
import { damage, note, REPLACE_MEMBER, type Finding } from './finding.ts'
import { partsOf, readSegments, type SegmentFile } from './segments.ts'
import { counted, humanSize } from './words.ts'

export interface WalCheck {
  /** Undefined when a start would refuse the log. */
  readonly contents: WalContents | undefined
  readonly facts: readonly string[]
  readonly findings: readonly Finding[]
}

export async function checkWal(disk: Disk, directory: string, identity: StoredIdentity | undefined): Promise<WalCheck> {
  const facts: string[] = []
  const findings: Finding[] = []
  for await (const segment of readSegments(disk, directory)) facts.push(segmentFact(segment))
  const contents = await replay(disk, directory)
  if (!contents.ok) return { contents: undefined, facts, findings: [damage(contents.error)] }
  const { state, entries, tornBytes } = contents.value
  const { base, hardState } = state
  const last = entries.at(-1)
  const range =
    last === undefined ? 'no entries' : `entries ${base.index + 1} to ${last.index}, the last of term ${last.term},`
  facts.push(
    `log: ${range} behind entry ${base.index} (term ${base.term}); term ${hardState.term}, vote ${formatId(hardState.vote)}, commit ${hardState.commit}`,
  )
  if (tornBytes > 0) {
    const what = `the last ${counted(tornBytes, 'byte')} of the log were never written in full: a write that was never acknowledged`
    findings.push(note(what, 'nothing: the next start cuts them off'))
  }
  if (identity !== undefined && !isSame(state.identity, identity)) {
    findings.push(
      damage(
        `the log is that of member ${formatId(state.identity.memberId)} of cluster ${formatId(state.identity.clusterId)} (incarnation ${formatId(state.identity.incarnation)}), identity.json names another: files of two directories are mixed`,
        `put back the log that belongs to this directory; otherwise ${REPLACE_MEMBER}`,
      ),
    )
  }
  return { contents: contents.value, facts, findings }
}

function isSame(a: WalContents['state']['identity'], b: StoredIdentity): boolean {
  return a.clusterId === b.clusterId && a.memberId === b.memberId && a.incarnation === b.incarnation
}

function segmentFact({ name, bytes }: SegmentFile): string {
  const counts = new Map<WalRecord['kind'], number>()
  let batches = 0
  let end = ''
  for (const part of partsOf(bytes)) {
    if (part.kind === 'batch') {
      batches += 1
      for (const { kind } of part.records) counts.set(kind, (counts.get(kind) ?? 0) + 1)
    } else if (part.kind === 'bad') {
      end = `; at byte ${part.offset} ${part.isTorn ? 'torn' : 'DAMAGED'}: ${part.problem}`
    }
  }
  const records = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')
  return `segment ${name}: ${humanSize(bytes.length)}, ${counted(batches, 'batch', 'batches')} with whole checksums (${records})${end}`
}
