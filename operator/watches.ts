/**
 * What the operator watches, and which RaftCluster each change is about. Events only say "look": what is there is read
 * live by the reconcile.
 */
import type { Logger } from 'pino'
import type { Clock } from '../lib/clock.ts'
import { GROUP } from './api/raft-cluster.ts'
import type { SyncSource } from './controller/controller.ts'
import type { KubeClient } from './kube/client.ts'
import type { Kind, StoredObject } from './kube/object.ts'
import { isRecord, keyOf } from './kube/object.ts'
import type { ReflectorObserver } from './kube/reflector.ts'
import { Reflector } from './kube/reflector.ts'
import type { Change } from './kube/store.ts'
import { Store } from './kube/store.ts'

/** On everything the operator makes, pods and volumes of its StatefulSets included. */
const OWNED_SCOPE = { labelSelector: 'app.kubernetes.io/managed-by=raftcluster-operator', isMetadataOnly: true }
const CLUSTER_LABEL = `${GROUP}/cluster`
export const OWNED_KINDS: readonly Kind[] = [
  'StatefulSet',
  'Pod',
  'PersistentVolumeClaim',
  'Service',
  'PodDisruptionBudget',
  'NetworkPolicy',
]

export interface WatchesOptions {
  readonly client: KubeClient
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly observer: (kind: string) => ReflectorObserver
  /** Empty: all. */
  readonly namespaces: readonly string[]
  /** Receives the key of a RaftCluster. */
  readonly enqueue: (key: string) => void
}

export interface Watches {
  readonly sources: readonly SyncSource[]
  /** Those of RaftClusters. What the others tell only says when to look: without it, looks come at their usual pace. */
  readonly required: readonly SyncSource[]
  /** RaftClusters, over all watched namespaces. */
  clusters(): Iterable<StoredObject>
  run(signal: AbortSignal): Promise<void>
}

export function createWatches(options: WatchesOptions): Watches {
  const scopes = options.namespaces.length === 0 ? [undefined] : options.namespaces
  const clusterStores: Store[] = []
  const reflectors: { readonly kind: Kind; readonly name: string; readonly reflector: Reflector }[] = []
  for (const kind of ['RaftCluster', ...OWNED_KINDS] as const) {
    const observer = options.observer(kind)
    for (const namespace of scopes) {
      const store =
        kind === 'RaftCluster' ? new Store(() => undefined, keptOfCluster) : new Store(ownerKeyOf, keptOfOwned)
      if (kind === 'RaftCluster') clusterStores.push(store)
      const onChange = (change: Change): void => {
        const key = kind === 'RaftCluster' ? changedCluster(change) : ownerKeyOf(change.object)
        if (key !== undefined) options.enqueue(key)
      }
      const { client, clock, random, logger } = options
      const scope = kind === 'RaftCluster' ? { namespace } : { namespace, ...OWNED_SCOPE }
      const reflector = new Reflector({ kind, scope, client, store, clock, random, logger, observer, onChange })
      reflectors.push({ kind, name: namespace === undefined ? kind : `${namespace}/${kind}`, reflector })
    }
  }
  const sources = reflectors.map(({ kind, name, reflector }) => ({ kind, name, synced: reflector.synced }))
  return {
    sources,
    required: sources.filter(({ kind }) => kind === 'RaftCluster'),
    clusters: () => clusterStores.flatMap((store) => [...store.values()]),
    run: async (signal) => void (await Promise.all(reflectors.map(async ({ reflector }) => reflector.run(signal)))),
  }
}

/** The RaftCluster whose label an object carries; in the object's own namespace, wherever the label points. */
export function ownerKeyOf(object: StoredObject): string | undefined {
  const cluster = object.metadata.labels?.[CLUSTER_LABEL]
  if (cluster === undefined || object.metadata.namespace === undefined) return undefined
  return `${object.metadata.namespace}/${cluster}`
}

/** Of what belongs to a RaftCluster only that something happened to it is of interest, and to which one it belongs. */
export function keptOfOwned(object: StoredObject): StoredObject {
  const { apiVersion, kind, metadata } = object
  const { name, namespace, uid, resourceVersion } = metadata
  const cluster = metadata.labels?.[CLUSTER_LABEL]
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      uid,
      resourceVersion,
      ...(namespace !== undefined && { namespace }),
      ...(cluster !== undefined && { labels: { [CLUSTER_LABEL]: cluster } }),
    },
  }
}

/** kubectl's memory of what it applied: another copy of the whole object. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

/** What metrics show and what tells a wish of people from our own writing; see `wishOf`. */
export function keptOfCluster(object: StoredObject): StoredObject {
  const { apiVersion, kind } = object
  const { managedFields: _, ...metadata } = object.metadata
  const { [LAST_APPLIED]: __, ...annotations } = metadata.annotations ?? {}
  const spec = isRecord(object['spec']) ? object['spec'] : {}
  const status = isRecord(object['status']) ? object['status'] : {}
  const { clusterID, commitIndex, leader, learners, operation, voters } = status
  const all: readonly unknown[] = Array.isArray(status['conditions']) ? status['conditions'] : []
  const conditions = all.filter((condition) => isRecord(condition) && condition['type'] === 'Ready')
  return {
    apiVersion,
    kind,
    metadata: { ...metadata, annotations },
    spec: { paused: spec['paused'] },
    status: { clusterID, commitIndex, leader, learners, operation, voters, conditions },
  }
}

/**
 * Undefined for an update of nothing but status: those are our own, and figures in it change all the time, so each
 * reconcile would set off the next.
 */
export function changedCluster(change: Change): string | undefined {
  const isNews = change.kind !== 'updated' || wishOf(change.object) !== wishOf(change.previous)
  return isNews ? keyOf(change.object) : undefined
}

/** What people, not the operator, write. */
function wishOf(cluster: StoredObject): string {
  const { generation, deletionTimestamp, labels, annotations } = cluster.metadata
  return JSON.stringify([generation, deletionTimestamp, labels, annotations])
}
