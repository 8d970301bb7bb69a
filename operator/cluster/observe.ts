/** Reads the world: the RaftCluster, its objects, its pods and what their members say. I/O, but no decision. */
import { z } from 'zod'
import { API_VERSION, KIND, parseRaftCluster, type RaftCluster } from '../api/raft-cluster.ts'
import { membershipOf } from './membership.ts'
import type { Observed, ObservedObjects, ObservedPod, ObservedStatefulSet, ObservedVolume } from './observed.ts'
import type { KubeObject, ReconcileDeps, ReconcileKey } from './ports.ts'
import {
  CLUSTER_UID_LABEL,
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
  | { readonly kind: 'observed'; readonly object: KubeObject; readonly observed: Observed; readonly token: string }

/** A member that does not answer in this time counts as not answering. */
const MEMBER_TIMEOUT_MS = 1_500

export async function observe(deps: ReconcileDeps, key: ReconcileKey): Promise<Observation> {
  const object = await deps.reader.get({ apiVersion: API_VERSION, kind: KIND, ...key })
  if (object === undefined) return { kind: 'gone' }
  const parsed = parseRaftCluster(object)
  if (!parsed.ok) return { kind: 'invalid', object, message: parsed.error }
  const cluster = parsed.value
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
    volumeClaimTemplates: z
      .array(z.object({ spec: z.object({ resources: z.object({ requests: z.record(z.string(), z.string()) }) }) }))
      .default([]),
  }),
  status: z.object({ updateRevision: z.string().optional() }).default({}),
})

function statefulSetOf(object: KubeObject): ObservedStatefulSet {
  const { spec, status } = StatefulSet.parse(object)
  return {
    object,
    uid: object.metadata.uid ?? '',
    replicas: spec.replicas,
    templateSize: spec.volumeClaimTemplates[0]?.spec.resources.requests['storage'],
    updateRevision: status.updateRevision,
  }
}

const Pod = z.object({
  status: z
    .object({
      phase: z.string().default(''),
      podIP: z.string().optional(),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
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
  const { phase, podIP, conditions } = Pod.parse(object).status
  const target = podIP === undefined || phase !== 'Running' ? undefined : { podIP, podName: metadata.name }
  const adminUrl = target && deps.adminUrl({ ...target, hostName: hostName(cluster, ordinal) })
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(MEMBER_TIMEOUT_MS)])
  const answer = adminUrl === undefined ? undefined : await deps.admin.status(adminUrl, signal)
  return {
    ordinal,
    name: metadata.name,
    uid: metadata.uid ?? '',
    isTerminating: metadata.deletionTimestamp !== undefined,
    isReady: conditions.some(({ type, status }) => type === 'Ready' && status === 'True'),
    revision: metadata.labels?.['controller-revision-hash'],
    adminUrl,
    status: answer?.ok === true ? answer.value : undefined,
  }
}

const Volume = z.object({
  spec: z.object({ resources: z.object({ requests: z.record(z.string(), z.string()).default({}) }).prefault({}) }),
  status: z.object({ capacity: z.record(z.string(), z.string()).default({}) }).prefault({}),
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
