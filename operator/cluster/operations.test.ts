/** What people ask for, what is refused, and what is said about it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KubeError, type KubeObject } from './ports.ts'
import {
  assertSettledAt,
  condition,
  converge,
  formed,
  look,
  reasonOf,
  rounds,
  volumeNames,
  voterNames,
} from './testing/convergence.ts'
import { Crash } from './testing/hooks.ts'
import { field } from './testing/objects.ts'
import { World } from './testing/world.ts'

const idOf = (world: World, name: string): string =>
  world.cluster.members.find((member) => member.name === name)?.id ?? ''
const restart = { 'raftkv.dev/restartedAt': '2030-01-01T00:00:00Z' }

test('restartedAt restarts every member once, the leader last', async () => {
  const world = await formed()
  world.annotate(restart)
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(world.restarts.length, 3)
  assert.equal(world.status()['updatedReplicas'], 3)
  await rounds(world, 10)
  assert.equal(world.restarts.length, 3)
})

test('a rollout restarts the next one only when the last one is back', async () => {
  const world = await formed()
  world.annotate(restart)
  await look(world)
  await look(world)
  assert.equal(world.restarts.length, 1)
  for (let count = 0; count < 5; count++) await look(world)
  assert.equal(world.restarts.length, 1, 'its pod is not there yet')
  assert.equal(condition(world, 'UpToDate'), 'False')
  assert.match(reasonOf(world, 'UpToDate'), /^RollingOut: .*kv-0/)
})

test('a rollout to an image that does not start stops at the first member; the next edit repairs it', async () => {
  const world = await formed()
  world.broken.add('image:bad')
  world.edit({ image: { tag: 'bad' } })
  await rounds(world, 30)
  assert.equal(world.restarts.length, 1)
  assert.equal(condition(world, 'Available'), 'True')
  world.edit({ image: { tag: 'good' } })
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(world.restarts[1], world.restarts[0], 'the sick one first')
})

test('a first image that does not start is repaired by the next edit: nothing needs a leader for that', async () => {
  const world = new World({ replicas: 3, image: { tag: 'bad' } })
  world.broken.add('image:bad')
  await rounds(world, 5)
  world.edit({ image: { tag: 'good' } })
  await converge(world)
  assertSettledAt(world, 3)
})

test('with update.strategy Manual nothing is restarted, and it is said what to do', async () => {
  const world = await formed({ update: { strategy: 'Manual' } })
  world.annotate(restart)
  await rounds(world, 10)
  assert.deepEqual(world.restarts, [])
  assert.match(reasonOf(world, 'UpToDate'), /^PodsOutdated: .*Delete them one by one/)
  for (const ordinal of [0, 1, 2]) {
    world.killPod(ordinal)
    await converge(world)
  }
  assert.equal(condition(world, 'UpToDate'), 'True')
})

test('one member and two members are restarted too: the outage is what the edit asks for', async () => {
  for (const replicas of [1, 2]) {
    const world = await formed({ replicas, allowEvenReplicas: true })
    world.annotate(restart)
    await converge(world)
    assertSettledAt(world, replicas)
    assert.equal(world.restarts.length, replicas)
  }
})

test('rollout and scale in one edit: what stays is restarted, then members come or go', async () => {
  const world = await formed()
  world.edit({ replicas: 5, image: { tag: '2' } })
  await converge(world)
  assertSettledAt(world, 5)
  world.edit({ replicas: 3, image: { tag: '3' } })
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(condition(world, 'UpToDate'), 'True')
})

test('the opposite edit in the middle of a rollout brings every pod back, and no pod is restarted for nothing', async () => {
  const world = await formed()
  world.edit({ image: { tag: '2' } })
  await look(world)
  world.edit({ image: {} })
  await converge(world)
  assertSettledAt(world, 3)
  assert(world.restarts.length <= 2, world.restarts.join())
})

test('replace-member of the leader moves leadership first, and is done once under the same name', async () => {
  const world = await formed()
  const leader = world.cluster.members.find(({ id }) => id === world.cluster.leader)
  world.annotate({ 'raftkv.dev/replace-member': leader?.name ?? '' })
  await converge(world)
  assertSettledAt(world, 3)
  assert(world.events.indexOf('LeaderMoved') < world.events.indexOf('MemberRemoved'))
  assert.notEqual(idOf(world, leader?.name ?? ''), leader?.id)
  const members = world.cluster.members
  world.annotate({})
  await rounds(world, 3)
  world.annotate({ 'raftkv.dev/replace-member': idOf(world, 'kv-1') })
  await converge(world)
  assertSettledAt(world, 3)
  assert.notDeepEqual(world.cluster.members, members, 'asked again, done again')
})

test('replace-member is refused while the quorum would not hold, with the arithmetic, and goes on when it does', async () => {
  const world = await formed()
  world.edit({ update: { strategy: 'Manual' } })
  world.endPod(2, 'Unknown')
  world.annotate({ 'raftkv.dev/replace-member': 'kv-1' })
  await look(world)
  await look(world)
  assert.equal(voterNames(world).length, 3)
  assert.match(reasonOf(world, 'Degraded'), /^QuorumAtRisk: .*2 of 3 voters are healthy and 2 are needed/)
  world.killPod(2)
  await converge(world)
  assertSettledAt(world, 3)
})

test('replace-member that is withdrawn before the removal changes nothing', async () => {
  const world = await formed()
  const leader = world.cluster.members.find(({ id }) => id === world.cluster.leader)
  const { configIndex } = world.cluster
  world.annotate({ 'raftkv.dev/replace-member': leader?.name ?? '' })
  await look(world)
  world.annotate({})
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(world.cluster.configIndex, configIndex)
})

test('an annotation that names nobody is said and stands in nobody’s way', async () => {
  const world = await formed()
  world.annotate({ 'raftkv.dev/replace-member': 'kv-9', 'raftkv.dev/move-leader': 'x'.repeat(5000) })
  await look(world)
  assert.match(reasonOf(world, 'Degraded'), /^UnknownMember: .*kv-9, which is not a member/)
  world.edit({ replicas: 5 })
  await rounds(world, 40)
  assert.equal(voterNames(world).length, 5)
})

test('move-leader is done once: a later election is not undone', async () => {
  const world = await formed()
  const other = world.cluster.members.find(({ id }) => id !== world.cluster.leader)
  world.annotate({ 'raftkv.dev/move-leader': other?.name ?? '' })
  await converge(world)
  assert.equal(world.cluster.leader, other?.id)
  const third = world.cluster.members.find(({ id }) => id !== world.cluster.leader)
  world.cluster.transfer(third?.id ?? '')
  await rounds(world, 10)
  assert.equal(world.cluster.leader, third?.id)
  assertSettledAt(world, 3)
})

test('a member that stays away is replaced only where the spec allows it, after its time', async () => {
  const image = { tag: 'bad' }
  const world = await formed({ repair: { unhealthyAfterSeconds: 20 }, update: { strategy: 'Manual' } })
  world.broken.add('image:bad')
  world.edit({ image })
  await look(world)
  world.killPod(1) // and its machine with it: the next pod does not start
  const id = idOf(world, 'kv-1')
  await rounds(world, 40)
  assert.equal(idOf(world, 'kv-1'), id)
  assert.match(reasonOf(world, 'Degraded'), /^MembersUnhealthy: .*kv-1.*replace-member/)
  world.edit({ repair: { unhealthyAfterSeconds: 20, allowVolumeReplacement: true } })
  await rounds(world, 3)
  assert.equal(idOf(world, 'kv-1'), '', 'removed')
  world.edit({ image: {}, update: {} })
  await converge(world)
  assertSettledAt(world, 3)
})

test('with repair.enabled false a member that lost its volume is left alone, and it is said', async () => {
  const world = await formed({ repair: { enabled: false } })
  const { configIndex } = world.cluster
  world.loseVolume(1)
  await rounds(world, 10)
  assert.equal(world.cluster.configIndex, configIndex)
  assert.match(reasonOf(world, 'Degraded'), /repair\.enabled is false/)
  world.edit({ repair: { enabled: true } })
  await converge(world)
  assertSettledAt(world, 3)
})

test('scaled to zero, members and volumes stay; back again they are the same', async () => {
  const world = await formed()
  const { members, configIndex } = world.cluster
  world.edit({ replicas: 0 })
  await rounds(world, 8)
  assert.equal(world.all('Pod').length, 0)
  assert.equal(volumeNames(world).length, 3)
  assert.match(reasonOf(world, 'Ready'), /^ScaledToZero/)
  assert.deepEqual(
    ['QuorumLost', 'Progressing', 'Degraded', 'ScaleComplete'].map((type) => condition(world, type)),
    ['False', 'False', 'False', 'True'],
  )
  world.edit({ replicas: 3 })
  await converge(world)
  assertSettledAt(world, 3)
  assert.deepEqual([world.cluster.members, world.cluster.configIndex], [members, configIndex])
  world.edit({ replicas: 0 })
  await rounds(world, 8)
  world.edit({ replicas: 1 })
  await converge(world)
  assertSettledAt(world, 1)
})

const LOST = { recovery: { request: { id: 'a', survivor: 'kv-0', acknowledgeDataLoss: true } } }

test('a recovery that finds the quorum there is refused, and its id is used up', async () => {
  const world = await formed()
  world.edit(LOST)
  await look(world)
  assert(world.events.includes('RecoveryRefused'))
  for (const ordinal of [1, 2]) world.loseVolume(ordinal)
  await rounds(world, 20)
  assert.equal(world.cluster.voters.length, 3)
  world.edit({ recovery: { request: { ...LOST.recovery.request, id: 'b' } } })
  await converge(world)
  assertSettledAt(world, 3)
})

test('a survivor that does not answer, or has less than another, is refused with the better one’s name', async () => {
  const world = await formed({ replicas: 5 })
  for (const ordinal of [2, 3, 4]) world.loseVolume(ordinal)
  await rounds(world, 2)
  world.edit({ recovery: { request: { ...LOST.recovery.request, survivor: 'kv-4' } } })
  await rounds(world, 3)
  assert.match(reasonOf(world, 'Degraded'), /^QuorumLost: kv-4 was chosen to survive and does not answer/)
  world.cluster.ends.set(idOf(world, 'kv-1'), { lastTerm: world.cluster.term, lastIndex: 150, commitIndex: 100 })
  world.edit(LOST)
  await rounds(world, 3)
  assert.match(reasonOf(world, 'Degraded'), /^QuorumLost: kv-1 has more than kv-0/)
  assert.equal(world.cluster.voters.length, 5)
  world.edit({ recovery: { request: { ...LOST.recovery.request, survivor: 'kv-1' } } })
  await converge(world)
  assertSettledAt(world, 5)
})

test('after a recovery the former members’ volumes go, those that do not answer too, and no others', async () => {
  const world = await formed()
  world.endPod(1, 'Unknown')
  world.loseVolume(2)
  const survivor = world.get('PersistentVolumeClaim', 'data-kv-0')?.metadata.uid
  const former = world.get('PersistentVolumeClaim', 'data-kv-1')?.metadata.uid
  world.edit(LOST)
  await converge(world)
  assertSettledAt(world, 3)
  assert.equal(world.get('PersistentVolumeClaim', 'data-kv-0')?.metadata.uid, survivor)
  assert.notEqual(world.get('PersistentVolumeClaim', 'data-kv-1')?.metadata.uid, former)
  assert.deepEqual(world.status()['staleVolumes'] ?? [], [])
})

test('a recovery survives the end of the operator after each of its calls', async () => {
  for (let calls = 0; calls < 12; calls++) {
    const world = await formed()
    for (const ordinal of [1, 2]) world.loseVolume(ordinal)
    await rounds(world, 2)
    world.edit(LOST)
    let left = calls
    const after = (): void => {
      if (left-- === 0) throw new Crash()
    }
    for (let round = 0; round < 4; round++) await look(world, { after })
    await converge(world)
    assertSettledAt(world, 3)
  }
})

test('a full store is said with what to do about it', async () => {
  const world = await formed({ options: { quotaBytes: 4096 } })
  world.cluster.alarms = [{ memberId: idOf(world, 'kv-1'), type: 'NOSPACE' }]
  await look(world)
  assert.match(
    reasonOf(world, 'StorageReady'),
    /^NoSpace: kv-1 .*etcdctl defrag.*quotaBytes \(now 4096\).*alarm disarm/,
  )
  assert(world.events.includes('NoSpace'))
  world.cluster.alarms = [{ memberId: idOf(world, 'kv-1'), type: 'CORRUPT' }]
  await look(world)
  assert.match(reasonOf(world, 'Degraded'), /^CorruptMember: .*kv-1/)
  world.cluster.alarms = []
  await look(world)
  assert.equal(condition(world, 'StorageReady'), 'True')
})

test('volumes that are lost, not bound, not attached or not grown are each said', async () => {
  const world = await formed()
  const claim = (status: object): void => {
    const volume = world.get('PersistentVolumeClaim', 'data-kv-1')
    if (volume !== undefined) world.put({ ...volume, status })
  }
  const said = async (expected: RegExp): Promise<void> => {
    await look(world)
    assert.match(reasonOf(world, 'StorageReady'), expected)
  }
  claim({ phase: 'Pending' })
  await said(/^VolumesPending: data-kv-1 is not bound/)
  claim({ phase: 'Lost' })
  await said(/^VolumeLost: data-kv-1/)
  claim({ phase: 'Bound', capacity: { storage: '10Gi' } })
  await said(/^VolumesBound/)
  const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: '2029-12-31T00:00:00Z' }
  const containerStatuses = [{ state: { waiting: { reason: 'ContainerCreating' } } }]
  const pod = world.get('Pod', 'kv-1')
  if (pod !== undefined) world.put({ ...pod, status: { phase: 'Pending', conditions: [scheduled], containerStatuses } })
  await said(/^VolumeStuck: kv-1 /)
  world.killPod(1)
  await converge(world)
  world.forbidden.add('apply PersistentVolumeClaim')
  world.edit({ storage: { size: '20Gi' } })
  await said(/^ExpansionRefused: .*cannot patch.*data-kv-0 should grow from 10Gi to 20Gi/s)
})

test('claims that do not go, that are somebody else’s and that are refused are told apart, each by its name', async () => {
  const world = await formed()
  const claim = (ordinal: number): KubeObject =>
    world.get('PersistentVolumeClaim', `data-kv-${ordinal}`) ?? assert.fail()
  const stuck = { deletionTimestamp: '2029-12-31T00:00:00Z', finalizers: ['example.com/backup'] }
  world.put({ ...claim(0), metadata: { ...claim(0).metadata, ...stuck } })
  world.killPod(1)
  const { annotations: _, ...metadata } = claim(1).metadata
  world.put({ ...claim(1), metadata: { ...metadata, labels: { 'raftkv.dev/cluster-uid': 'another' } } })
  world.answer = ({ verb, kind, name }) =>
    verb === 'apply' && kind === 'PersistentVolumeClaim' && name === 'data-kv-2'
      ? new KubeError({ kind: 'forbidden', message: 'exceeded quota: small' })
      : undefined
  world.edit({ storage: { size: '20Gi' } })
  await look(world)
  const said = reasonOf(world, 'StorageReady')
  assert.match(said, /^ExpansionRefused: PersistentVolumeClaim data-kv-2 .*exceeded quota: small/)
  assert.match(said, /claim data-kv-0 has been terminating since 2029-12-31.*example\.com\/backup/)
  assert.match(said, /data-kv-1 exists but does not belong to this RaftCluster/)
})

test('a size that was not granted is taken back: to more than the volumes have, and to what they have', async () => {
  const world = await formed()
  const requested = (): unknown =>
    [0, 1, 2].map((ordinal) => {
      const volume = world.get('PersistentVolumeClaim', `data-kv-${ordinal}`)
      return field(field(field(volume, 'spec'), 'resources'), 'requests')['storage']
    })
  world.edit({ storage: { size: '80Gi' } })
  await rounds(world, 2)
  assert.deepEqual([requested(), world.status()['volumeSize']], [['80Gi', '80Gi', '80Gi'], '10Gi'])
  world.edit({ storage: { size: '20Gi' } })
  await rounds(world, 2)
  assert.deepEqual(requested(), ['20Gi', '20Gi', '20Gi'])
  world.edit({ storage: { size: '10Gi' } })
  await rounds(world, 2)
  assert.deepEqual(requested(), ['20Gi', '20Gi', '20Gi'], 'Kubernetes takes nothing but more than there is')
  assert.equal(condition(world, 'StorageReady'), 'True')
})

test('a pod without a node is said with the scheduler’s words', async () => {
  const world = await formed()
  const pod = world.get('Pod', 'kv-2')
  const message = '0/3 nodes are available'
  const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }]
  if (pod !== undefined) world.put({ ...pod, status: { phase: 'Pending', conditions } })
  world.settleMembers()
  await look(world)
  assert.match(reasonOf(world, 'Degraded'), /kv-2 has no node: 0\/3 nodes are available/)
})

test('a drain takes a member away and brings it back: nothing is decided about it', async () => {
  const world = await formed()
  const { members, configIndex } = world.cluster
  for (const ordinal of [2, 0, 1]) {
    world.killPod(ordinal)
    await rounds(world, 4)
  }
  await converge(world)
  assertSettledAt(world, 3)
  assert.deepEqual([world.cluster.members, world.cluster.configIndex], [members, configIndex])
  const budget = field(world.get('PodDisruptionBudget', 'kv'), 'spec')
  assert.equal(budget['minAvailable'], 2)
})

test('a network policy comes and goes with spec.networkPolicy, and a hand edit of it is put back', async () => {
  const world = await formed()
  assert.equal(world.get('NetworkPolicy', 'kv'), undefined)
  world.edit({ networkPolicy: { enabled: true } })
  await look(world)
  const made = world.get('NetworkPolicy', 'kv')
  assert(made !== undefined)
  world.put({ ...made, spec: { ...field(made, 'spec'), ingress: [{}] } })
  await look(world)
  assert.deepEqual(field(world.get('NetworkPolicy', 'kv'), 'spec'), made['spec'])
  world.edit({ networkPolicy: { enabled: false } })
  await look(world)
  assert.equal(world.get('NetworkPolicy', 'kv'), undefined)
})

test('paused at any step: nothing changes, then it goes on from there', async () => {
  for (let looks = 0; looks < 12; looks++) {
    const world = await formed()
    world.edit({ replicas: 5, image: { tag: '2' } })
    await rounds(world, looks)
    world.edit({ paused: true })
    await look(world)
    const [restarts, configIndex] = [world.restarts.length, world.cluster.configIndex]
    await rounds(world, 5)
    assert.deepEqual([world.restarts.length, world.cluster.configIndex], [restarts, configIndex])
    assert.equal(condition(world, 'Paused'), 'True')
    world.edit({ paused: false })
    await converge(world)
    assertSettledAt(world, 5)
  }
})

test('a sick pod of the present spec is not restarted; a sick one of an earlier spec is restarted first', async () => {
  const world = await formed({ replicas: 5 })
  world.unready.add('kv-2')
  world.settleMembers()
  await rounds(world, 5)
  assert.deepEqual(world.restarts, [])
  world.annotate(restart)
  await rounds(world, 2)
  assert.equal(world.restarts[0], 'kv-2', 'it runs, and is ill')
  world.unready.clear()
  await converge(world)
  assertSettledAt(world, 5)
})

test('the loss of the quorum is said first, and recovered from at the next look', async () => {
  const world = await formed()
  for (const ordinal of [1, 2]) world.loseVolume(ordinal)
  world.edit(LOST)
  await look(world)
  assert.equal(condition(world, 'QuorumLost'), 'True')
  assert.equal(world.cluster.voters.length, 3)
  await look(world)
  assert.equal(world.cluster.voters.length, 1)
})
