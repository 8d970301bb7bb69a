import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ClusterId, LogIndex, MemberId, Term } from '../../../lib/ids.ts'
import { systemClock } from '../../../lib/system-clock.ts'
import { APPLY_SLICE, FLOW, LEASES } from '../../limits.ts'
import { UNOBSERVED } from '../observer.ts'
import { encodeCommand, type Command, type Member } from '../../mvcc/command.ts'
import { isRemovedMember, listMembers } from '../../mvcc/members.ts'
import { readCurrent } from '../../mvcc/read.ts'
import type { Store } from '../../mvcc/store.ts'
import { PutRequest } from '../../proto/generated/etcd/rpc.ts'
import type { Entry, HardState } from '../../raft/message.ts'
import { memberPaths, type StoredIdentity } from '../../storage/data-directory.ts'
import { realDisk } from '../../storage/disk.ts'
import { realVolume } from '../../storage/volume.ts'
import { replay } from '../../storage/wal-replay.ts'
import { Wal } from '../../storage/wal.ts'
import { createDataDirectory, openDataDirectory, type OpenedMember } from '../lifecycle/open.ts'
import { describeTail } from './force-new-cluster.ts'
import { DEFAULT_MAINTENANCE, type NodeOptions } from '../options.ts'

const OWN = MemberId(1n)
const warnings: string[] = []
const OPTIONS: NodeOptions = {
  name: 'm1',
  clientURLs: [],
  heartbeatMs: 100,
  electionMs: 1000,
  snapshotCount: 10_000,
  catchUpEntries: 5000,
  maxLearners: 1,
  isReconfigStrict: true,
  slowApplyMs: 100,
  quotaBytes: 2 ** 31,
  maintenance: DEFAULT_MAINTENANCE,
  maxRequestBytes: 2 ** 20,
  flow: FLOW,
  leases: LEASES,
  applySlice: APPLY_SLICE,
  clock: systemClock,
  observer: UNOBSERVED,
  log: { info: () => undefined, warn: (_, message) => warnings.push(message), error: () => undefined },
  random: () => 0.5,
}

let root: string
before(async () => void (root = await mkdtemp(join(tmpdir(), 'raftkv-force-'))))
after(() => rm(root, { recursive: true, force: true }))

const member = (id: bigint, isLearner = false): Member => {
  return { id: MemberId(id), name: `m${id}`, peerURLs: [`http://127.0.0.1:${id}`], clientURLs: [], isLearner }
}

const put = (index: number, key: string): Entry => ({
  index: LogIndex(index),
  term: Term(2),
  kind: 'normal',
  data: encodeCommand({
    kind: 'put',
    requestId: BigInt(index),
    request: PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from(key) })).finish(),
  }),
})

const config = (index: number, change: Extract<Command, { kind: 'membership' }>['change']): Entry => ({
  index: LogIndex(index),
  term: Term(2),
  kind: 'config',
  data: encodeCommand({ kind: 'membership', requestId: 0n, operationId: '', expectedConfigIndex: undefined, change }),
})

/** A member of three whose log goes on like this, of which what is up to `commit` is known to be committed. */
async function memberOfThree(
  name: string,
  entries: readonly Entry[],
  commit: number,
): Promise<[string, StoredIdentity]> {
  const directory = join(root, name)
  const identity = await createDataDirectory(realVolume, directory, {
    kind: 'bootstrap',
    clusterId: ClusterId(77n),
    memberId: OWN,
    name: 'm1',
    members: [member(1n), member(2n), member(3n)],
    operationId: '',
  })
  const { wal: path } = memberPaths(directory)
  const contents = await replay(realDisk, path)
  assert.ok(contents.ok)
  const wal = await Wal.resume(realDisk, path, contents.value, { segmentSizeBytes: 1 << 20, onSync: () => undefined })
  const hardState: HardState = { term: entries.at(-1)?.term ?? Term(2), vote: OWN, commit: LogIndex(commit) }
  await wal.append(hardState, entries, true)
  await wal.close()
  return [directory, identity]
}

async function open(directory: string, identity: StoredIdentity, isForced: boolean): Promise<OpenedMember> {
  const opened = await openDataDirectory(realVolume, directory, identity, OPTIONS, isForced)
  assert.ok(opened.ok, opened.ok ? '' : opened.error)
  return opened.value
}

