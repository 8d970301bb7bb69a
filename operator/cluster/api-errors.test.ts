/** Calls to the API server that fail: what was observed is in status, the failure is named, members are looked after. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FINALIZER } from '../api/raft-cluster.ts'
import { AssertionFailed } from '../../lib/assert.ts'
import { KubeError, type KubeProblem } from './ports.ts'
import { reconcile } from './reconcile.ts'
import { assertSettledAt, condition, converge, formed, look, reasonOf, rounds } from './testing/convergence.ts'
import { KEY } from './testing/objects.ts'
import type { ApiCall, World } from './testing/world.ts'

const WEBHOOK =
  'PATCH /apis/apps/v1/namespaces/ns/statefulsets/kv: Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "https://policy.kube-system.svc:443/validate?timeout=10s": dial tcp 10.96.0.7:443: connect: connection refused'
const AFFINITY =
  'PATCH /apis/apps/v1/namespaces/ns/statefulsets/kv: failed to create typed patch object: .spec.template.spec.affinity.nodeAffinity: field not declared in schema'
const unavailable = (message: string): KubeError => new KubeError({ kind: 'unavailable', message })
const isApplyOf =
  (kind: string) =>
  (call: ApiCall): boolean =>
    call.verb === 'apply' && call.kind === kind

test('the service of a webhook for StatefulSets is away while all pods are deleted: the status says both', async () => {
  const world = await formed()
  const isRefused = isApplyOf('StatefulSet')
  world.answer = (call) => (isRefused(call) ? unavailable(WEBHOOK) : undefined)
  world.edit({ podTemplate: { priorityClassName: 'high' } })
  await look(world)
  for (const ordinal of [0, 1, 2]) world.killPod(ordinal)
  await look(world)
  assert.equal(condition(world, 'Ready'), 'False')
  assert.equal(condition(world, 'QuorumLost'), 'True')
  assert.equal(world.status()['readyReplicas'], 0)
  assert.match(reasonOf(world, 'Degraded'), /^ApiServerRefused: StatefulSet kv .*since 2030-.*failed calling webhook/)
  world.answer = () => undefined
  await rounds(world, 20)
  assert.equal(condition(world, 'Ready'), 'True')
  assert.equal(condition(world, 'Degraded'), 'False')
})

test('an affinity that the API server answers with a 500: a lost member is replaced all the same', async () => {
  const world = await formed()
  const isRefused = isApplyOf('StatefulSet')
  world.answer = (call) => (isRefused(call) ? unavailable(AFFINITY) : undefined)
  world.edit({ podTemplate: { affinity: { nodeAffinity: 'none' } } })
  const lost = world.cluster.members.find(({ name }) => name === 'kv-1')?.id
  world.loseVolume(1)
  await rounds(world, 20)
  assert(!world.cluster.voters.includes(lost ?? ''))
  assert.equal(world.cluster.voters.length, 3)
  assert.equal(condition(world, 'Available'), 'True')
  assert.match(reasonOf(world, 'Degraded'), /^ApiServerRefused: StatefulSet kv .*field not declared in schema/)
})

test('a namespace that is being deleted is no trouble: after the first refusal nothing more is asked for there', async () => {
  const world = await formed()
  world.objects.delete('Service/kv-client')
  world.objects.delete('Secret/kv-admin-token')
  const message =
    'services "kv-client" is forbidden: unable to create new content in namespace ns because it is being terminated'
  world.answer = ({ verb }) => (verb === 'apply' ? new KubeError({ kind: 'terminating', message }) : undefined)
  const before = world.calls.length
  const result = await reconcile(world.deps({}), KEY)
  assert.equal(result.kind, 'done')
  const writes = world.calls.slice(before).filter(({ verb }) => !['get', 'list'].includes(verb))
  assert.equal(writes.length, 1)
  assert.equal(condition(world, 'Degraded'), 'False')
})

/** What a cluster may be in the middle of, so that every call of the operator is made in one of them. */
const SITUATIONS: Readonly<Record<string, (world: World) => void>> = {
  'everything is missing or outdated': (world) => {
    for (const name of ['kv-client', 'kv-headless']) world.objects.delete(`Service/${name}`)
    for (const object of ['ServiceAccount/kv', 'PodDisruptionBudget/kv', 'Secret/kv-admin-token'])
      world.objects.delete(object)
    const retention = { whenDeleted: 'Delete', whenScaled: 'Delete' }
    world.edit({ storage: { size: '20Gi', retention }, podTemplate: { priorityClassName: 'high' } })
    // From an operator that kept it for good.
    const object = world.resource()
    world.put({ ...object, metadata: { ...object.metadata, finalizers: [FINALIZER] } })
  },
  'a member is replaced': (world) => world.annotate({ 'raftkv.dev/replace-member': 'kv-0' }),
  'pods are renewed, no budget is wanted': (world) => world.edit({ image: { tag: '2' }, pdb: { enabled: false } }),
}

