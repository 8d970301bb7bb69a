/** What stands in a member's way is said where people look: in Degraded, in what waits for it, and it clears by itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { podTrouble, PodStatus } from './pod-trouble.ts'
import { KubeError } from './ports.ts'
import { LOOK_AGAIN_ANNOTATION } from './resources/names.ts'
import { condition, converge, formed, look, reasonOf, rounds } from './testing/convergence.ts'
import type { World } from './testing/world.ts'

const NOW = '2030-01-01T00:10:00Z'
const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: '2030-01-01T00:00:00Z' }
const pending = (waiting: object, rest: object = {}): object => ({
  phase: 'Pending',
  conditions: [scheduled],
  containerStatuses: [{ state: { waiting }, ...rest }],
})
const ended = (exitCode: number, reason: string, message = ''): object => ({
  terminated: { exitCode, reason, message, finishedAt: '2030-01-01T00:09:30Z' },
})
const running = (containers: readonly object[], ready = 'False'): object => ({
  phase: 'Running',
  conditions: [{ type: 'Ready', status: ready, lastTransitionTime: '2030-01-01T00:09:50Z' }],
  containerStatuses: containers,
})

const unscheduled = (lastTransitionTime: string): object => ({
  phase: 'Pending',
  conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes are available: …', lastTransitionTime }],
})

const unready = (lastTransitionTime: string): object => ({
  phase: 'Running',
  conditions: [
    { type: 'Ready', status: 'False', lastTransitionTime, message: 'containers with unready status: [raftkv]' },
  ],
  containerStatuses: [{ state: { running: {} } }],
})

const WORDS: readonly (readonly [what: string, status: object, kind: string | undefined, words: RegExp])[] = [
  ['runs and is ready', running([{ ready: true, state: { running: {} } }], 'True'), undefined, /^$/],
  ['has just started', running([{ state: { running: {} } }]), undefined, /^$/],
  [
    'an image that is not there',
    pending({ reason: 'ErrImagePull', message: 'manifest unknown' }),
    'image',
    /^ErrImagePull: manifest unknown$/,
  ],
  [
    'a Secret that is not there',
    pending({ reason: 'CreateContainerConfigError', message: 'secret "x" not found' }),
    'container',
    /secret "x" not found/,
  ],
  [
    'a crash loop, with the last line that was logged',
    running([
      { state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: ended(1, 'Error', 'one\ndisk is full\n') },
    ]),
    'crash',
    /exited with code 1 \(Error\); last line of its log: disk is full$/,
  ],
  [
    'a member’s own line',
    running([{ state: ended(1, 'Error', '{"level":"fatal","msg":"cannot write the log","pid":1}\n') }]),
    'crash',
    /last line of its log: cannot write the log$/,
  ],
  [
    'it came back after a crash and is not ready yet',
    running([{ state: { running: {} }, lastState: ended(139, 'Error') }]),
    'crash',
    /exited with code 139/,
  ],
  [
    'it came back and is ready',
    running([{ ready: true, state: { running: {} }, lastState: ended(139, 'Error') }], 'True'),
    undefined,
    /^$/,
  ],
  ['too little memory', running([{ state: ended(137, 'OOMKilled') }]), 'memory', /ran out of memory \(OOMKilled\)/],
  ['evicted', { phase: 'Failed', reason: 'Evicted', message: 'low on memory' }, 'failed', /^Evicted: low on memory$/],
  ['a volume is being made for it', unscheduled('2030-01-01T00:09:55Z'), undefined, /^$/],
  ['no node for it', unscheduled('2030-01-01T00:09:45Z'), 'unschedulable', /^0\/3 nodes are available/],
  ['not ready for 29 seconds', unready('2030-01-01T00:09:31Z'), undefined, /^$/],
  ['not ready for 30 seconds', unready('2030-01-01T00:09:30Z'), 'not-ready', /unready status/],
]

for (const [what, status, kind, words] of WORDS) {
  test(`a pod's trouble: ${what}`, () => {
    const found = podTrouble(PodStatus.parse(status), Date.parse(NOW))
    assert.equal(found?.kind, kind)
    assert.match(found?.message ?? '', words)
  })
}

function event(world: World, name: string, about: string, reason: string, note: string, at: string): void {
  const metadata = { name, creationTimestamp: at }
  const regarding = { uid: about }
  world.put({ apiVersion: 'events.k8s.io/v1', kind: 'Event', metadata, type: 'Warning', reason, note, regarding })
}

/** As the StatefulSet's controller tells them, whoever refused. */
const REFUSERS: Readonly<Record<string, string>> = {
  'a quota': 'exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2',
  'a LimitRange': 'maximum cpu usage per Container is 1, but limit is 2',
  'an admission policy': "ValidatingAdmissionPolicy 'signed' with binding 'all' denied request: no signature",
  'a webhook': 'admission webhook "w.example.com" denied the request: not here',
  'a webhook that is away': 'failed calling webhook "w.example.com": connect: connection refused',
  'a priority class that is not there': 'no PriorityClass with name none was found',
}

