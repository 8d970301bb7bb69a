/** The admin API as the operator uses it, on one cluster from its first member to its last change. Each test goes on from the one before. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ADMIN_PATHS, type AdminMember } from '../../lib/admin-api.ts'
import { eventually, leaderOf, Rig, type AdminAnswer, type MemberProcess } from './member-process.ts'

const CLUSTER_ID = '1c'
const FLAGS = ['--initial-cluster-state=wait', '--snapshot-count=100']
/** More than are kept for slow followers: 5000 and the snapshot count. */
const ENTRIES_BEYOND_LOG = 5400
const BATCH = 300

interface Operation {
  readonly path: string
  readonly body: { readonly operationId: string }
  readonly answer: AdminAnswer['body']
}

let rig: Rig
let members: MemberProcess[] = []
/** Everything that was carried out, with its first answer. */
const done: Operation[] = []

before(async () => {
  rig = await Rig.open()
  for (const name of ['m0', 'm1', 'm2']) members.push(await rig.member(name))
  await Promise.all(members.map((member) => member.start(FLAGS)))
})
after(() => rig.close())

const at = (index: number): MemberProcess => {
  const member = members[index]
  assert.ok(member !== undefined)
  return member
}
const asMember = ({ name, peerURL }: MemberProcess): { name: string; peerURLs: string[] } => ({
  name,
  peerURLs: [peerURL],
})

async function operate(asked: MemberProcess, path: string, body: Operation['body']): Promise<AdminAnswer['body']> {
  const { code, body: answer } = await asked.post(path, body)
  assert.equal(code, 200, JSON.stringify(answer))
  done.push({ path, body, answer })
  return answer
}

async function configIndex(asked = at(0)): Promise<number> {
  return (await asked.status()).configIndex
}

/** Asked of any member: what was carried out before is answered as then. */
async function repeatAll(asked: MemberProcess): Promise<void> {
  for (const { path, body, answer } of done.filter(
    ({ path }) => path !== ADMIN_PATHS.bootstrap && path !== ADMIN_PATHS.join,
  )) {
    const repeated = await asked.post(path, body)
    assert.deepEqual(repeated, { code: 200, body: answer }, `${asked.name}: ${body.operationId}`)
  }
}

async function addLearner(asked: MemberProcess, joiner: MemberProcess): Promise<string> {
  const added = await operate(asked, ADMIN_PATHS.membership, {
    kind: 'add-learner',
    operationId: `add ${joiner.name}`,
    expectedConfigIndex: await configIndex(asked),
    member: asMember(joiner),
  } as Operation['body'])
  // The answer is the leader's: the member that was asked may apply the change a moment later.
  await eventually(`${asked.name} knows ${joiner.name}`, async () =>
    assert.ok((await configIndex(asked)) >= (added.configIndex ?? Infinity)),
  )
  return added.memberId ?? ''
}

async function join(asked: MemberProcess, joiner: MemberProcess, memberId: string): Promise<void> {
  const { members: known, configIndex: expectedConfigIndex } = await asked.status()
  const body = {
    operationId: `join ${joiner.name}`,
    clusterId: CLUSTER_ID,
    memberId,
    expectedConfigIndex,
    members: known,
  }
  await operate(joiner, ADMIN_PATHS.join, body)
}

async function promote(asked: MemberProcess, name: string, memberId: string): Promise<void> {
  const expectedConfigIndex = await configIndex(asked)
  const body = { kind: 'promote', operationId: `promote ${name}`, expectedConfigIndex, memberId }
  await eventually(`${name} promoted`, () => operate(asked, ADMIN_PATHS.membership, body))
}

async function idOf(member: MemberProcess): Promise<string> {
  return (await member.status()).memberId
}

