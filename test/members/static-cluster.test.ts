import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Members, get, leaderOf, put, stop, until, waitStatus, type Member } from './harness.ts'

const members = new Members()
const all: Member[] = []
const acknowledged = new Map<string, string>()
let flags: readonly string[] = []

const others = (member: Member): Member[] => all.filter((other) => other !== member)

async function write(through: Member, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const [key, value] = [`key-${acknowledged.size}`, `value-${acknowledged.size}`]
    await put(through, key, value)
    acknowledged.set(key, value)
  }
}

async function assertAllReadable(from: Member): Promise<void> {
  for (const [key, value] of acknowledged) assert.equal(await get(from, key), value, key)
}

before(async () => {
  for (const name of ['a', 'b', 'c']) all.push(await members.create(name))
  const cluster = all.map((member) => `${member.name}=${member.peerUrl}`).join(',')
  flags = [`--initial-cluster=${cluster}`, '--initial-cluster-token=test']
  for (const member of all) members.start(member, flags)
})
after(() => members.close())

test('three members start from etcd’s flags and agree; what one takes, all can read', async () => {
  const leader = await leaderOf(all)
  for (const follower of others(leader)) await write(follower, 5)
  for (const member of all) await assertAllReadable(member)
})

test('SIGKILL of the leader: the others go on, it comes back as itself, nothing acknowledged is lost', async () => {
  const leader = await leaderOf(all)
  await write(leader, 10)
  await stop(leader, 'SIGKILL')
  const next = await leaderOf(others(leader))
  await write(next, 10)
  members.start(leader, flags)
  const { commitIndex } = await waitStatus(next, 'leads', (status) => status.role === 'leader')
  await waitStatus(leader, 'has caught up', (status) => status.appliedIndex >= commitIndex)
  await assertAllReadable(leader)
})

test('SIGTERM of the leader: leadership is handed on, exit code 0, no election is waited for', async () => {
  const leader = await leaderOf(all)
  await write(leader, 5)
  const started = Date.now()
  assert.equal(await stop(leader, 'SIGTERM'), 0)
  assert.ok(Date.now() - started < 8000, 'within the grace period')
  assert.match(leader.output, /"stopped"/)
  const next = await leaderOf(others(leader))
  await assertAllReadable(next)
  members.start(leader, flags)
  await waitStatus(leader, 'follows again', (status) => status.leader !== '' && status.appliedIndex > 0)
})

test('all killed at once: they come back with everything that was acknowledged', async () => {
  await write(await leaderOf(all), 10)
  await Promise.all(all.map((member) => stop(member, 'SIGKILL')))
  for (const member of all) members.start(member, flags)
  const leader = await leaderOf(all)
  await until('writable again', () => write(leader, 1).then(() => true))
  await assertAllReadable(leader)
})
