/** Looks after backups beside the clusters: watches, a controller and metrics of its own, over the same connection and lease. */
import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import type { Clock } from '../lib/clock.ts'
import { reconcileBackups } from './backup/reconcile.ts'
import { registerBackups } from './backup-metrics.ts'
import { type BackupWatches, createBackupWatches } from './backup-watches.ts'
import type { Config } from './config.ts'
import { Controller } from './controller/controller.ts'
import { askFollower } from './follower-client.ts'
import { BACKUP_STATUS_FIELD_MANAGER, ClusterAccess } from './kube/cluster-access.ts'
import type { KubeClient } from './kube/client.ts'
import type { EventRecorder } from './kube/events.ts'
import { parseKey } from './kube/object.ts'
import { BACKUP_CONTROLLER, type OperatorMetrics } from './metrics.ts'

export interface BackupControllerOptions {
  readonly config: Config
  /** With the lease's guard. */
  readonly client: KubeClient
  /** For watches. */
  readonly unguarded: KubeClient
  readonly events: EventRecorder
  readonly metrics: OperatorMetrics
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
}

export interface BackupController {
  readonly controller: Controller
  readonly watches: BackupWatches
}

export function createBackupController(options: BackupControllerOptions): BackupController {
  const { config, client, unguarded, events, metrics, clock, random, logger } = options
  const watches = createBackupWatches({
    client: unguarded,
    clock,
    random,
    logger: logger.child({ logger: 'reflector' }),
    observer: (kind) => metrics.reflector(kind),
    namespaces: config.namespaces,
    enqueue: (key) => controller.enqueue(key),
  })
  const backupMetrics = registerBackups(metrics.registry, {
    clock,
    backups: () => metrics.whileWorking(() => watches.backups()),
    schedules: () => metrics.whileWorking(() => watches.schedules()),
  })
  const controller = new Controller({
    name: BACKUP_CONTROLLER,
    reconcile: (key, { signal }) => {
      backupMetrics.known(parseKey(key))
      const access = new ClusterAccess(client.withSignal(signal), BACKUP_STATUS_FIELD_MANAGER)
      const deps = {
        reader: access,
        writer: access,
        events,
        nowMs: () => clock.wallMs(),
        defaultImage: config.memberImage,
        askFollower: (url: string) => askFollower(url, signal),
        onFailure: () => backupMetrics.failed(parseKey(key)),
        onGap: () => backupMetrics.gap(parseKey(key)),
      }
      return reconcileBackups(deps, parseKey(key))
    },
    clock,
    logger: logger.child({ logger: 'controller', controller: BACKUP_CONTROLLER }),
    logFields: (key) => ({ backupsOf: parseKey(key) }),
    newId: randomUUID,
    observer: metrics.controller(BACKUP_CONTROLLER),
    onBug: () => metrics.bug(BACKUP_CONTROLLER),
    maxConcurrent: config.maxConcurrentReconciles,
    reconcileTimeoutMs: config.reconcileTimeoutMs,
    resyncPeriodMs: config.resyncPeriodMs,
    keys: () => watches.keys(),
  })
  return { controller, watches }
}
