/**
 * RaftBackups and ScheduledRaftBackups, and which RaftCluster's backups each change is about. Jobs, Deployments and their pods
 * are not watched: while there is one it is looked at every few seconds.
 */
import { clusterOf } from './backup/observe.ts'
import type { SyncSource } from './controller/controller.ts'
import type { StoredObject } from './kube/object.ts'
import { isRecord } from './kube/object.ts'
import { Reflector } from './kube/reflector.ts'
import type { Change } from './kube/store.ts'
import { Store } from './kube/store.ts'
import type { WatchesOptions } from './watches.ts'

const KINDS = ['RaftBackup', 'ScheduledRaftBackup'] as const

export interface BackupWatches {
  readonly sources: readonly SyncSource[]
  /** RaftBackups, over all watched namespaces. */
  backups(): Iterable<StoredObject>
  /** ScheduledRaftBackups, as well. */
  schedules(): Iterable<StoredObject>
  /** Of the RaftClusters that have backups or schedules, `namespace/name`. */
  keys(): ReadonlySet<string>
  run(signal: AbortSignal): Promise<void>
}

/** `enqueue` receives the key of a RaftCluster, whether there is one or not. */
export function createBackupWatches(options: WatchesOptions): BackupWatches {
  const scopes = options.namespaces.length === 0 ? [undefined] : options.namespaces
  const { client, clock, random, logger } = options
  const reflectors = KINDS.flatMap((kind) =>
    scopes.map((namespace) => {
      const store = new Store(keyOfBackup, keptOfBackup)
      const onChange = (change: Change): void => {
        const key = keyOfBackup(change.object)
        if (key !== undefined && isNews(change)) options.enqueue(key)
      }
      const observer = options.observer(kind)
      const scope = { namespace }
      const reflector = new Reflector({ kind, scope, client, store, clock, random, logger, observer, onChange })
      return { kind, name: namespace === undefined ? kind : `${namespace}/${kind}`, store, reflector }
    }),
  )
  const objects = (): StoredObject[] => reflectors.flatMap(({ store }) => [...store.values()])
  return {
    sources: reflectors.map(({ name, reflector }) => ({ name, synced: reflector.synced })),
    backups: () => objects().filter(({ kind }) => kind === 'RaftBackup'),
    schedules: () => objects().filter(({ kind }) => kind === 'ScheduledRaftBackup'),
    keys: () => new Set(objects().flatMap((object) => keyOfBackup(object) ?? [])),
    run: async (signal) => void (await Promise.all(reflectors.map(async ({ reflector }) => reflector.run(signal)))),
  }
}

function keyOfBackup(object: StoredObject): string | undefined {
  const cluster = clusterOf(object)
  return cluster === undefined ? undefined : `${object.metadata.namespace ?? ''}/${cluster}`
}

/** An update of nothing but status is our own. */
function isNews(change: Change): boolean {
  const wishOf = ({ metadata }: StoredObject): string =>
    JSON.stringify([metadata.generation, metadata.deletionTimestamp])
  return change.kind !== 'updated' || wishOf(change.object) !== wishOf(change.previous)
}

/** What metrics show, and whose it is. */
function keptOfBackup(object: StoredObject): StoredObject {
  const { apiVersion, kind } = object
  const { managedFields: _, annotations: __, ...metadata } = object.metadata
  const status = isRecord(object['status']) ? object['status'] : {}
  const spec = isRecord(object['spec']) ? object['spec'] : {}
  const { destination, schedule, suspend, changeStream } = spec
  const { completedAt, takenAt, storedBytes, durationSeconds, conditions, changeStream: kept } = status
  return {
    apiVersion,
    kind,
    metadata,
    spec: { clusterName: clusterOf(object), destination, schedule, suspend, changeStream },
    status: { completedAt, takenAt, storedBytes, durationSeconds, conditions, changeStream: kept },
  }
}