async function transfer(asked: MemberProcess, target: MemberProcess, operationId: string): Promise<void> {
  const body = { operationId, expectedConfigIndex: await configIndex(asked), memberId: await idOf(target) }
  const answer = await operate(asked, ADMIN_PATHS.leaderTransfer, body)
  assert.equal(answer.leader, await idOf(target))
  await eventually('it leads', async () => assert.equal((await target.status()).role, 'leader'))
}

test('an empty member waits: alive, not ready, without the etcd API, and takes no change', async () => {
  const status = await at(0).status()
  assert.deepEqual([status.role, status.clusterId, status.configIndex], ['waiting', '', 0])
  const ready = await fetch(at(0).adminURL('/readyz'))
  assert.deepEqual([ready.status, await ready.text()], [503, 'waiting to be told to bootstrap or to join\n'])
  await assert.rejects(at(0).etcd.put('a', 'b'))
  const change = { kind: 'remove', operationId: 'early', expectedConfigIndex: 0, memberId: '1' }
  assert.equal((await at(0).post(ADMIN_PATHS.membership, change)).body.code, 'NoLeader')
})

test('bootstrap of a member under the name or the URL of another is refused, and it goes on waiting', async () => {
  const request = { operationId: 'form', clusterId: CLUSTER_ID, expectedConfigIndex: 0 }
  const wrongName = await at(0).post(ADMIN_PATHS.bootstrap, { ...request, member: { ...asMember(at(0)), name: 'm1' } })
  assert.equal(wrongName.code, 400)
  assert.equal(wrongName.body.message, 'this member is m0, not m1')
  const wrongURL = await at(0).post(ADMIN_PATHS.bootstrap, { ...request, member: { ...asMember(at(1)), name: 'm0' } })
  assert.equal(wrongURL.code, 400)
  assert.match(wrongURL.body.message ?? '', /peer URLs are .*, not /)
  assert.equal((await at(0).status()).role, 'waiting')
})

test('bootstrap once: a repeat has the first answer, another cluster ID is a conflict', async () => {
  const body = { operationId: 'form', clusterId: CLUSTER_ID, expectedConfigIndex: 0, member: asMember(at(0)) }
  const first = await operate(at(0), ADMIN_PATHS.bootstrap, body)
  assert.deepEqual((await at(0).post(ADMIN_PATHS.bootstrap, body)).body, first)
  await at(0).isReady()
  const other = await at(0).post(ADMIN_PATHS.bootstrap, { ...body, operationId: 'again', clusterId: 'dead' })
  assert.deepEqual([other.code, other.body.code], [409, 'Conflict'])
  assert.match(other.body.message ?? '', /of cluster 1c: to use the volume for another, empty it first/)
})

test('add-learner, join, promote, twice: three voters', async () => {
  for (const joiner of [at(1), at(2)]) {
    const memberId = await addLearner(at(0), joiner)
    await join(at(0), joiner, memberId)
    await promote(at(0), joiner.name, memberId)
    await joiner.isReady()
  }
  const status = await at(0).status()
  assert.equal(status.voters.length, 3)
  assert.deepEqual(
    status.configHistory.map(({ operationId }) => operationId),
    ['form', 'add m1', 'promote m1', 'add m2', 'promote m2'],
  )
})

test('join to another cluster, or under the name or ID of another member, is refused', async () => {
  const { members: known, configIndex: expectedConfigIndex } = await at(0).status()
  const memberId = await idOf(at(1))
  const body = { operationId: 'stray', clusterId: CLUSTER_ID, memberId, expectedConfigIndex, members: known }
  const otherCluster = await at(1).post(ADMIN_PATHS.join, { ...body, clusterId: 'dead' })
  assert.deepEqual([otherCluster.code, otherCluster.body.code], [409, 'Conflict'])
  const otherName = await at(2).post(ADMIN_PATHS.join, body)
  assert.deepEqual([otherName.code, otherName.body.message], [400, 'this member is m2, not m1'])
  const unknown = await at(1).post(ADMIN_PATHS.join, { ...body, memberId: 'abc' })
  assert.deepEqual([unknown.code, unknown.body.message], [400, 'members does not name abc'])
})

