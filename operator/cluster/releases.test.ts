/** What members are made like moves with their image, and the image when somebody says so, whatever release the operator is of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Form } from './form.ts'
import { KubeError, type KubeObject } from './ports.ts'
import { FORMS } from './resources/forms.ts'
import { memberObjects } from './resources/stateful-set.ts'
import { assertSettledAt, condition, converge, formed, look, reasonOf, rounds } from './testing/convergence.ts'
import { Crash } from './testing/hooks.ts'
import { field } from './testing/objects.ts'
import type { World } from './testing/world.ts'

const restart = { 'raftkv.dev/restartedAt': '2030-01-01' }

const laterForm: Form = (cluster, image) => {
  const { labels, pod, claim } = memberObjects(cluster, image)
  const more = { later: 'yes' }
  return {
    labels: { ...labels, ...more },
    pod: { ...pod, terminationGracePeriodSeconds: 60 },
    claim: { ...claim, metadata: { ...claim.metadata, labels: more } },
  }
}

function upgrade(world: World): void {
  world.defaultImage = 'image:2'
  world.forms = [...FORMS, laterForm]
}

function takeBack(world: World): void {
  world.defaultImage = 'image:1'
  world.forms = FORMS
}

function set(world: World): KubeObject {
  const found = world.get('StatefulSet', 'kv')
  assert(found !== undefined)
  return found
}

/** The image, and whether the template is the later form's. */
function madeLike(world: World): readonly [image: string | undefined, isLater: boolean] {
  const template = field(field(set(world), 'spec'), 'template')
  const image = /"image":"([^"]*)"/.exec(JSON.stringify(template))?.[1]
  const isLater = field(template, 'spec')['terminationGracePeriodSeconds'] === 60
  assert.equal(field(field(template, 'metadata'), 'labels')['later'] === 'yes', isLater)
  return [image, isLater]
}

const claims = (world: World): unknown => field(set(world), 'spec')['volumeClaimTemplates']

test('an operator that is upgraded and taken back changes nothing, nor does an edit of anything but the image', async () => {
  const world = await formed()
  const before = set(world)
  for (const release of [upgrade, takeBack, upgrade]) {
    release(world)
    await rounds(world, 5)
    assert.deepEqual([set(world), world.restarts], [before, []])
  }
  world.edit({ resources: { requests: { cpu: '1' } } })
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(world.restarts.length, 3)
  assert.deepEqual(madeLike(world), ['image:1', false])
  takeBack(world)
  world.annotate(restart)
  await converge(world)
  assert.deepEqual([world.restarts.length, ...madeLike(world)], [6, 'image:1', false])
})

test('a new cluster is of the operator that makes it, also if another one goes on after the first moment', async () => {
  for (const looks of [0, 1, 2, 5]) {
    const world = await formed({ replicas: 0 })
    upgrade(world)
    world.objects.delete('StatefulSet/kv')
    world.put({ ...world.resource(), status: undefined })
    world.edit({ replicas: 3 })
    await rounds(world, looks)
    if (looks > 0) takeBack(world)
    await converge(world)
    assert.deepEqual(madeLike(world), ['image:2', true], `${looks} looks`)
  }
})

test('where spec.image moves the form moves with it; claims stay as they are', async () => {
  const world = await formed()
  upgrade(world)
  const before = claims(world)
  world.edit({ image: { tag: '2' } })
  await converge(world)
  assertSettledAt(world, 3)
  assert.deepEqual(madeLike(world), ['image:2', true])
  assert.deepEqual(claims(world), before)
})

test('an earlier operator leaves a form that it does not know alone and says so; all else goes on', async () => {
  const world = await formed()
  upgrade(world)
  world.edit({ image: { tag: '2' } })
  await converge(world)
  takeBack(world)
  const template = field(field(set(world), 'spec'), 'template')
  world.edit({ replicas: 5, resources: { requests: { cpu: '1' } } })
  await converge(world)
  assert.deepEqual(world.cluster.voters.length, 5)
  assert.deepEqual(field(field(set(world), 'spec'), 'template'), template)
  const words = new RegExp(`^TemplateKept: .*form ${FORMS.length + 1}, and this one knows ${FORMS.length}`)
  assert.match(reasonOf(world, 'UpToDate'), words)
  assert.equal(condition(world, 'UpToDate'), 'Unknown')
  world.edit({ replicas: 3 })
  await converge(world)
  assert.equal(world.cluster.voters.length, 3)
  upgrade(world)
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(condition(world, 'UpToDate'), 'True')
  takeBack(world)
  world.edit({ image: { tag: '1' } })
  await converge(world)
  assertSettledAt(world, 3)
  assert.deepEqual(madeLike(world), ['image:1', false])
})

test('an image that does not start is taken back by an edit, also by one that only removes it: image and form are as before', async () => {
  const world = await formed()
  upgrade(world)
  world.broken.add('image:bad')
  world.edit({ image: { tag: 'bad' } })
  await rounds(world, 5)
  assert.deepEqual(madeLike(world), ['image:bad', true])
  world.edit({ image: {} })
  await converge(world)
  assertSettledAt(world, 3)
  assert.deepEqual(madeLike(world), ['image:1', false])
  world.edit({ image: { tag: '3' } })
  await converge(world)
  world.edit({ image: {} })
  await converge(world)
  assert.deepEqual(madeLike(world), ['image:3', true], 'never an older one unasked')
})

