/** Reads the world: the RaftCluster, its objects, its pods and what their members say. I/O, but no decision. */
import { z } from 'zod'
import { API_VERSION, KIND, parseRaftCluster, type RaftCluster } from '../api/raft-cluster.ts'
import { contradictionIn } from './contradiction.ts'
import { membershipOf } from './membership.ts'
import type {
  Observed,
  ObservedObjects,
  ObservedPod,
  ObservedStatefulSet,
  ObservedVolume,
  StuckPod,
} from './observed.ts'
import { KubeError, type KubeObject, type ReconcileDeps, type ReconcileKey } from './ports.ts'
import {
  CLUSTER_UID_LABEL,
  TEMPLATE_HASH_ANNOTATION,
  controllerOf,
  hostName,
  names,
  ordinalOf,
  selectorText,
  TOKEN_KEY,
  VOLUME,
  volumeRef,
} from './resources/names.ts'

export type Observation =
  | { readonly kind: 'gone' }
  | { readonly kind: 'invalid'; readonly object: KubeObject; readonly message: string }
  /** A permission is missing; the error names it. */
  | { readonly kind: 'unreadable'; readonly object: KubeObject; readonly error: KubeError }
  | { readonly kind: 'observed'; readonly object: KubeObject; readonly observed: Observed; readonly token: string }

/** A member that does not answer in this time counts as not answering. */
const MEMBER_TIMEOUT_MS = 1_500

export async function observe(deps: ReconcileDeps, key: ReconcileKey): Promise<Observation> {
  const object = await deps.reader.get({ apiVersion: API_VERSION, kind: KIND, ...key })
  if (object === undefined) return { kind: 'gone' }
  const parsed = parseRaftCluster(object)
  if (!parsed.ok) return { kind: 'invalid', object, message: parsed.error }
  try {
    return await observeCluster(deps, object, parsed.value)
  } catch (error) {
    if (!(error instanceof KubeError) || error.problem.kind !== 'forbidden') throw error
    return { kind: 'unreadable', object, error }
  }
}

async function observeCluster(deps: ReconcileDeps, object: KubeObject, cluster: RaftCluster): Promise<Observation> {
  const [objects, podObjects, volumeObjects] = await Promise.all([
    readObjects(deps, cluster),
    list(deps, cluster, 'Pod'),
    readVolumes(deps, cluster),
  ])
  const owner = objects.statefulSet?.uid
  const ownPods = podObjects.filter((pod) => controllerOf(pod) === owner && owner !== undefined)
  const pods = byOrdinal(await Promise.all(ownPods.map((pod) => readPod(deps, cluster, pod))))
  const foreignPods =
    owner === undefined ? [] : podObjects.filter((pod) => ![undefined, owner].includes(controllerOf(pod)))
  const ownVolumes = volumeObjects.filter((volume) => ownedBy(volume) === cluster.uid)
  const observed: Observed = {
    nowMs: deps.nowMs(),
    cluster,
    defaultImage: deps.defaultImage,
    objects,
    pods,
    volumes: byOrdinal(ownVolumes.map((volume) => volumeOf(cluster, volume))),
    foreignPods: foreignPods.map((pod) => pod.metadata.name),
    foreignVolumes: foreignVolumes(cluster, volumeObjects),
    membership: membershipOf(cluster, pods.values()),
  }
  return { kind: 'observed', object, observed, token: tokenOf(objects.adminToken) }
}

async function readObjects(deps: ReconcileDeps, cluster: RaftCluster): Promise<ObservedObjects> {
  const get = (apiVersion: string, kind: string, name: string): Promise<KubeObject | undefined> =>
    deps.reader.get({ apiVersion, kind, namespace: cluster.namespace, name })
  const [serviceAccount, headlessService, clientService, disruptionBudget, adminToken, statefulSet] = await Promise.all(
    [
      get('v1', 'ServiceAccount', names.serviceAccount(cluster)),
      get('v1', 'Service', names.headlessService(cluster)),
      get('v1', 'Service', names.clientService(cluster)),
      get('policy/v1', 'PodDisruptionBudget', names.disruptionBudget(cluster)),
      get('v1', 'Secret', names.adminToken(cluster)),
      get('apps/v1', 'StatefulSet', names.statefulSet(cluster)),
    ],
  )
  return {
    serviceAccount,
    headlessService,
    clientService,
    disruptionBudget,
    adminToken,
    statefulSet: statefulSet === undefined ? undefined : statefulSetOf(statefulSet),
  }
}