async function close(opened: OpenedMember): Promise<void> {
  await opened.store.close()
  await opened.wal.close()
}

const has = (store: Store, key: string): boolean => readCurrent(store, Buffer.from(key)) !== undefined

test('all of the log is kept, known to be committed or not, and the others are removed in a term of their own', async () => {
  const [directory, identity] = await memberOfThree('plain', [put(2, 'known'), put(3, 'last'), put(4, 'too')], 2)
  const opened = await open(directory, identity, true)
  const { raft, store } = opened
  assert.deepEqual([has(store, 'known'), has(store, 'last'), has(store, 'too')], [true, true, true])
  assert.deepEqual(raft.configuration.voters, [OWN])
  assert.deepEqual([raft.term, raft.vote, raft.log.committed, raft.log.applied], [3, OWN, 6, 6])
  assert.match(warnings.at(-1) ?? '', /kept without knowing whether that was committed: entries 3 to 4 of term 2$/)
  assert.deepEqual(
    listMembers(store).map(({ id }) => id),
    [OWN],
  )
  assert.ok(isRemovedMember(store, MemberId(2n)) && isRemovedMember(store, MemberId(3n)))
  await close(opened)

  const again = await open(directory, identity, false)
  assert.deepEqual(again.raft.configuration.voters, [OWN])
  assert.deepEqual([again.raft.term, again.raft.log.committed], [3, 6])
  assert.ok(has(again.store, 'too'))
  await close(again)
})

test('a second start with the flag changes nothing but the term', async () => {
  const [directory, identity] = await memberOfThree('twice', [put(2, 'kept')], 2)
  await close(await open(directory, identity, true))
  const again = await open(directory, identity, true)
  assert.deepEqual([again.raft.term, again.raft.log.committed], [4, 4])
  assert.ok(has(again.store, 'kept'))
  await close(again)
})

test('membership changes that are not yet applied count: who they add is removed too', async () => {
  const change = { kind: 'add', member: member(4n, true) } as const
  const [directory, identity] = await memberOfThree('grown', [put(2, 'kept'), config(3, change)], 2)
  const opened = await open(directory, identity, true)
  assert.deepEqual(opened.raft.configuration, {
    voters: [OWN],
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  })
  assert.ok(isRemovedMember(opened.store, MemberId(4n)))
  await close(opened)
})

test('a crash after the log was written and before the store was: the next start finishes it, with or without the flag', async () => {
  const removals = [2n, 3n].map((id) => ({ kind: 'remove', memberId: MemberId(id) }) as const)
  const forced = removals.map((change, i): Entry => ({ ...config(3 + i, change), term: Term(3) }))
  const [directory, identity] = await memberOfThree('crashed', [put(2, 'kept'), ...forced], 4)
  const without = await open(directory, identity, false)
  // A node applies them, as it does with all that is committed.
  assert.deepEqual([without.raft.log.committed, without.raft.log.applied], [4, 1])
  await close(without)
  const opened = await open(directory, identity, true)
  assert.deepEqual([opened.raft.log.committed, opened.raft.log.applied], [4, 4])
  assert.deepEqual(opened.raft.configuration.voters, [OWN])
  assert.ok(has(opened.store, 'kept'))
  await close(opened)
})

test('a member that has received nothing yet has nothing to go on with', async () => {
  const directory = join(root, 'joiner')
  const identity = await createDataDirectory(realVolume, directory, {
    kind: 'join',
    clusterId: ClusterId(77n),
    memberId: OWN,
    name: 'm1',
    members: [member(1n), member(2n)],
    operationId: '',
  })
  const opened = await openDataDirectory(realVolume, directory, identity, OPTIONS, true)
  assert.ok(!opened.ok)
  assert.match(opened.error, /not yet received any data/)
})

test('what is kept without knowing whether it was committed is said by index and term', () => {
  const entry = (index: number, term: number): Pick<Entry, 'index' | 'term'> => ({
    index: LogIndex(index),
    term: Term(term),
  })
  assert.match(describeTail([]), /^all .* known to be committed$/)
  assert.match(describeTail([entry(12, 3)]), /: entry 12 of term 3$/)
  assert.match(describeTail([entry(12, 3), entry(13, 3), entry(14, 5)]), /: entries 12 to 14 of terms 3 to 5$/)
})