test('fields about pods that are not known leave the pod template alone', async () => {
  const world = await formed()
  const template = field(field(set(world), 'spec'), 'template')
  world.edit({ podTemplate: { hostNetwork: true }, replicas: 5 })
  await converge(world)
  assert.equal(world.cluster.voters.length, 5)
  assert.deepEqual(field(field(set(world), 'spec'), 'template'), template)
  assert.match(reasonOf(world, 'UpToDate'), /^TemplateKept: .*spec\.podTemplate\.hostNetwork/)
  world.edit({ podTemplate: {}, replicas: 3 })
  await converge(world)
  assertSettledAt(world, 3)
})

test('a template that is refused holds up no count: the last one that was accepted is used', async () => {
  const world = await formed()
  const refuse = (isRefused: boolean): void => {
    world.answer = ({ verb, kind }) =>
      isRefused && verb === 'apply' && kind === 'StatefulSet'
        ? new KubeError({ kind: 'invalid', message: 'no PriorityClass with name none was found' })
        : undefined
  }
  refuse(true)
  world.edit({ podTemplate: { priorityClassName: 'none' }, replicas: 5 })
  await converge(world)
  assert.equal(world.cluster.voters.length, 5)
  assert.match(reasonOf(world, 'Degraded'), /^ApiServerRefused: StatefulSet kv .*no PriorityClass/)
  world.edit({ replicas: 3 })
  await rounds(world, 30)
  assert.deepEqual(
    [world.cluster.voters.length, world.replicas(), world.all('PersistentVolumeClaim').length],
    [3, 3, 3],
  )
  assert.deepEqual(world.restarts, [])
  refuse(false)
  await rounds(world, 60)
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(world.restarts.length, 3)
})

test('kubectl rollout restart of the StatefulSet restarts the members, one at a time, the leader last, once', async () => {
  const world = await formed()
  const { leader } = world.cluster
  const last = world.cluster.members.find(({ id }) => id === leader)?.name
  const { spec, ...rest } = set(world)
  const template = field(field({ spec }, 'spec'), 'template')
  const metadata = field(template, 'metadata')
  const annotations = { ...field(metadata, 'annotations'), 'kubectl.kubernetes.io/restartedAt': '2030-01-01T00:00:00Z' }
  world.put({
    ...rest,
    spec: { ...field({ spec }, 'spec'), template: { ...template, metadata: { ...metadata, annotations } } },
  })
  await look(world)
  assert.match(reasonOf(world, 'UpToDate'), /^RollingOut/)
  await converge(world)
  assertSettledAt(world, 3)
  assert.deepEqual([world.restarts.length, world.restarts.at(-1)], [3, last])
  await rounds(world, 10)
  assert.equal(world.restarts.length, 3)
})

/** As left by an operator that recorded no defaults. */
function fromBefore(world: World): void {
  const { base, ...status } = world.status()
  const { defaults, ...others } = field({ base }, 'base')
  assert(defaults !== undefined)
  world.put({ ...world.resource(), status: { ...status, base: others } })
}

test('a cluster from before TLS was the default stays in plaintext, without a NetworkPolicy, until its spec says otherwise', async () => {
  const world = await formed()
  world.edit({ tls: undefined, networkPolicy: undefined })
  fromBefore(world)
  await rounds(world, 10)
  world.edit({ resources: { requests: { cpu: '1' } } })
  await rounds(world, 30)
  assertSettledAt(world, 3)
  assert.equal(world.status()['tls'], undefined)
  assert.deepEqual(world.all('NetworkPolicy'), [])
  assert.equal(field(world.status(), 'base')['defaults'], undefined)
  world.edit({ tls: { peer: { mode: 'Auto' } }, networkPolicy: { enabled: true } })
  await rounds(world, 120)
  const { peer, client } = field(world.status(), 'tls')
  assert.deepEqual([field({ peer }, 'peer')['phase'], field({ client }, 'client')['phase']], ['Required', 'Disabled'])
  assert.equal(world.all('NetworkPolicy').length, 1)
})

test('a new cluster has TLS and a NetworkPolicy unasked, recorded with its ID, wherever its operator ends', async () => {
  const made = async (): Promise<World> => {
    const world = await formed({ replicas: 0 })
    for (const key of ['StatefulSet/kv', 'NetworkPolicy/kv']) world.objects.delete(key)
    world.put({ ...world.resource(), spec: { replicas: 1 }, status: undefined })
    return world
  }
  for (let call = 0; call < 12; call++) {
    const world = await made()
    let calls = 0
    const after = (): void => {
      if (calls++ === call) throw new Crash()
    }
    for (let round = 0; round < 4; round++) {
      await look(world, { after })
      world.tick()
    }
    await converge(world)
    assertSettledAt(world, 1)
    assert.deepEqual(field(world.status(), 'base')['defaults'], { tls: 'Auto', networkPolicy: true })
    assert.match(reasonOf(world, 'TLSReady'), /^Ready: /, `after call ${call}`)
    assert.equal(world.all('NetworkPolicy').length, 1)
    assert.deepEqual(world.restarts, [], 'from its first moment')
  }
})