const isRead = ({ verb }: ApiCall): boolean => verb === 'get' || verb === 'list'
/** Without them nothing is known that a decision could stand on. */
const isEssentialRead = (call: ApiCall): boolean =>
  isRead(call) && ['StatefulSet', 'Secret', 'Pod', 'PersistentVolumeClaim'].includes(call.kind)
const seesMembers = (call: ApiCall): boolean => !isEssentialRead(call) || !['StatefulSet', 'Pod'].includes(call.kind)

async function callsIn(arrange: (world: World) => void): Promise<readonly ApiCall[]> {
  const world = await formed()
  arrange(world)
  world.calls.length = 0
  await converge(world)
  const calls = new Map(world.calls.map(({ verb, kind }) => [`${verb} ${kind}`, { verb, kind, name: '' }]))
  return [...calls.values()].filter(({ kind, verb }) => kind !== 'RaftCluster' || verb === 'patch')
}

function hasRefusals(world: World): boolean {
  const refusals = world.status()['refusals']
  return Array.isArray(refusals) && refusals.length > 0
}

const PROBLEMS: readonly KubeProblem['kind'][] = ['not-found', 'conflict', 'forbidden', 'invalid', 'unavailable']

for (const [index, [situation, arrange]] of Object.entries(SITUATIONS).entries())
  test(`whichever call fails, in whichever way, while ${situation}`, async () => {
    // What is read is the same in all of them.
    const calls = (await callsIn(arrange)).filter((call) => index === 0 || !isRead(call))
    assert(calls.length > 1, `${calls.length} calls`)
    for (const call of calls)
      for (const kind of PROBLEMS) {
        const what = `${call.verb} ${call.kind}: ${kind}`
        const world = await formed()
        const isIt = ({ verb, kind }: ApiCall): boolean => verb === call.verb && kind === call.kind
        const words = `the words of ${what}`
        world.answer = (made) => (isIt(made) ? new KubeError({ kind, message: words }) : undefined)
        const lost = world.cluster.members.find(({ name }) => name === 'kv-2')?.id ?? ''
        arrange(world)
        world.loseVolume(2)
        world.unready.add('kv-1')
        world.calls.length = 0
        await rounds(world, 60)
        const tries = world.calls.filter(isIt).length
        if (tries > 0) {
          assert.equal(condition(world, 'Degraded'), 'True', what)
          assert(reasonOf(world, 'Degraded').includes(words), `${what}: ${reasonOf(world, 'Degraded')}`)
        }
        assert.equal(condition(world, 'Ready'), seesMembers(call) ? 'False' : 'Unknown', what)
        if (!isEssentialRead(call)) assert(!world.cluster.voters.includes(lost), `${what}: a lost member is replaced`)
        if (!isRead(call)) assert(tries <= 30, `${what} is tried ${tries} times in a minute`)
        world.answer = () => undefined
        world.unready.clear()
        world.annotate({})
        world.settleMembers()
        // What was refused is tried again within a minute, so all is well by then, and stays so.
        for (let round = 0; round < 60 && hasRefusals(world); round++) await rounds(world, 1)
        await converge(world)
        assertSettledAt(world, 3)
        assert.deepEqual(world.status()['refusals'], [], what)
      }
  })

test('a refused object is asked ever less often, counted and told of once; an edit is tried at once', async () => {
  const world = await formed()
  const isRefused = isApplyOf('StatefulSet')
  world.answer = (call) => (isRefused(call) ? unavailable(WEBHOOK) : undefined)
  world.edit({ podTemplate: { priorityClassName: 'high' } })
  world.events.length = 0
  world.calls.length = 0
  const triedAt: number[] = []
  const startMs = world.nowMs
  for (let second = 0; second < 300; second++) {
    const before = world.calls.filter(isRefused).length
    const result = await reconcile(world.deps({}), KEY)
    const isTried = world.calls.filter(isRefused).length > before
    assert.equal(result.kind, isTried ? 'retry' : 'done')
    assert((result.requeueAfterMs ?? Infinity) <= 5_000, 'members are looked at as ever')
    if (isTried) triedAt.push((world.nowMs - startMs) / 1000)
    world.tick()
  }
  assert.deepEqual(triedAt, [0, 1, 2, 4, 8, 16, 32, 64, 124, 184, 244])
  assert.deepEqual(world.events, ['Degraded'])
  world.edit({ podTemplate: { priorityClassName: 'higher' } })
  await look(world)
  assert.equal(world.calls.filter(isRefused).length, triedAt.length + 1)
})

