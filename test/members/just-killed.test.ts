/** Members that were killed a moment ago, by those who then ask for a change at once: nobody counts who does not answer now. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ADMIN_PATHS } from '../../lib/admin-api.ts'
import { eventually, leaderOf, Rig, type AdminAnswer, type Cluster, type MemberProcess } from './member-process.ts'

const UNHEALTHY = { code: 14, details: 'etcdserver: unhealthy cluster' }
const NOT_STARTED = {
  code: 2,
  details: 'etcdserver: re-configuration failed due to not enough started members',
}
/** What requests have that nobody decides: 5 s and two of the election timeouts that members are started with. */
const REQUEST_TIMEOUT_MS = 6000

let rig: Rig
let three: Cluster

before(async () => {
  rig = await Rig.open()
  three = await rig.cluster(['a', 'b', 'c'])
})
after(() => rig.close())

const idOf = async (member: MemberProcess): Promise<string> => (await member.status()).memberId

let operations = 0
async function change(asked: MemberProcess, kind: 'remove' | 'add-learner', about: object): Promise<AdminAnswer> {
  const { configIndex: expectedConfigIndex } = await asked.status()
  return asked.post(ADMIN_PATHS.membership, { kind, operationId: `op ${++operations}`, expectedConfigIndex, ...about })
}

async function restart(member: MemberProcess, { flags }: Cluster): Promise<void> {
  await member.start(flags)
  await member.isReady()
}

async function parts(
  cluster: Cluster,
): Promise<{ leader: MemberProcess; one: MemberProcess; other: MemberProcess; oneId: string; otherId: string }> {
  const { leader, others } = await leaderOf(cluster.members)
  const [one, other] = others
  assert.ok(one !== undefined && other !== undefined)
  return { leader, one, other, oneId: await idOf(one), otherId: await idOf(other) }
}

test('three voters, one just killed: a live one is not removed, by either API; the cluster goes on, and the dead one can go', async () => {
  const { leader, one, other, oneId } = await parts(three)
  await eventually('a change would be allowed', async () => {
    await leader.etcd.addMember('http://127.0.0.1:1', true) // etcd's API wants connections that have stood for 5 s
  })
  const { learners } = await leader.status()
  assert.equal((await change(leader, 'remove', { memberId: learners[0] })).code, 200)

  await other.kill('SIGKILL')
  const refused = await change(leader, 'remove', { memberId: oneId })
  assert.deepEqual([refused.code, refused.body.code], [412, 'QuorumAtRisk'])
  await assert.rejects(leader.etcd.removeMember(BigInt(`0x${oneId}`)), UNHEALTHY)
  await assert.rejects(one.etcd.addMember('http://127.0.0.1:1', true), UNHEALTHY)
  await leader.etcd.put('three', 'goes on')
  await restart(other, three)
})

test('the leader just killed: the new one does not remove the other live voter', async () => {
  const { leader, one, other } = await parts(three)
  const ids = new Map([
    [one, await idOf(one)],
    [other, await idOf(other)],
  ])
  await leader.kill('SIGKILL')
  const { leader: next, others } = await leaderOf([one, other])
  const [last] = others
  assert.ok(last !== undefined)
  // A new leader takes no change before its term has begun.
  const refused = await eventually('it takes changes', async () => {
    const answer = await change(next, 'remove', { memberId: ids.get(last) })
    assert.notEqual(answer.body.code, 'ChangeInFlight')
    return answer
  })
  assert.deepEqual([refused.code, refused.body.code], [412, 'QuorumAtRisk'])
  await next.etcd.put('three', 'goes on without its leader')
  await restart(leader, three)
})

test('a transfer to a member that was just killed fails within the time of an election, and the leader goes on', async () => {
  const { leader, other, otherId } = await parts(three)
  const { configIndex: expectedConfigIndex } = await leader.status()
  await other.kill('SIGKILL')
  const startMs = performance.now()
  const body = { operationId: 'to the dead', expectedConfigIndex, memberId: otherId }
  const { code, body: answer } = await leader.post(ADMIN_PATHS.leaderTransfer, body)
  assert.deepEqual([code, answer.code], [412, 'TargetSilent'])
  assert.ok(performance.now() - startMs < REQUEST_TIMEOUT_MS)
  await leader.etcd.put('three', 'is not handed over')
  assert.equal((await leader.status()).role, 'leader')
  const removed = await change(leader, 'remove', { memberId: otherId })
  assert.equal(removed.code, 200, 'the dead one can go')
  await leader.etcd.put('three', 'are two')
})

test('five voters, two just killed: no voter and no learner is added through etcd’s API', async () => {
  const five = await rig.cluster(['v', 'w', 'x', 'y', 'z'])
  const { leader, one, other } = await parts(five)
  await eventually('a change would be allowed', async () => {
    await leader.etcd.addMember('http://127.0.0.1:1', true)
  })
  const { learners } = await leader.status()
  await leader.etcd.removeMember(BigInt(`0x${learners[0]}`))
  await Promise.all([one.kill('SIGKILL'), other.kill('SIGKILL')])
  for (const isLearner of [false, true])
    await assert.rejects(leader.etcd.addMember('http://127.0.0.1:2', isLearner), UNHEALTHY)
  await leader.etcd.put('five', 'go on')
})

test('a single voter gets a second; a third is refused while the second has never started, and works once it has', async () => {
  const first = await rig.member('one')
  await first.start([`--initial-cluster=${first.asFirstMember}`])
  await first.isReady()
  await assert.rejects(first.etcd.removeMember(BigInt(`0x${await idOf(first)}`)), NOT_STARTED)
  const second = await rig.member('two')
  await first.etcd.addMember(second.peerURL)
  await assert.rejects(first.etcd.addMember('http://127.0.0.1:3'), NOT_STARTED)
  await eventually('it leads no more', async () => assert.equal((await first.status()).leader, ''))
  await assert.rejects(first.etcd.addMember('http://127.0.0.1:3'), NOT_STARTED)
  await second.start([
    `--initial-cluster=${first.asFirstMember},${second.asFirstMember}`,
    '--initial-cluster-state=existing',
  ])
  await eventually('the cluster goes on', () => first.etcd.put('one', 'is two'))
})

test('with --strict-reconfig-check=false a change through etcd’s API is made at once, whoever is away', async () => {
  const unchecked = await rig.cluster(['k', 'l', 'm'], ['--strict-reconfig-check=false'])
  const { leader, other, oneId } = await parts(unchecked)
  await other.kill('SIGKILL')
  await leader.etcd.addMember('http://127.0.0.1:1', true)
  await leader.etcd.put('unchecked', 'goes on')
  await leader.etcd.removeMember(BigInt(`0x${oneId}`))
  await eventually('the quorum is lost with it', async () => assert.equal((await leader.status()).leader, ''))
})
