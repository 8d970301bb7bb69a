import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ADMIN_PATHS } from '../../lib/admin-api.ts'
import { eventually, leaderOf, Rig, type Cluster } from './member-process.ts'

let rig: Rig
let cluster: Cluster

before(async () => {
  rig = await Rig.open()
  cluster = await rig.cluster(['m0', 'm1', 'm2'], ['--initial-cluster-token=recover'])
})
after(() => rig.close())

const requestFor = ({ clusterId, memberId, configIndex }: Awaited<ReturnType<Cluster['members'][0]['status']>>) => ({
  operationId: 'op',
  clusterId,
  memberId,
  expectedConfigIndex: configIndex,
})

test('a member becomes a cluster of its own when its quorum is lost for good: over the admin API, without a restart', async () => {
  const [survivor, ...others] = cluster.members
  assert.ok(survivor !== undefined)
  await survivor.etcd.put('kept', 'value')
  await leaderOf(cluster.members)
  const early = await survivor.post(ADMIN_PATHS.recover, requestFor(await survivor.status()))
  assert.deepEqual([early.code, early.body.code], [409, 'Conflict'], 'not while somebody leads')

  for (const other of others) await other.kill('SIGKILL')
  await eventually('nobody leads', async () => assert.equal((await survivor.status()).leader, ''))
  const before = await survivor.status()
  const stale = await survivor.post(ADMIN_PATHS.recover, { ...requestFor(before), expectedConfigIndex: 0 })
  assert.deepEqual([stale.code, stale.body.configIndex], [409, before.configIndex])
  const other = await survivor.post(ADMIN_PATHS.recover, { ...requestFor(before), memberId: 'abc' })
  assert.equal(other.code, 409)

  const request = requestFor(before)
  // Nobody may take it for a member without data on the way.
  const roles = new Set<string>()
  const watching = new AbortController()
  const looks = (async () => {
    while (!watching.signal.aborted) roles.add((await survivor.status()).role)
  })()
  const answer = await survivor.post(ADMIN_PATHS.recover, request)
  assert.equal(answer.code, 200, JSON.stringify(answer.body))
  await survivor.isReady()
  watching.abort()
  await looks
  assert(!roles.has('waiting') && !roles.has('removed'), [...roles].join())

  const { voters, memberId, clusterId, term, lastTerm = 0 } = await survivor.status()
  assert(lastTerm > (before.lastTerm ?? 0) && lastTerm <= term, `the log ends in term ${lastTerm}, now is ${term}`)
  assert.deepEqual([voters, memberId, clusterId], [[before.memberId], before.memberId, before.clusterId])
  await eventually('clients are served', async () => assert.equal(await survivor.etcd.get('kept'), 'value'))
  await survivor.etcd.put('after', 'value')
  const repeat = await survivor.post(ADMIN_PATHS.recover, request)
  assert.deepEqual([repeat.code, repeat.body.memberId], [200, before.memberId], 'a repeat is a success')
  assert.equal(await survivor.etcd.get('after'), 'value')
})
