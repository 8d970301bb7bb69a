/**
 * Reads what there is of a RaftCluster: its objects, its pods and what their members say. I/O, but no decision. No call
 * that fails ends the look: what it did not tell is named in `unread`.
 */
import { parseRaftCluster, type RaftCluster } from '../api/raft-cluster.ts'
import { membershipOf } from './membership.ts'
import { readClaims } from './observe/adoption.ts'
import { readObjects } from './observe/objects.ts'
import { belongingOf, podOf, readPod } from './observe/pods.ts'
import { type Reading, readingFrom } from './observe/reading.ts'
import { readRestore } from './observe/restore.ts'
import { identityOf, readSources } from './observe/tls.ts'
import { type Login, observeUsers } from './observe/users.ts'
import { type FoundVolume, readVolumes } from './observe/volumes.ts'
import {
  awaitsRestore,
  isFilling,
  isFormed,
  type Observed,
  type ObservedPod,
  type ObservedRestore,
  type ObservedStatefulSet,
  restoreRequest,
} from './observed.ts'
import type { AdminClient, KubeObject, ReconcileDeps } from './ports.ts'
import { templateRefusal } from './trial.ts'
import { lastWarning } from './warnings.ts'

export type Observation =
  | { readonly kind: 'invalid'; readonly object: KubeObject; readonly message: string }
  | {
      readonly kind: 'observed'
      readonly object: KubeObject
      readonly observed: Observed
      /** Of the admin API. */
      readonly token: string
      /** Undefined where there is nothing to change. */
      readonly login: Login | undefined
      /** With what this cluster's members are to be shown. */
      readonly admin: AdminClient
    }

/** A volume may take this long to be attached before it is asked why. */
const ATTACH_MS = 10_000

export async function observe(deps: ReconcileDeps, object: KubeObject): Promise<Observation> {
  const parsed = parseRaftCluster(object)
  if (!parsed.ok) return { kind: 'invalid', object, message: parsed.error }
  return observeCluster(deps, object, parsed.value)
}

async function observeCluster(deps: ReconcileDeps, object: KubeObject, cluster: RaftCluster): Promise<Observation> {
  const reading = readingFrom(deps, cluster)
  const [{ token, ...objects }, podObjects, volumes] = await Promise.all([
    readObjects(reading, cluster),
    reading.list('Pod', podOf),
    readVolumes(reading, cluster, deps.nowMs()),
  ])
  const owner = objects.statefulSet?.uid
  const identity = identityOf(cluster, objects.tls.get('operatorTls'))
  const admin = identity === undefined ? deps.admin : deps.admin.secured(identity)
  const users = identity === undefined ? deps.users : deps.users.secured(identity)
  const found = podObjects.map((pod) => ({ pod, belonging: belongingOf(cluster, owner, pod) }))
  const readPods = found.map(async ({ pod, belonging }) => {
    if (belonging === 'foreign') return undefined
    const read = await readPod(deps, cluster, admin, pod)
    return belonging === 'own' || isMemberOf(cluster, read) ? read : undefined
  })
  const pods = byOrdinal(await Promise.all(readPods))
  const words = await readWords(deps, objects.statefulSet, [...pods.values()], volumes, cluster)
  const foreignPods = found.filter(
    ({ pod, belonging }) =>
      belonging === 'foreign' && owner !== undefined && pod.metadata.deletionTimestamp === undefined,
  )
  const observed: Observed = {
    nowMs: deps.nowMs(),
    cluster,
    defaultImage: deps.defaultImage,
    operatorPods: deps.operatorPods,
    forms: deps.forms,
    objects,
    pods: words.pods,
    creationRefusal: words.creationRefusal,
    templateRefusal: undefined,
    volumes: words.volumes,
    foreignPods: foreignPods.map(({ pod }) => pod.metadata.name),
    foreignVolumes: new Map(volumes.flatMap(({ foreign }) => (foreign === undefined ? [] : [foreign]))),
    membership: membershipOf(cluster, pods.values()),
    claims: undefined,
    users: undefined,
    usersProblem: undefined,
    restore: undefined,
    unread: reading.unread,
  }
  const [sources, claims, refusal, restore, { login, ...seenUsers }] = await Promise.all([
    readSources(reading, observed),
    readClaims(reading, cluster),
    templateRefusal(deps.reader, observed),
    observeRestore(reading, observed),
    observeUsers(deps, users, observed),
  ])
  return {
    kind: 'observed',
    object,
    observed: {
      ...observed,
      ...seenUsers,
      objects: { ...objects, ...sources },
      claims,
      templateRefusal: refusal,
      restore,
    },
    token,
    login,
    admin,
  }
}

async function observeRestore(reading: Reading, observed: Observed): Promise<ObservedRestore | undefined> {
  const { cluster, nowMs } = observed
  if (awaitsRestore(observed)) return readRestore(reading, cluster, cluster.spec.bootstrap?.restore, nowMs)
  const request = isFormed(observed) ? restoreRequest(cluster) : undefined
  return request === undefined && !isFilling(cluster)
    ? undefined
    : readRestore(reading, cluster, request?.restore, nowMs)
}

function isMemberOf({ recorded }: RaftCluster, pod: ObservedPod | undefined): boolean {
  return recorded.clusterID !== '' && pod?.status?.clusterId === recorded.clusterID
}

/** What its controller, the provisioner and the kubelet say where pods or volumes are missing. */
async function readWords(
  { reader, nowMs }: ReconcileDeps,
  statefulSet: ObservedStatefulSet | undefined,
  pods: readonly ObservedPod[],
  volumes: readonly FoundVolume[],
  { namespace }: RaftCluster,
): Promise<Pick<Observed, 'creationRefusal' | 'pods' | 'volumes'>> {
  const isPodMissing = statefulSet !== undefined && pods.length < statefulSet.podCount
  const about = (uid: string): { namespace: string; uid: string } => ({ namespace, uid })
  const [creationRefusal, toldPods, toldVolumes] = await Promise.all([
    isPodMissing ? lastWarning(reader, about(statefulSet.uid), ['FailedCreate'], ['SuccessfulCreate']) : undefined,
    Promise.all(
      pods.map(async (pod) => {
        if (pod.trouble?.kind !== 'volume' || !(nowMs() - pod.trouble.sinceMs >= ATTACH_MS)) return pod
        const message = await lastWarning(reader, about(pod.uid), ['FailedAttachVolume', 'FailedMount'])
        return message === undefined ? pod : { ...pod, trouble: { ...pod.trouble, message } }
      }),
    ),
    Promise.all(
      volumes.map(async ({ ours }) => {
        if (ours?.phase !== 'Pending') return ours
        return { ...ours, refusal: await lastWarning(reader, about(ours.uid), ['ProvisioningFailed']) }
      }),
    ),
  ])
  return { creationRefusal, pods: byOrdinal(toldPods), volumes: byOrdinal(toldVolumes) }
}

function byOrdinal<Item extends { readonly ordinal: number }>(
  items: readonly (Item | undefined)[],
): ReadonlyMap<number, Item> {
  return new Map(items.flatMap((item) => (item === undefined ? [] : [[item.ordinal, item] as const])))
}