function list(deps: ReconcileDeps, cluster: RaftCluster, kind: string): Promise<readonly KubeObject[]> {
  const labelSelector = selectorText(cluster)
  return deps.reader.list({ apiVersion: 'v1', kind, namespace: cluster.namespace, labelSelector })
}

/** Ours by label, and whatever else has a name that the StatefulSet is about to use: it would take that over. */
async function readVolumes(deps: ReconcileDeps, cluster: RaftCluster): Promise<readonly KubeObject[]> {
  const labelled = await list(deps, cluster, 'PersistentVolumeClaim')
  const found = new Set(labelled.map((volume) => volume.metadata.name))
  const wanted = Array.from({ length: cluster.spec.replicas }, (_, ordinal) => names.volume(cluster, ordinal))
  const others = await Promise.all(
    wanted.filter((name) => !found.has(name)).map((name) => deps.reader.get(volumeRef(cluster, name))),
  )
  return [...labelled, ...others.filter((volume) => volume !== undefined)]
}

const StatefulSet = z.object({
  spec: z.object({
    replicas: z.number().default(1),
    ordinals: z.object({ start: z.number().default(0) }).prefault({}),
    volumeClaimTemplates: z
      .array(z.object({ spec: z.object({ resources: z.object({ requests: z.record(z.string(), z.string()) }) }) }))
      .default([]),
    template: z
      .object({
        metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }).prefault({}),
      })
      .prefault({}),
  }),
  status: z.object({ updateRevision: z.string().optional(), observedGeneration: z.number().default(0) }).prefault({}),
})

function statefulSetOf(object: KubeObject): ObservedStatefulSet {
  const { spec, status } = StatefulSet.parse(object)
  return {
    object,
    uid: object.metadata.uid ?? '',
    endOrdinal: spec.ordinals.start + spec.replicas,
    templateSize: spec.volumeClaimTemplates[0]?.spec.resources.requests['storage'],
    updateRevision: status.updateRevision,
    templateHash: spec.template.metadata.annotations[TEMPLATE_HASH_ANNOTATION],
    isObserved: status.observedGeneration >= (object.metadata.generation ?? 0),
  }
}

const Pod = z.object({
  status: z
    .object({
      phase: z.string().default(''),
      podIP: z.string().optional(),
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            reason: z.string().default(''),
            message: z.string().default(''),
            lastTransitionTime: z.string().nullish(),
          }),
        )
        .default([]),
      containerStatuses: z
        .array(
          z.object({
            state: z
              .object({
                running: z.object({}).optional(),
                waiting: z.object({ reason: z.string().default(''), message: z.string().default('') }).optional(),
              })
              .prefault({}),
          }),
        )
        .default([]),
    })
    .prefault({}),
})