test('a repeat asked of any member is answered with the first result', async () => {
  for (const member of members) await repeatAll(member)
  const join = done.find(({ body }) => body.operationId === 'join m1')
  assert.ok(join !== undefined)
  assert.deepEqual((await at(1).post(ADMIN_PATHS.join, join.body)).body, join.answer)
})

test('a decision on an old configuration is 409 with the index in force, and changes nothing', async () => {
  const current = await configIndex()
  const change = { kind: 'remove', operationId: 'stale', expectedConfigIndex: current - 1, memberId: await idOf(at(2)) }
  for (const member of members) {
    const { code, body } = await member.post(ADMIN_PATHS.membership, change)
    assert.deepEqual([code, body.code, body.configIndex], [409, 'ConfigIndexStale', current])
  }
  const { leader, others } = await leaderOf(members)
  const [target] = others
  assert.ok(target !== undefined)
  const move = { operationId: 'stale move', expectedConfigIndex: current - 1, memberId: await idOf(target) }
  const moved = await leader.post(ADMIN_PATHS.leaderTransfer, move)
  assert.deepEqual([moved.code, moved.body.code, moved.body.configIndex], [409, 'ConfigIndexStale', current])
  assert.equal(await configIndex(), current)
})

test('leadership is transferred by request to any member; repeats of everything are answered by the new leader', async () => {
  const { others } = await leaderOf(members)
  const [target, asked] = others
  assert.ok(target !== undefined && asked !== undefined)
  await transfer(asked, target, 'move 1')
  for (const member of members) await repeatAll(member)
  const again = {
    operationId: 'move to who leads',
    expectedConfigIndex: await configIndex(),
    memberId: await idOf(target),
  }
  const { code, body } = await asked.post(ADMIN_PATHS.leaderTransfer, again)
  assert.deepEqual([code, body.leader], [200, await idOf(target)])
  const nobody = { operationId: 'move to nobody', expectedConfigIndex: await configIndex(), memberId: 'abc' }
  assert.equal((await asked.post(ADMIN_PATHS.leaderTransfer, nobody)).code, 404)
})

test('a change that the healthy voters could not commit afterwards is 412 with the arithmetic', async () => {
  await transfer(at(1), at(0), 'move 2')
  const change = {
    kind: 'remove',
    operationId: 'risky',
    expectedConfigIndex: await configIndex(),
    memberId: await idOf(at(1)),
  }
  await at(2).kill('SIGKILL')
  const { code, body } = await at(1).post(ADMIN_PATHS.membership, change)
  assert.deepEqual([code, body.code], [412, 'QuorumAtRisk'])
  assert.equal(body.message, '2 of 2 voters are needed after the change, 1 are healthy: repair a member first')
  assert.equal((await at(0).status()).voters.length, 3)
  await eventually('the leader misses a voter', async () => {
    const { peers } = await at(0).status()
    assert.equal(peers.filter(({ isActive }) => isActive).length, 1)
  })
})

test('who was away for longer than the log reaches back catches up by a snapshot, to equal content', async () => {
  for (let written = 0; written < ENTRIES_BEYOND_LOG; written += BATCH) {
    await Promise.all(
      Array.from({ length: BATCH }, (_, i) => at(0).etcd.put(`key/${(written + i) % 1000}`, `${written + i}`)),
    )
  }
  await at(2).start(FLAGS)
  await at(2).isReady()
  await eventually('a snapshot arrives', async () => assert.match(at(2).output, /installed a snapshot/))
  const { commitIndex } = await at(0).status()
  await eventually('it has caught up', async () => assert.ok((await at(2).status()).appliedIndex >= commitIndex))
  assert.deepEqual(await at(2).etcd.all('serializable'), await at(0).etcd.all())
})

