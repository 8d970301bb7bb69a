/**
 * `check DIR`: whether a data directory is sound, and what its member would do at its next start. It reads everything and
 * changes nothing, under the lock that a member holds.
 */
import { unreachable } from '../../lib/assert.ts'
import { LogIndex, Term, formatId } from '../../lib/ids.ts'
import {
  damagedStores,
  nameOf,
  newestStore,
  receivedPath,
  receivedSnapshots,
  storePath,
} from '../node/maintenance/store-name.ts'
import { memberPaths, readIdentity, type MemberPaths, type StoredIdentity } from '../storage/data-directory.ts'
import type { Disk } from '../storage/disk.ts'
import { lockDirectory } from '../storage/lock.ts'
import { foundLog, foundStore, recover, termInLog, type FoundStore } from '../storage/recovery.ts'
import { realVolume } from '../storage/volume.ts'
import type { WalContents } from '../storage/wal-replay.ts'
import { checkWal } from './check-wal.ts'
import { damage, note, type Finding } from './finding.ts'
import { inspectStore, type StoreInspection } from './store-inspection.ts'
import type { ExitCode, ToolIo } from './tool-io.ts'
import { counted } from './words.ts'

interface Report {
  readonly facts: string[]
  readonly findings: Finding[]
}

export async function runCheck(io: ToolIo, disk: Disk, directory: string): Promise<ExitCode> {
  if ((await disk.list(directory)).length === 0) {
    await io.err.write(`Error: there is nothing in ${directory}\n`)
    return 2
  }
  const lock = await lockDirectory(directory)
  if (!lock.ok) {
    await io.err.write(`Error: ${lock.error}\n`)
    return 2
  }
  try {
    const report = await inspectDirectory(disk, directory)
    await io.out.write(format(directory, report))
    return report.findings.some(({ isDamage }) => isDamage) ? 1 : 0
  } finally {
    await lock.value.release()
  }
}

async function inspectDirectory(disk: Disk, directory: string): Promise<Report> {
  const report: Report = { facts: [], findings: [] }
  const paths = memberPaths(directory)
  const identity = await checkIdentity(disk, directory, report)
  if (identity === 'empty') return report
  const wal = await checkWal(disk, paths.wal, identity)
  report.facts.push(...wal.facts)
  report.findings.push(...wal.findings)
  const opened = await checkStore(disk, paths, report)
  if (opened === 'former') return report
  const store = 'kind' in opened ? undefined : opened
  const snapshots = await checkSnapshots(disk, paths, report)
  if (identity !== undefined && store !== undefined) checkMembership(identity, store, report)
  if (wal.contents !== undefined) {
    if (store !== undefined) checkAgainstLog(wal.contents, store, report)
    if (identity?.isRemoved !== true) decideStart(wal.contents, opened, snapshots, report)
  }
  return report
}

async function checkIdentity(
  disk: Disk,
  directory: string,
  report: Report,
): Promise<StoredIdentity | 'empty' | undefined> {
  const identity = await readIdentity(disk, directory)
  if (!identity.ok) {
    report.findings.push(damage(identity.error))
    return undefined
  }
  if (identity.value === undefined) {
    report.facts.push('no member has been created here: a start treats it as an empty directory')
    return 'empty'
  }
  const { name, memberId, clusterId, incarnation, isRemoved } = identity.value
  report.facts.push(
    `member ${name} (${formatId(memberId)}) of cluster ${formatId(clusterId)}, incarnation ${formatId(incarnation)}`,
  )
  if (isRemoved) {
    report.findings.push(
      note(
        'the cluster has removed this member',
        'a start refuses the directory: delete it when nobody needs its data',
      ),
    )
  }
  return identity.value
}

/** Why there is no store to look at. */
type NoStore = Exclude<FoundStore, { kind: 'there' }>

