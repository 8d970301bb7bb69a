/**
 * StatefulSet controller and kubelet in one, for members that are not there: pods and claims of a StatefulSet appear at
 * once, run and are ready; a pod that is deleted comes back from the present template.
 */
import { controllerUid, keyOf, timestamp, type StoredObject } from '../../sandbox/client/object.ts'
import { RESOURCES, type ObjectRef } from '../../sandbox/client/resource.ts'
import type { ApiClient } from '../../sandbox/client/client.ts'
import type { Mirrors } from '../../sandbox/client/mirrors.ts'
import { newClaims, newPod, podName } from '../../sandbox/controllers/stateful-set/build.ts'
import { statefulSetOf, type StatefulSet } from '../../sandbox/controllers/stateful-set/model.ts'
import type { SimulatedMembers } from './members.ts'

const REVISION = 'simulated'
const RETRY_MS = 200

export interface SimulatedPodsOptions {
  readonly client: ApiClient
  readonly mirrors: Mirrors
  readonly members: SimulatedMembers
  readonly onStatefulSet: (object: StoredObject) => void
}

export function simulatePods({ client, mirrors, members, onStatefulSet }: SimulatedPodsOptions): void {
  const sets = mirrors.of(RESOURCES.statefulSets)
  const busy = new Set<string>()
  const again = new Set<string>()
  const reconcile = async (key: string): Promise<void> => {
    if (busy.has(key)) return void again.add(key)
    busy.add(key)
    do {
      again.delete(key)
      const object = sets.get(key)
      if (object !== undefined) await fill(client, members, statefulSetOf(object)).catch(() => retry(key))
    } while (again.has(key))
    busy.delete(key)
  }
  const retry = (key: string): void => void setTimeout(() => void reconcile(key), RETRY_MS)
  sets.onChange((object, isGone) => {
    onStatefulSet(object)
    if (!isGone) void reconcile(keyOf(object))
  })
  mirrors.of(RESOURCES.pods).onChange((pod, isGone) => {
    const { namespace = '', name } = pod.metadata
    const isLeaving = !isGone && pod.metadata.deletionTimestamp !== undefined
    if (isLeaving) void client.delete(RESOURCES.pods, { namespace, name }, { gracePeriodSeconds: 0 })
    const set = name.slice(0, name.lastIndexOf('-'))
    if (isGone && controllerUid(pod) !== undefined) void reconcile(`${namespace}/${set}`)
  })
}

async function fill(client: ApiClient, members: SimulatedMembers, set: StatefulSet): Promise<void> {
  const { metadata } = set.object
  const { replicas } = set.spec
  const status = { observedGeneration: metadata.generation, replicas, updateRevision: REVISION }
  if (set.status['observedGeneration'] !== metadata.generation) {
    await client.patch(RESOURCES.statefulSets, refOf(set.object), { status }, { subresource: 'status' })
  }
  for (let ordinal = 0; ordinal < replicas; ordinal++) await startMember(client, members, set, ordinal)
}

async function startMember(
  client: ApiClient,
  members: SimulatedMembers,
  set: StatefulSet,
  ordinal: number,
): Promise<void> {
  for (const claim of newClaims(set, ordinal)) {
    if (!(await client.createIfMissing(RESOURCES.volumeClaims, claim))) continue
    const ref = { namespace: claim.metadata.namespace, name: claim.metadata.name ?? '' }
    const bound = { status: { phase: 'Bound', capacity: { storage: '10Gi' } } }
    await client.patch(RESOURCES.volumeClaims, ref, bound, { subresource: 'status' })
  }
  const podIP = members.addressOf(podName(set, ordinal))
  if (podIP === undefined) return
  const pod = newPod(set, set.spec.template, REVISION, ordinal)
  if (!(await client.createIfMissing(RESOURCES.pods, pod))) return
  const ref = { namespace: set.object.metadata.namespace, name: podName(set, ordinal) }
  await client.patch(RESOURCES.pods, ref, { status: runningStatus(podIP) }, { subresource: 'status' })
}

export async function endReadiness(client: ApiClient, pod: ObjectRef): Promise<void> {
  const conditions = conditionsOf(['ContainersReady', 'Ready'], 'False')
  await client.patch(RESOURCES.pods, pod, { status: { conditions } }, { subresource: 'status' })
}

function conditionsOf(types: readonly string[], status: 'True' | 'False') {
  const lastTransitionTime = timestamp(Date.now())
  return types.map((type) => ({ type, status, lastTransitionTime }))
}

function runningStatus(podIP: string): Readonly<Record<string, unknown>> {
  const now = timestamp(Date.now())
  return {
    phase: 'Running',
    podIP,
    podIPs: [{ ip: podIP }],
    hostIP: '127.0.0.1',
    startTime: now,
    conditions: conditionsOf(['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'], 'True'),
    containerStatuses: [
      {
        name: 'raftkv',
        ready: true,
        restartCount: 0,
        image: 'raftkv:latest',
        imageID: 'simulated',
        state: { running: { startedAt: now } },
      },
    ],
  }
}

function refOf(object: StoredObject): { namespace: string | undefined; name: string } {
  return { namespace: object.metadata.namespace, name: object.metadata.name }
}