test('a leader that has its state from a snapshot answers repeats with the first results', async () => {
  await eventually('it can lead', () => transfer(at(0), at(2), 'move 3'))
  await repeatAll(at(2))
})

test('after all members were killed and started again, repeats have the first results', async () => {
  await Promise.all(members.map((member) => member.kill('SIGKILL')))
  await Promise.all(members.map((member) => member.start(FLAGS)))
  await Promise.all(members.map((member) => member.isReady()))
  for (const member of members) await repeatAll(member)
  assert.equal((await at(0).etcd.all()).size, 1000)
})

test('a learner that has nothing yet is not promoted: 412 with its lag; a second one is refused', async () => {
  const joiner = await rig.member('m3')
  const memberId = await addLearner(at(0), joiner)
  const { lastIndex, configIndex: expectedConfigIndex } = await at(0).status()
  const change = { kind: 'promote', operationId: 'too early', expectedConfigIndex, memberId, maxLagEntries: 10 }
  const { code, body } = await at(0).post(ADMIN_PATHS.membership, change)
  assert.deepEqual([code, body.code], [412, 'LearnerLagging'])
  assert.ok((body.lag ?? 0) >= lastIndex, `${body.lag} of ${lastIndex}`)
  const member = { name: 'm4', peerURLs: ['http://127.0.0.1:1'] }
  const second = { kind: 'add-learner', operationId: 'second', expectedConfigIndex, member }
  const refused = await at(0).post(ADMIN_PATHS.membership, second)
  assert.deepEqual([refused.code, refused.body.code], [409, 'Conflict'])
  assert.match(refused.body.message ?? '', /promote or remove it first/)
  members.push(joiner)
  await joiner.start(FLAGS)
  await join(at(0), joiner, memberId)
  await promote(at(0), joiner.name, memberId)
})

test('of changes that are asked for at once and decided on one configuration, one is made and the others are 409', async () => {
  const { leader, others } = await leaderOf(members)
  const [target, ...rest] = others
  assert.ok(target !== undefined)
  const [memberId, expectedConfigIndex] = [await idOf(target), await configIndex(leader)]
  const change = { kind: 'remove', expectedConfigIndex, memberId }
  const answers = await Promise.all(
    ['first', 'second', 'third'].map((operationId) => leader.post(ADMIN_PATHS.membership, { ...change, operationId })),
  )
  const codes = answers.map(({ code, body }) => `${code} ${body.code ?? 'made'}`).toSorted()
  assert.equal(codes[0], '200 made')
  for (const code of codes.slice(1)) assert.match(code, /^409 (ChangeInFlight|ConfigIndexStale)$/)
  await eventually('it knows', async () => assert.equal((await target.status()).role, 'removed'))
  members = [leader, ...rest]
})

test('the leader can be removed too: it says so, others go on, and its directory is of no more use', async () => {
  const { leader, others } = await leaderOf(members)
  const [asked] = others
  assert.ok(asked !== undefined)
  const removed: AdminMember | undefined = (await leader.status()).members.find(({ name }) => name === leader.name)
  await operate(asked, ADMIN_PATHS.membership, {
    kind: 'remove',
    operationId: 'remove leader',
    expectedConfigIndex: await configIndex(leader),
    memberId: removed?.id ?? '',
  } as Operation['body'])
  await eventually('it knows', async () => assert.equal((await leader.status()).role, 'removed'))
  const ready = await fetch(leader.adminURL('/readyz'))
  assert.deepEqual([ready.status, await ready.text()], [503, 'this member was removed from its cluster\n'])
  members = [...others]
  await eventually('others go on', () => asked.etcd.put('after', 'removal'))
  for (const member of members) await repeatAll(member)

  await leader.kill('SIGTERM')
  leader.spawn(FLAGS)
  assert.equal((await leader.ended()).code, 1)
  assert.match(leader.output, /is the directory of a member that its cluster has removed: use an empty directory/)
})
