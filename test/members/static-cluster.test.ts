import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { leaderOf, eventually, Rig, type Cluster, type MemberProcess } from './member-process.ts'

/** What the operator gives a pod to end, as Kubernetes does. */
const GRACE_PERIOD_MS = 30_000

let rig: Rig
let cluster: Cluster
/** What the cluster said yes to, over all tests of this file. */
const acknowledged = new Map<string, string>()

before(async () => {
  rig = await Rig.open()
  cluster = await rig.cluster(['infra0', 'infra1', 'infra2'], ['--initial-cluster-token=etcd-cluster-1'])
})
after(() => rig.close())

/** Not tried again: a write whose outcome is not known is left out of what is expected. */
async function write(member: MemberProcess, key: string, value: string): Promise<void> {
  await member.etcd.put(key, value)
  acknowledged.set(key, value)
}

async function hasAllAcknowledged(member: MemberProcess): Promise<void> {
  const all = await member.etcd.all()
  for (const [key, value] of acknowledged) assert.equal(all.get(key)?.split('@')[0], value, key)
}

test('three members from the flags of an etcd tutorial: what is written through one is read from all', async () => {
  const [first, ...others] = cluster.members
  assert.ok(first !== undefined)
  await write(first, 'greeting', 'hello')
  for (const member of others) assert.equal(await member.etcd.get('greeting'), 'hello')
  const { members } = await first.etcd.members()
  assert.deepEqual(members.map(({ name }) => name).toSorted(), ['infra0', 'infra1', 'infra2'])
})

test('a killed leader: writes go on, it comes back as a follower with all of it, and nothing acknowledged is lost', async () => {
  const { leader, others } = await leaderOf(cluster.members)
  const [writer] = others
  assert.ok(writer !== undefined)
  const writes = Array.from({ length: 50 }, (_, i) =>
    write(i % 2 === 0 ? leader : writer, `before/${i}`, `${i}`).catch(() => undefined),
  )
  await writes[10]
  const { signal } = await leader.kill('SIGKILL')
  assert.equal(signal, 'SIGKILL')
  await Promise.all(writes)
  for (let i = 0; i < 5; i++) await eventually('a write without the leader', () => write(writer, `after/${i}`, `${i}`))
  const { leader: next } = await leaderOf(others)
  assert.notEqual(next.name, leader.name)
  await leader.start(cluster.flags)
  await leader.isReady()
  for (const member of cluster.members) await hasAllAcknowledged(member)
  const contents = await Promise.all(cluster.members.map((member) => member.etcd.all('linearizable')))
  assert.deepEqual(contents[0], contents[1])
  assert.deepEqual(contents[0], contents[2])
})

test('SIGTERM of the leader hands leadership on, ends with 0 within the grace period, and loses nothing acknowledged', async () => {
  const { leader, others } = await leaderOf(cluster.members)
  const [writer] = others
  assert.ok(writer !== undefined)
  const before = (await leader.status()).term
  const done = new AbortController()
  let writes = 0
  const writing = (async () => {
    for (; !done.signal.aborted; writes++) await write(writer, `term/${writes}`, `${writes}`).catch(() => undefined)
  })()
  await eventually('some writes', async () => assert.ok(writes > 5))
  const exit = await leader.kill('SIGTERM')
  assert.deepEqual({ code: exit.code, signal: exit.signal }, { code: 0, signal: null }, leader.output.slice(-2000))
  assert.ok(exit.afterMs < GRACE_PERIOD_MS, `${exit.afterMs} ms`)
  const atEnd = writes
  await eventually('writes go on', async () => assert.ok(writes > atEnd + 5))
  done.abort()
  await writing
  const { leader: next } = await leaderOf(others)
  // Handed over, not found out by an election timeout: exactly one term later.
  assert.equal((await next.status()).term, before + 1)
  await leader.start(cluster.flags)
  await leader.isReady()
  await hasAllAcknowledged(leader)
})

test('a fourth member: member add, then --initial-cluster-state=existing', async () => {
  const [first] = cluster.members
  assert.ok(first !== undefined)
  const fourth = await rig.member('infra3')
  const flags = [
    `--initial-cluster=${[...cluster.members, fourth].map((member) => member.asFirstMember).join(',')}`,
    '--initial-cluster-state=existing',
  ]
  fourth.spawn(flags)
  const early = await fourth.ended()
  assert.equal(early.code, 1)
  assert.match(fourth.output, /add it first \(etcdctl member add infra3/)

  // As etcd has it, not before all have been connected for 5 s.
  const added = await eventually('it is added', () => first.etcd.addMember(fourth.peerURL))
  assert.deepEqual(added.member?.peerURLs, [fourth.peerURL])
  await fourth.start(flags)
  await fourth.isReady()
  await hasAllAcknowledged(fourth)
  await eventually('its name is known to all', async () => {
    const { members } = await first.etcd.members()
    assert.deepEqual(members.map(({ name }) => name).toSorted(), ['infra0', 'infra1', 'infra2', 'infra3'])
  })
})

test('member remove of the leader, asked of another member, is answered; it ends as etcd does, and the others go on', async () => {
  const { leader, others } = await leaderOf(cluster.members)
  const [asked] = others
  assert.ok(asked !== undefined)
  const id = BigInt(`0x${(await leader.status()).memberId}`)
  const { members } = await eventually('it is removed', () => asked.etcd.removeMember(id))
  assert.equal(members.length, 3)
  assert.ok(members.every(({ ID }) => ID !== id))
  assert.equal((await leader.ended()).code, 0)
  await eventually('others go on', () => write(asked, 'without', leader.name))
  await hasAllAcknowledged(asked)
  await assert.rejects(asked.etcd.removeMember(id), { code: 5, details: 'etcdserver: member not found' })
})
