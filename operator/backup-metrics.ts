/** What there is of backups, for alerts: read from the store when scraped, but for failures, which are counted. */
import { Counter, type Registry } from 'prom-client'
import type { Clock } from '../lib/clock.ts'
import { parseRaftBackup, type RaftBackup } from './api/raft-backup.ts'
import { COMPLETE, isTrue } from './backup/outcome.ts'
import type { ObjectName, StoredObject } from './kube/object.ts'
import { gauge } from './metrics.ts'

export interface BackupMetrics {
  /** It has backups: its failures are counted from 0. */
  known(cluster: ObjectName): void
  /** A backup of that RaftCluster has failed. */
  failed(cluster: ObjectName): void
}

export function registerBackups(
  registry: Registry,
  source: { readonly clock: Clock; readonly backups: () => Iterable<StoredObject> },
): BackupMetrics {
  const perCluster = (name: string, help: string, value: (last: Taken) => number): void =>
    gauge(registry, name, help, ['namespace', 'name'], (g) => {
      for (const last of lastOfEach(source.backups())) g.set(last.labels, value(last))
    })
  perCluster('raftcluster_backup_last_success_timestamp_seconds', 'When the last whole backup was taken.', (last) => last.takenAtMs / 1000) // prettier-ignore
  perCluster('raftcluster_backup_age_seconds', 'Age of the last whole backup.', (last) => (source.clock.wallMs() - last.takenAtMs) / 1000) // prettier-ignore
  perCluster('raftcluster_backup_stored_bytes', 'Size of the last whole backup, as it is stored.', (last) => last.backup.status.storedBytes ?? 0) // prettier-ignore
  perCluster('raftcluster_backup_duration_seconds', 'How long the last whole backup took.', (last) => last.backup.status.durationSeconds ?? 0) // prettier-ignore
  const failures = new Counter({
    name: 'raftcluster_backup_failures_total',
    help: 'Backups that failed.',
    labelNames: ['namespace', 'name'],
    registers: [registry],
  })
  return {
    known: ({ namespace, name }) => failures.inc({ namespace, name }, 0),
    failed: ({ namespace, name }) => failures.inc({ namespace, name }),
  }
}

interface Taken {
  readonly labels: { readonly namespace: string; readonly name: string }
  readonly backup: Pick<RaftBackup, 'status'>
  readonly takenAtMs: number
}

function lastOfEach(objects: Iterable<StoredObject>): Iterable<Taken> {
  const last = new Map<string, Taken>()
  for (const object of objects) {
    const parsed = parseRaftBackup(object)
    if (!parsed.ok || !isTrue(parsed.value.status.conditions, COMPLETE)) continue
    const { metadata, spec, status } = parsed.value
    const key = `${metadata.namespace}/${spec.clusterName}`
    const takenAtMs = Date.parse(status.takenAt ?? '')
    const labels = { namespace: metadata.namespace, name: spec.clusterName }
    if (!(takenAtMs <= (last.get(key)?.takenAtMs ?? -Infinity)))
      last.set(key, { labels, backup: parsed.value, takenAtMs })
  }
  return last.values()
}