for (const [refuser, words] of Object.entries(REFUSERS))
  test(`the words of ${refuser} are in Degraded, with the pod, and in what waits for it`, async () => {
    const world = await formed()
    world.refusesPods = true
    world.killPod(2)
    world.edit({ replicas: 5 })
    await rounds(world, 1)
    const note = `create Pod kv-2 in StatefulSet kv failed error: pods "kv-2" is forbidden: ${words}`
    event(world, 'e1', world.get('StatefulSet', 'kv')?.metadata.uid ?? '', 'FailedCreate', note, '2030-01-01T00:00:01Z')
    await look(world)
    for (const type of ['Degraded', 'ScaleComplete']) {
      const said = reasonOf(world, type)
      assert(said.includes(words) && said.includes('kv-2'), `${type} is ${said}`)
    }
    assert.match(reasonOf(world, 'Degraded'), /^PodNotCreated: /)
  })

const QUOTA = 'create Pod kv-2 in StatefulSet kv failed error: pods "kv-2" is forbidden: exceeded quota: small'

test('pods that a quota refuses: the condition has its words, its controller gets a reason to look, and it clears', async () => {
  const world = await formed()
  const refusePods = (isRefused: boolean): void => void (world.refusesPods = isRefused)
  refusePods(true)
  world.killPod(2)
  const uid = world.get('StatefulSet', 'kv')?.metadata.uid ?? ''
  event(world, 'e1', uid, 'FailedCreate', QUOTA, '2030-01-01T00:00:01Z')
  await look(world)
  assert.match(reasonOf(world, 'Degraded'), /^PodNotCreated: .*exceeded quota: small/)
  assert.doesNotMatch(reasonOf(world, 'Degraded'), /replace-member/)
  const lookedAt = (): string | undefined =>
    world.get('StatefulSet', 'kv')?.metadata.annotations?.[LOOK_AGAIN_ANNOTATION]
  const first = lookedAt()
  assert.ok(first !== undefined)
  await rounds(world, 10)
  assert.equal(lookedAt(), first, 'not at each look')
  await rounds(world, 10)
  assert.notEqual(lookedAt(), first)
  refusePods(false)
  await converge(world)
  assert.equal(condition(world, 'Ready'), 'True')
  assert.equal(condition(world, 'Degraded'), 'False')
})

test('growth that waits for a pod says why the pod is not there', async () => {
  const world = await formed()
  world.refusesPods = true
  world.edit({ replicas: 5 })
  await rounds(world, 2)
  event(world, 'e1', world.get('StatefulSet', 'kv')?.metadata.uid ?? '', 'FailedCreate', QUOTA, '2030-01-01T00:00:01Z')
  await rounds(world, 1)
  assert.match(reasonOf(world, 'ScaleComplete'), /waits for kv-3 to start: .*exceeded quota: small/)
})

test('what was said before a pod was made is old news; and without the right to read events there are no words', async () => {
  const world = await formed()
  const uid = world.get('StatefulSet', 'kv')?.metadata.uid ?? ''
  event(world, 'e1', uid, 'FailedCreate', QUOTA, '2030-01-01T00:00:01Z')
  event(world, 'e2', uid, 'SuccessfulCreate', 'created', '2030-01-01T00:00:02Z')
  world.killPod(2)
  await look(world)
  assert.doesNotMatch(reasonOf(world, 'Degraded'), /quota/)
  world.objects.delete('Event/e2')
  world.answer = (call) =>
    call.kind === 'Event' ? new KubeError({ kind: 'forbidden', message: 'cannot list events' }) : undefined
  await look(world)
  assert.doesNotMatch(reasonOf(world, 'Degraded'), /quota|events/)
})

test('a crash loop is named instead of the advice to replace the volume, and clears by itself', async () => {
  const world = await formed()
  const pod = world.get('Pod', 'kv-1')
  assert.ok(pod !== undefined)
  const lastState = { terminated: { exitCode: 1, reason: 'Error', message: 'address in use' } }
  const state = { waiting: { reason: 'CrashLoopBackOff' } }
  world.put({ ...pod, status: { phase: 'Running', podIP: 'kv-1', containerStatuses: [{ state, lastState }] } })
  world.unreachable.add('kv-1')
  await look(world)
  assert.match(reasonOf(world, 'Degraded'), /^ContainerCrashed: kv-1 does not stay up: .*address in use/)
  assert.doesNotMatch(reasonOf(world, 'Degraded'), /replace-member/)
  world.unreachable.delete('kv-1')
  world.killPod(1)
  await converge(world)
  assert.equal(condition(world, 'Degraded'), 'False')
})

test('a storage class that is not there: StorageReady has the provisioner’s words', async () => {
  const world = await formed()
  const volume = world.get('PersistentVolumeClaim', 'data-kv-1')
  assert.ok(volume !== undefined)
  world.put({ ...volume, status: { phase: 'Pending' } })
  const note = 'storageclass.storage.k8s.io "fast" not found'
  event(world, 'e1', volume.metadata.uid ?? '', 'ProvisioningFailed', note, '2030-01-01T00:00:01Z')
  await look(world)
  assert.match(
    reasonOf(world, 'StorageReady'),
    /^ProvisioningFailed: data-kv-1 cannot be provisioned: .*"fast" not found/,
  )
})
