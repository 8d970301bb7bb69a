/** The life of a member in steps. Each begins on a disk of its own making and is struck at each of its operations. */
import { LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { assert } from '../../lib/assert.ts'
import type { WalSizes } from '../../node-server/storage/wal.ts'
import { boot } from './after-crash.ts'
import { FOREIGN_LEADER, FOREIGN_TERM, foreignEntry } from './foreign.ts'
import { CLUSTER, LEADER, REMOVAL, SNAPSHOTS, entryAt, termAt, type History } from './history.ts'
import { askForVote, commitTo, entries, feed, sendAppend, sendSnapshot } from './leader.ts'
import { bootstrapPlan, type MemberProcess, type ProcessOptions } from './member-process.ts'

export type Script = (process: MemberProcess, history: History) => Promise<void>

export interface Step {
  readonly name: string
  /** What was done before, without a fault, by processes that were stopped by a crash. */
  readonly before: readonly Script[]
  /** The last process before crashed at the first operation that matches, and all it wrote stayed. */
  readonly crashedAt?: RegExp
  readonly run: Script
  readonly options?: Omit<ProcessOptions, 'strike'>
}

const [FIRST_SNAPSHOT, SECOND_SNAPSHOT] = SNAPSHOTS
const SMALL: WalSizes = { segmentSizeBytes: 1500, preparedSizeBytes: 1024 }
const COMMIT_MS = 1000

const bootstrap: Script = async (process) => {
  const started = await process.lifecycle.start(bootstrapPlan(CLUSTER))
  assert(started.ok, 'it starts')
  process.promised.isCreated = true
}

const join: Script = async (process) => {
  const members = bootstrapPlan(CLUSTER).members
  const plan = { ...bootstrapPlan(CLUSTER), kind: 'join', members } as const
  const started = await process.lifecycle.start(plan)
  assert(started.ok, 'it starts')
  process.promised.isCreated = true
}

const start: Script = async (process) => {
  const { found, refusal } = await boot(process)
  assert(found === 'a member' && refusal === undefined, refusal ?? found)
}

/** After a start: the history's entries. */
const fed =
  (from: number, to: number): Script =>
  async (process) => {
    await start(process, NO_HISTORY)
    await feed(process, from, to)
  }

const NO_HISTORY: History = { hashes: new Map(), stores: new Map(), snapshots: new Map() }

const commitStore: Script = async (process) => {
  await process.clock.pass(COMMIT_MS)
  const { store } = process.node
  await process.until('the store is committed', () => store.committedIndex === store.appliedIndex)
}

const inTurn =
  (...scripts: readonly Script[]): Script =>
  async (process, history) => {
    for (const script of scripts) await script(process, history)
  }

/** Of two candidates in one term only the first gets the vote; then there is a leader of a later term. */
const elections: Script = async (process) => {
  await start(process, NO_HISTORY)
  await feed(process, 2, 8)
  const votes = [
    await askForVote(process, MemberId(2n), 5, 8),
    await askForVote(process, MemberId(3n), 5, 8),
    await askForVote(process, MemberId(3n), 6, 8),
  ]
  assert(votes.join() === 'true,false,true', `votes ${votes.join()}`)
  await sendAppend(process, { prevIndex: 8, entries: entries(9, 11), commit: 8, term: 7 })
}

/** Entries that were never committed are replaced by the next leader's (Raft §5.3). */
const replaced: Script = async (process) => {
  await start(process, NO_HISTORY)
  await sendAppend(process, {
    prevIndex: 25,
    entries: [26, 27, 28].map(foreignEntry),
    commit: 25,
    term: FOREIGN_TERM,
    from: FOREIGN_LEADER,
  })
  await sendAppend(process, { prevIndex: 25, entries: [entryAt(26)], commit: 25 })
  await feed(process, 27, 30)
}

const toTerm2: Script = async (process) => {
  await start(process, NO_HISTORY)
  for (let index = 2; index <= 25; index += 4) {
    const last = Math.min(25, index + 3)
    await sendAppend(process, { prevIndex: index - 1, entries: entries(index, last), commit: last, term: 2 })
  }
}

const removed: Script = async (process) => {
  const config = [entryAt(REMOVAL)]
  await sendAppend(process, { prevIndex: REMOVAL - 1, entries: config, commit: REMOVAL - 1 })
  const commit = { from: LEADER, to: MemberId(1n), term: Term(4), commit: LogIndex(REMOVAL) }
  const place = { prevIndex: LogIndex(REMOVAL), prevTerm: termAt(REMOVAL) }
  process.handlers.onMessages([{ kind: 'append-request', ...commit, ...place, entries: [] }])
  await process.until('the removal is in its directory', () => process.promised.isRemoved)
}

const snapshotInstalled =
  (index: (typeof SNAPSHOTS)[number]): Script =>
  async (process, history) => {
    await sendSnapshot(process, history, index)
  }

const defragmented: Script = async (process) => {
  await process.node.files.defragment()
  await feed(process, 13, 15)
  await process.node.files.defragment()
}

const stopped: Script = async (process) => {
  await commitTo(process, 8)
  await process.lifecycle.stop()
}

/** To a member that has a few entries, all of them in its store's file. */
export const BEFORE_DEEDS: readonly Script[] = [bootstrap, inTurn(fed(2, 9), commitStore)]

const SHORT_LOG = { node: { snapshotCount: 4, catchUpEntries: 3 }, walSizes: SMALL }

export const STEPS: readonly Step[] = [
  { name: 'a directory is made by a bootstrap', before: [], run: bootstrap },
  { name: 'a directory is made by a join', before: [], run: join },
  {
    name: 'a member that joined takes its first snapshot',
    before: [join],
    run: inTurn(start, snapshotInstalled(FIRST_SNAPSHOT)),
  },
  { name: 'entries are appended', before: [bootstrap], run: fed(2, 14) },
  {
    name: 'log segments are begun',
    before: [bootstrap],
    run: fed(2, 24),
    options: { walSizes: SMALL },
  },
  { name: 'votes are given and terms change', before: [bootstrap], run: elections },
  { name: 'entries are replaced by the next leader', before: [bootstrap, toTerm2], run: replaced },
  {
    name: 'the store is committed',
    before: [bootstrap],
    run: inTurn(fed(2, 7), commitStore, (process) => feed(process, 8, 12), commitStore),
  },
  {
    name: 'the log is compacted and its segments are released',
    before: [bootstrap],
    run: inTurn(
      fed(2, 16),
      commitStore,
      (process) => feed(process, 17, 30),
      commitStore,
      (process) => feed(process, 31, 33),
    ),
    options: SHORT_LOG,
  },
  { name: 'the store is defragmented', before: [bootstrap, fed(2, 12)], run: inTurn(start, defragmented) },
  {
    name: 'a snapshot takes the place of an older log',
    before: [bootstrap, inTurn(fed(2, 9), commitStore)],
    run: inTurn(start, snapshotInstalled(SECOND_SNAPSHOT), (process) => feed(process, 41, 44)),
    options: { walSizes: SMALL },
  },
  { name: 'the cluster removes the member', before: [bootstrap, fed(2, REMOVAL - 1)], run: inTurn(start, removed) },
  {
    name: 'a start cuts a torn tail',
    before: [bootstrap, fed(2, 14)],
    crashedAt: /write .*\.wal/,
    run: fed(2, 14),
  },
  {
    name: 'a start begins the segment that a crash left empty',
    before: [bootstrap, fed(2, 24)],
    crashedAt: /write .*2\.wal/,
    run: fed(2, 24),
    options: { walSizes: SMALL },
  },
  {
    name: 'a start installs the snapshot that was accepted',
    before: [bootstrap, fed(2, 9), inTurn(start, snapshotInstalled(SECOND_SNAPSHOT))],
    crashedAt: /rename .*received.*store/,
    run: inTurn(start, (process) => feed(process, 41, 44)),
  },
  { name: 'the process stops as asked', before: [bootstrap], run: inTurn(fed(2, 8), stopped) },
]