test('calls that hang do not keep the status waiting: no object is begun five seconds after the first', async () => {
  const world = await formed()
  for (const name of ['kv-client', 'kv-headless']) world.objects.delete(`Service/${name}`)
  world.objects.delete('ServiceAccount/kv')
  world.answer = ({ verb }) => {
    if (verb !== 'apply') return undefined
    world.nowMs += 10_000
    return unavailable('no answer in 10 s')
  }
  const startMs = world.nowMs
  await look(world)
  assert.equal(world.nowMs - startMs, 10_000)
  assert.match(reasonOf(world, 'Degraded'), /^ApiServerRefused: ServiceAccount kv .*no answer in 10 s/)
})

test('whoever edits the RaftCluster during every look keeps what is to be done from being begun, and nothing from being told', async () => {
  const world = await formed()
  world.edit({ replicas: 1 })
  world.answer = ({ verb, kind }) => {
    if (verb !== 'get' || kind !== 'Service') return undefined
    world.nowMs += 10_000
    world.edit({ pdb: { enabled: world.nowMs % 20_000 === 0 } })
    return unavailable('no answer in 10 s')
  }
  for (let looks = 0; looks < 3; looks++) await reconcile(world.deps({}), KEY)
  assert.equal(world.cluster.members.length, 3)
  assert.equal(world.status()['operation'], undefined)
  assert.match(reasonOf(world, 'Degraded'), /Service kv-(?:headless|client) .*no answer in 10 s/)
  world.answer = () => undefined
  await rounds(world, 40)
  assertSettledAt(world, 1)
})

test('one list that fails once changes no condition but Degraded; Ready is unknown where it goes on', async () => {
  const world = await formed()
  world.answer = ({ verb, kind }) =>
    verb === 'list' && kind === 'Pod' ? unavailable('etcdserver: request timed out') : undefined
  await look(world)
  assert.equal(condition(world, 'Ready'), 'True')
  assert.match(
    reasonOf(world, 'Degraded'),
    /^NotObserved: Pod has been unreadable since .*etcdserver: request timed out/,
  )
  await rounds(world, 16)
  assert.match(reasonOf(world, 'Ready'), /^NotObserved: etcdserver: request timed out/)
  assert.equal(condition(world, 'Ready'), 'Unknown')
  assert.equal(world.status()['readyReplicas'], 3, 'as last seen')
  world.answer = () => undefined
  await look(world)
  assert.equal(condition(world, 'Ready'), 'True')
})

test('an object without what every object of its kind has is not read, and no bug', async () => {
  const world = await formed()
  const set = world.get('StatefulSet', 'kv')
  assert(set !== undefined)
  world.put({ ...set, spec: undefined })
  await look(world)
  assert.match(reasonOf(world, 'Degraded'), /^NotObserved: StatefulSet kv has been unreadable .*unexpected answer/)
  world.put(set)
  await look(world)
  assert.equal(condition(world, 'Degraded'), 'False')
})

test('without the RaftCluster itself there is only the error: nothing is changed, and the look is tried again', async () => {
  for (const kind of PROBLEMS)
    for (const verb of ['get', 'apply status'] as const) {
      const world = await formed()
      world.unready.add('kv-1')
      world.settleMembers()
      world.answer = (call) =>
        call.verb === verb && call.kind === 'RaftCluster' ? new KubeError({ kind, message: 'no' }) : undefined
      const result = await reconcile(world.deps({}), KEY)
      assert.equal(result.kind, 'retry', `${verb} ${kind}`)
      assert.match(String(result.error), /no$/)
      assert.equal(condition(world, 'Ready'), 'True')
      world.answer = () => undefined
      await look(world)
      assert.equal(condition(world, 'Ready'), 'False')
    }
})

for (const [what, bug] of [
  ['a wrong call', new TypeError('x is not a function')],
  ['a failed assertion', new AssertionFailed('members are counted twice')],
] as const) {
  test(`${what} is a bug of this cluster's reconcile: Ready does not stand, and there is an event`, async () => {
    const world = await formed()
    const adminUrl = (): string => {
      throw bug
    }
    await assert.rejects(reconcile({ ...world.deps({}), adminUrl }, KEY), bug)
    assert.match(reasonOf(world, 'Degraded'), new RegExp(`^InternalError: .*${bug.message}`))
    assert.equal(condition(world, 'Ready'), 'Unknown')
    assert.ok(
      world.events.some((event) => event.startsWith('InternalError')),
      world.events.join(),
    )
    await look(world)
    assert.equal(condition(world, 'Ready'), 'True')
  })
}