async function readPod(
  deps: ReconcileDeps,
  cluster: RaftCluster,
  object: KubeObject,
): Promise<ObservedPod | undefined> {
  const { metadata } = object
  const ordinal = ordinalOf(cluster.name, metadata.name)
  if (ordinal === undefined) return undefined
  const status = Pod.parse(object).status
  const { phase, podIP, conditions } = status
  const target = podIP === undefined || phase !== 'Running' ? undefined : { podIP, podName: metadata.name }
  const adminUrl = target && deps.adminUrl({ ...target, hostName: hostName(cluster, ordinal) })
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(MEMBER_TIMEOUT_MS)])
  const answer = adminUrl === undefined ? undefined : await deps.admin.status(adminUrl, signal)
  const ready = conditions.find(({ type, status }) => type === 'Ready' && status === 'True')
  const given = answer?.ok === true ? answer.value : undefined
  const contradiction = given && contradictionIn(given)
  return {
    ordinal,
    name: metadata.name,
    uid: metadata.uid ?? '',
    isTerminating: metadata.deletionTimestamp !== undefined,
    isReady: ready !== undefined,
    readySinceMs: ready && Date.parse(ready.lastTransitionTime ?? '1970-01-01T00:00:00Z'),
    isRunning: isRunning(status),
    templateHash: metadata.annotations?.[TEMPLATE_HASH_ANNOTATION],
    stuck: stuckOf(status),
    adminUrl,
    status: contradiction === undefined ? given : undefined,
    contradiction,
  }
}

type PodStatus = z.output<typeof Pod>['status']

function isRunning({ phase, containerStatuses }: PodStatus): boolean {
  if (phase !== 'Running') return false
  return containerStatuses.length === 0 || containerStatuses.some(({ state }) => state.running !== undefined)
}

function stuckOf({ phase, conditions, containerStatuses }: PodStatus): StuckPod | undefined {
  const scheduled = conditions.find(({ type }) => type === 'PodScheduled')
  if (phase !== 'Pending' || scheduled === undefined) return undefined
  const sinceMs = Date.parse(scheduled.lastTransitionTime ?? '')
  if (scheduled.status !== 'True') return { kind: 'unschedulable', sinceMs, message: scheduled.message }
  // The kubelet says so while it waits for the volumes; a missing image and the like have reasons of their own.
  const waiting = containerStatuses[0]?.state.waiting
  if (waiting !== undefined && waiting.reason !== 'ContainerCreating') return undefined
  return { kind: 'volume', sinceMs, message: waiting?.message ?? '' }
}

const Volume = z.object({
  spec: z.object({ resources: z.object({ requests: z.record(z.string(), z.string()).default({}) }).prefault({}) }),
  status: z
    .object({ capacity: z.record(z.string(), z.string()).default({}), phase: z.string().default('') })
    .prefault({}),
})

function volumeOf(cluster: RaftCluster, object: KubeObject): ObservedVolume | undefined {
  const ordinal = ordinalOf(`${VOLUME}-${cluster.name}`, object.metadata.name)
  if (ordinal === undefined) return undefined
  const { spec, status } = Volume.parse(object)
  return {
    ordinal,
    name: object.metadata.name,
    uid: object.metadata.uid ?? '',
    isTerminating: object.metadata.deletionTimestamp !== undefined,
    requestedSize: spec.resources.requests['storage'],
    capacity: status.capacity['storage'],
    phase: status.phase,
  }
}

function foreignVolumes(cluster: RaftCluster, volumes: readonly KubeObject[]): ReadonlyMap<number, string> {
  const foreign = volumes.filter((volume) => ownedBy(volume) !== cluster.uid)
  return new Map(
    foreign.flatMap(({ metadata }) => {
      const ordinal = ordinalOf(`${VOLUME}-${cluster.name}`, metadata.name)
      return ordinal === undefined ? [] : [[ordinal, metadata.name] as const]
    }),
  )
}

function ownedBy(volume: KubeObject): string | undefined {
  return volume.metadata.labels?.[CLUSTER_UID_LABEL]
}

function byOrdinal<Item extends { readonly ordinal: number }>(
  items: readonly (Item | undefined)[],
): ReadonlyMap<number, Item> {
  return new Map(items.flatMap((item) => (item === undefined ? [] : [[item.ordinal, item] as const])))
}

const Secret = z.object({ data: z.record(z.string(), z.string()).default({}) })

/** Empty when there is none yet: members then refuse changes, and the operation is repeated. */
function tokenOf(secret: KubeObject | undefined): string {
  const encoded = secret === undefined ? undefined : Secret.parse(secret).data[TOKEN_KEY]
  return Buffer.from(encoded ?? '', 'base64').toString()
}
