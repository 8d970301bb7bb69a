/** A store that is found damaged while the member runs: what it does with its log, its disk and its peers' snapshots. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { Term } from '../../lib/ids.ts'
import { hashState } from '../../node-server/mvcc/testing/hash-state.ts'
import { KEEP_ALL, MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import { States } from '../simulation/volume.ts'
import { boot } from './after-crash.ts'
import { CLUSTER, computeHistory, LEADER, SNAPSHOTS, type History } from './history.ts'
import { askForVote, entries, feed, incoming, LEADER_TERM, sendAppend, sendSnapshot } from './leader.ts'
import { bootstrapPlan, MemberProcess, OWN, PATHS } from './member-process.ts'
import { nothingPromised } from './promises.ts'

let states: States
let history: History
before(async () => {
  states = new States()
  history = await computeHistory(states)
})

/** A member that has the history up to entry 30, and then reads a damaged store. */
async function damaged(disk = new MemoryDisk()): Promise<{ process: MemberProcess; disk: MemoryDisk }> {
  const process = new MemberProcess({ disk, states }, nothingPromised())
  assert.ok((await process.lifecycle.start(bootstrapPlan(CLUSTER))).ok)
  await feed(process, 2, 30)
  process.backend?.damage()
  await sendAppend(process, { prevIndex: 30, entries: entries(31, 32), commit: 32 })
  await process.until('it starts again without its store', () => isWithoutStore(process))
  return { process, disk }
}

function isWithoutStore(process: MemberProcess): boolean {
  const status = process.lifecycle.running?.replica.status()
  return status?.damage !== undefined && status.appliedIndex === 0
}

test('it puts the store aside, acknowledges, votes, says that it is not ready, and applies nothing', async () => {
  const { process, disk } = await damaged()
  assert.deepEqual(await disk.list(PATHS.db), ['damaged-0'])
  const answer = await sendAppend(process, { prevIndex: 32, entries: entries(33, 34), commit: 33 })
  assert.deepEqual([answer.isRejected, answer.index, answer.needsSnapshot], [false, 34, true])
  assert.equal(await askForVote(process, LEADER, LEADER_TERM + 1, 34), true)
  assert.match(process.lifecycle.notReadyReason() ?? '', /its store is damaged .*waiting for another from the leader/)
  assert.equal(process.lifecycle.status().members.length, 0, 'what it knew is gone')
  assert.equal(process.node.store.appliedIndex, 0)
  assert.equal(process.fatal, undefined)
})

test('a snapshot becomes its store, the log goes on from there, and nothing else is left', async () => {
  const { process, disk } = await damaged()
  await sendAppend(process, { prevIndex: 32, entries: entries(33, 45), commit: 45 })
  await sendSnapshot(process, history, SNAPSHOTS[1])
  await process.until('the rest of the log is applied', () => process.node.store.appliedIndex === 45)
  assert.equal(hashState(process.node.store), history.hashes.get(45))
  await process.lifecycle.stop()
  assert.deepEqual(await disk.list(PATHS.db), ['store-40'])
})

test('a snapshot that comes before the store is put aside is refused, and sent again', async () => {
  const process = new MemberProcess({ disk: new MemoryDisk(), states }, nothingPromised())
  assert.ok((await process.lifecycle.start(bootstrapPlan(CLUSTER))).ok)
  await feed(process, 2, 30)
  const { node } = process
  process.backend?.damage()
  assert.throws(() => node.members(), { name: 'StoreDamaged' })
  const { meta, bytes } = history.snapshots.get(SNAPSHOTS[1]) ?? assert.fail()
  const message = { kind: 'snapshot-request', from: LEADER, to: OWN, term: Term(LEADER_TERM), snapshot: meta } as const
  await assert.rejects(node.onSnapshot(incoming(message, bytes)), /the damaged store is being put aside/)
  await process.until('it starts again without its store', () => isWithoutStore(process))
  await sendSnapshot(process, history, SNAPSHOTS[1])
})

test('killed meanwhile, it goes on without its store at the next start too', async () => {
  const { process, disk } = await damaged()
  process.disk.kill()
  const machine = { disk: disk.crash(KEEP_ALL), states }
  const next = new MemberProcess(machine, nothingPromised())
  assert.deepEqual(await boot(next), { found: 'a member' })
  assert.ok(isWithoutStore(next))
  const answer = await sendAppend(next, { prevIndex: 32, entries: [], commit: 32 })
  assert.equal(answer.needsSnapshot, true)
  await sendSnapshot(next, history, SNAPSHOTS[1])
  assert.equal(hashState(next.node.store), history.hashes.get(40))
})

test('a member that is its whole cluster ends, with what to do', async () => {
  const process = new MemberProcess({ disk: new MemoryDisk(), states }, nothingPromised())
  const plan = bootstrapPlan(CLUSTER)
  const members = plan.members.filter(({ id }) => id === OWN)
  assert.ok((await process.lifecycle.start({ ...plan, members })).ok)
  await process.until('it leads', () => process.node.isLeading)
  process.backend?.damage()
  assert.throws(() => process.node.members(), { name: 'StoreDamaged' })
  await process.clock.pass(1000)
  assert.match(
    String(process.fatal),
    /the store is damaged \(.*store-0\), and this member is its whole cluster: restore a saved snapshot, or remove/,
  )
})

test('one that no leader sends a store for long ends too', async () => {
  const { process } = await damaged()
  await process.clock.pass(599_000)
  assert.equal(process.fatal, undefined)
  await process.clock.pass(2000)
  assert.match(String(process.fatal), /no leader has sent another one: restore a saved snapshot, or remove the member/)
})