async function checkStore(
  disk: Disk,
  paths: MemberPaths,
  report: Report,
): Promise<StoreInspection | NoStore | 'former'> {
  const former = await realVolume.stores.former(paths.db)
  if (former.length > 0) {
    const advice = 'start the member, which takes it over, and check again when it has stopped'
    report.findings.push(note(`the store is one of the version before (${former.join(', ')})`, advice))
    return 'former'
  }
  const newest = await newestStore(disk, paths)
  const [damaged] = await damagedStores(disk, paths)
  if (newest === undefined && damaged !== undefined) {
    report.findings.push(
      note(`the store was found damaged before (${damaged})`, 'start the member while a leader is there'),
    )
    return { kind: 'damaged', problem: damaged }
  }
  if (newest === undefined) {
    report.findings.push(damage(`there is no store in ${paths.db}`))
    return { kind: 'missing' }
  }
  const inspected = await inspectStore(storePath(paths, newest))
  if (!inspected.ok) {
    report.findings.push(damage(inspected.error.problem))
    return { kind: inspected.error.isDamaged ? 'damaged' : 'unreadable', problem: nameOf(newest) }
  }
  const { value: store } = inspected
  const compacted = store.compactedRevision < 0 ? 'never compacted' : `compacted to ${store.compactedRevision}`
  report.facts.push(
    `${nameOf(newest)}: ${counted(store.keys, 'key')}, ${counted(store.revisions, 'stored revision')}, at revision ${store.revision}, ${compacted}; applied up to entry ${store.appliedIndex} (term ${store.appliedTerm})`,
    `configuration of entry ${store.configIndex}: voters ${store.voters.join(', ') || 'none'}; learners ${store.learners.join(', ') || 'none'}`,
    ...store.members.map(
      ({ id, name, peerURLs, isLearner }) => `  ${id} ${name} ${peerURLs.join(',')}${isLearner ? ' (learner)' : ''}`,
    ),
  )
  report.findings.push(...store.problems.map((problem) => damage(`the store contradicts itself: ${problem}`)))
  return store
}

/** Taken in from the leader, and not installed when the process ended: the sound ones. */
async function checkSnapshots(disk: Disk, paths: MemberPaths, report: Report): Promise<readonly LogIndex[]> {
  const sound: LogIndex[] = []
  for (const index of await receivedSnapshots(disk, paths)) {
    const path = receivedPath(paths, index)
    const inspected = await inspectStore(path)
    const problem = inspected.ok ? inspected.value.problems[0] : inspected.error.problem
    const holds = inspected.ok ? inspected.value.appliedIndex : index
    if (problem !== undefined) report.findings.push(damage(`the snapshot of entry ${index} is damaged: ${problem}`))
    else if (holds !== index) report.findings.push(damage(`the snapshot of entry ${index} holds entry ${holds}`))
    else {
      sound.push(index)
      report.facts.push(`snapshot of entry ${index}, received from the leader and not installed`)
    }
  }
  return sound
}

function checkMembership({ memberId }: StoredIdentity, store: StoreInspection, report: Report): void {
  const own = formatId(memberId)
  if (store.removedMembers.includes(own)) {
    report.findings.push(note('the log says that the cluster has removed this member', 'a start refuses the directory'))
  } else if (store.configIndex > 0 && !store.members.some(({ id }) => id === own)) {
    // Its entry may be behind the snapshot that it began with: a member that joins knows it last.
    report.findings.push(
      note('the store does not know this member yet', 'nothing: the log brings it when it has caught up'),
    )
  }
}

function checkAgainstLog(contents: WalContents, store: StoreInspection, report: Report): void {
  const term = termInLog(contents, store.appliedIndex)
  if (term !== undefined && store.appliedIndex > 0 && term !== store.appliedTerm) {
    report.findings.push(
      damage(`the store has entry ${store.appliedIndex} of term ${store.appliedTerm}, the log has it of term ${term}`),
    )
  }
}

function decideStart(
  contents: WalContents,
  store: StoreInspection | NoStore,
  snapshots: readonly LogIndex[],
  report: Report,
): void {
  const log = foundLog(contents)
  const { lastIndex } = log
  const found =
    'kind' in store
      ? store
      : foundStore(contents, { index: LogIndex(store.appliedIndex), term: Term(store.appliedTerm) })
  const recovery = recover({ log, store: found, snapshots })
  switch (recovery.kind) {
    case 'run': {
      const toApply = recovery.commitIndex - (found.kind === 'there' ? found.appliedIndex : 0)
      report.facts.push(
        `a start would run: ${toApply === 0 ? 'the store is up to date' : `${counted(toApply, 'committed entry', 'committed entries')} of the log would be applied to the store`}, and ${counted(lastIndex - recovery.commitIndex, 'entry', 'entries')} await the leader's word`,
      )
      return
    }
    case 'install-snapshot':
      report.facts.push(`a start would install the snapshot of entry ${recovery.index} as the store`)
      return
    case 'run-without-store':
      report.facts.push('a start would run without the store, and ask the leader for another one')
      return
    case 'refuse':
      report.facts.push('a start would refuse this directory')
      report.findings.push(damage(recovery.reason))
      return
    default:
      unreachable(recovery)
  }
}

function format(directory: string, { facts, findings }: Report): string {
  const lines = [directory, ...facts.map((fact) => `  ${fact}`)]
  for (const { isDamage, what, advice } of findings) {
    lines.push(`${isDamage ? 'DAMAGE' : 'note'}: ${what}`, `  what to do: ${advice}`)
  }
  const damages = findings.filter(({ isDamage }) => isDamage).length
  lines.push(damages === 0 ? 'sound: no damage found' : `damaged: ${counted(damages, 'finding')}`)
  return `${lines.join('\n')}\n`
}
