import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  Members,
  exitCode,
  get,
  leaderOf,
  post,
  put,
  status,
  stop,
  until,
  waitStatus,
  type AdminAnswer,
  type Member,
} from './harness.ts'

const TOKEN = 'a-token-of-the-test'
const members = new Members()
const tokenFile = join(members.folder, 'token')
writeFileSync(tokenFile, `${TOKEN}\n`)
const flags = ['--initial-cluster-state=wait', `--admin-token-file=${tokenFile}`]
const all: Member[] = []
/** Requests that succeeded, with what they were answered. */
const answered: { path: string; body: object; answer: AdminAnswer }[] = []
after(() => members.close())

const bootstrapOf = (member: Member): object => ({
  operationId: 'form',
  clusterId: 'abc123',
  expectedConfigIndex: 0,
  member: { name: member.name, peerURLs: [member.peerUrl] },
})

async function startWaiting(name: string): Promise<Member> {
  const member = await members.create(name)
  members.start(member, flags)
  await waitStatus(member, 'waits', ({ role }) => role === 'waiting')
  all.push(member)
  return member
}

async function change(through: Member, path: string, body: object): Promise<AdminAnswer> {
  const answer = await post(through, path, body, TOKEN)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  if (path !== 'join') answered.push({ path, body, answer })
  return answer
}

async function grow(name: string): Promise<Member> {
  const leader = await leaderOf(all)
  const joiner = await startWaiting(name)
  const { configIndex } = await status(leader)
  const added = await change(leader, 'membership', {
    kind: 'add-learner',
    operationId: `add-${name}`,
    expectedConfigIndex: configIndex,
    member: { name, peerURLs: [joiner.peerUrl] },
  })
  const { clusterId, memberId, configIndex: addedIndex } = added.body
  await change(joiner, 'join', {
    operationId: `join-${name}`,
    clusterId,
    memberId,
    expectedConfigIndex: addedIndex,
    members: (await status(leader)).members,
  })
  const promote = { kind: 'promote', operationId: `promote-${name}`, expectedConfigIndex: addedIndex, memberId }
  await until(
    'the learner is close enough',
    async () => (await post(leader, 'membership', promote, TOKEN)).status === 200,
  )
  await change(leader, 'membership', promote)
  return joiner
}

test('a waiting member is alive and not ready, and refuses changes without the token', async () => {
  const first = await startWaiting('m0')
  assert.equal((await fetch(`${first.adminUrl}/livez`)).status, 200)
  assert.equal((await fetch(`${first.adminUrl}/readyz`)).status, 503)
  assert.equal((await post(first, 'bootstrap', bootstrapOf(first))).status, 401)
  assert.equal((await post(first, 'bootstrap', bootstrapOf(first), 'wrong')).status, 401)
  assert.equal((await status(first)).role, 'waiting')
})

test('a member is told to bootstrap only under its own name and URL', async () => {
  const [first] = all
  assert.ok(first !== undefined)
  for (const wrong of [
    { name: 'other', peerURLs: [first.peerUrl] },
    { name: first.name, peerURLs: ['http://127.0.0.1:1'] },
  ]) {
    const answer = await post(first, 'bootstrap', { ...bootstrapOf(first), member: wrong }, TOKEN)
    assert.deepEqual([answer.status, answer.body['code']], [400, 'BadRequest'])
  }
  await change(first, 'bootstrap', bootstrapOf(first))
  await until('it is ready', async () => (await fetch(`${first.adminUrl}/readyz`)).status === 200)
  const other = await post(first, 'bootstrap', { ...bootstrapOf(first), clusterId: 'def456' }, TOKEN)
  assert.deepEqual([other.status, other.body['code']], [409, 'Conflict'], 'it belongs to a cluster already')
})

test('the cluster grows one learner at a time; refusals name the facts', async () => {
  const [first] = all
  assert.ok(first !== undefined)
  await put(first, 'key', 'value')
  await grow('m1')
  await grow('m2')
  const { configIndex, memberId } = await status(first)
  const remove = { kind: 'remove', operationId: 'stale', memberId }
  const stale = await post(first, 'membership', { ...remove, expectedConfigIndex: configIndex - 1 }, TOKEN)
  assert.deepEqual(
    [stale.status, stale.body['code'], stale.body['configIndex']],
    [409, 'ConfigIndexStale', configIndex],
  )
  for (const member of all) assert.equal(await get(member, 'key'), 'value', member.name)
})

test('leadership moves on demand, through any member', async () => {
  const leader = await leaderOf(all)
  const target = all.find((member) => member !== leader)
  assert.ok(target !== undefined)
  const { configIndex } = await status(leader)
  const { memberId } = await status(target)
  await change(target, 'leader-transfer', { operationId: 'move', expectedConfigIndex: configIndex, memberId })
  assert.equal((await leaderOf(all)).name, target.name)
})

async function assertRepeatsAnswerTheSame(): Promise<void> {
  await leaderOf(all)
  for (const member of all) {
    await until(`${member.name} knows the leader`, async () => (await status(member)).leader !== '')
    for (const { path, body, answer } of answered.filter((one) => one.path !== 'bootstrap')) {
      assert.deepEqual(await post(member, path, body, TOKEN), answer, `${member.name}: ${JSON.stringify(body)}`)
    }
  }
}

test('a repeat gets the first result from every member, after a change of leader and after a restart of all', async () => {
  await assertRepeatsAnswerTheSame()
  await Promise.all(all.map((member) => stop(member, 'SIGKILL')))
  for (const member of all) members.start(member, flags)
  await assertRepeatsAnswerTheSame()
})

test('a change that the healthy voters could not commit is refused with the arithmetic', async () => {
  const leader = await leaderOf(all)
  const [down, up] = all.filter((member) => member !== leader)
  assert.ok(down !== undefined && up !== undefined)
  await stop(down, 'SIGKILL')
  const { memberId } = await status(up)
  const refused = await until('the leader misses it', async () => {
    const { configIndex } = await status(leader)
    const answer = await post(
      leader,
      'membership',
      { kind: 'remove', operationId: `risky-${configIndex}`, expectedConfigIndex: configIndex, memberId },
      TOKEN,
    )
    assert.notEqual(answer.status, 200, 'two of two would be needed after it')
    return answer.body['code'] === 'QuorumAtRisk' && answer
  })
  assert.equal(refused.status, 412)
  assert.match(String(refused.body['message']), /2 of 2 voters are needed after the change, 1 are healthy/)
  members.start(down, flags)
  await waitStatus(down, 'is back', ({ leader: known }) => known !== '')
})

test('a removed member says so, and its directory is refused with the reason', async () => {
  const leader = await leaderOf(all)
  const gone = all.find((member) => member !== leader)
  assert.ok(gone !== undefined)
  const { memberId } = await status(gone)
  await until('removed', async () => {
    const { configIndex } = await status(leader)
    const body = { kind: 'remove', operationId: 'remove', expectedConfigIndex: configIndex, memberId }
    return (await post(leader, 'membership', body, TOKEN)).status === 200
  })
  await waitStatus(gone, 'knows', ({ role }) => role === 'removed')
  await stop(gone, 'SIGTERM')
  members.start(gone, flags)
  assert.equal(await exitCode(gone), 1)
  assert.match(gone.output, /a member that its cluster has removed: use an empty directory/)
})
