/** What there is of backups, for alerts: read from the store when scraped, but for failures, which are counted. */
import { Counter, type Registry } from 'prom-client'
import type { Clock } from '../lib/clock.ts'
import { parseRaftBackup, parseScheduledRaftBackup, type RaftBackup } from './api/raft-backup.ts'
import { COMPLETE, isTrue } from './backup/outcome.ts'
import { isEnabled } from './backup/stream.ts'
import type { ObjectName, StoredObject } from './kube/object.ts'
import { gauge } from './metrics.ts'

export interface BackupMetrics {
  /** It has backups: its failures are counted from 0. */
  known(cluster: ObjectName): void
  /** A backup of that RaftCluster has failed. */
  failed(cluster: ObjectName): void
  /** Changes of that RaftCluster could not be kept. */
  gap(cluster: ObjectName): void
}

export interface BackupsSource {
  readonly clock: Clock
  /** RaftBackups. */
  readonly backups: () => Iterable<StoredObject>
  /** ScheduledRaftBackups. */
  readonly schedules: () => Iterable<StoredObject>
}

export function registerBackups(registry: Registry, source: BackupsSource): BackupMetrics {
  const perCluster = (name: string, help: string, value: (last: Taken) => number): void =>
    gauge(registry, name, help, ['namespace', 'name'], (g) => {
      for (const last of lastOfEach(source.backups())) g.set(last.labels, value(last))
    })
  perCluster('raftcluster_backup_last_success_timestamp_seconds', 'When the last whole backup was taken.', (last) => last.takenAtMs / 1000) // prettier-ignore
  perCluster('raftcluster_backup_age_seconds', 'Age of the last whole backup.', (last) => (source.clock.wallMs() - last.takenAtMs) / 1000) // prettier-ignore
  perCluster('raftcluster_backup_stored_bytes', 'Size of the last whole backup, as it is stored.', (last) => last.backup.status.storedBytes ?? 0) // prettier-ignore
  perCluster('raftcluster_backup_duration_seconds', 'How long the last whole backup took.', (last) => last.backup.status.durationSeconds ?? 0) // prettier-ignore
  const perStream = (name: string, help: string, value: (stream: Stream) => number): void =>
    gauge(registry, name, help, ['namespace', 'name', 'schedule'], (g) => {
      for (const stream of streamsOf(source.schedules())) g.set(stream.labels, value(stream))
    })
  perStream('raftcluster_change_stream_timestamp_seconds', 'The newest time that can be restored.', (stream) => stream.timeMs / 1000) // prettier-ignore
  perStream('raftcluster_change_stream_age_seconds', 'Age of the newest time that can be restored.', (stream) => (source.clock.wallMs() - stream.timeMs) / 1000) // prettier-ignore
  perStream('raftcluster_change_stream_revision', 'The newest revision that can be restored.', (stream) => stream.revision) // prettier-ignore
  const counted = (name: string, help: string): Counter =>
    new Counter({ name, help, labelNames: ['namespace', 'name'], registers: [registry] })
  const failures = counted(
    'raftcluster_backup_failures_total',
    'Backups that failed, or could not be restored when that was tried.',
  )
  const gaps = counted('raftcluster_change_stream_gaps_total', 'Times that changes could not be kept.')
  return {
    known: ({ namespace, name }) => {
      for (const counter of [failures, gaps]) counter.inc({ namespace, name }, 0)
    },
    failed: ({ namespace, name }) => failures.inc({ namespace, name }),
    gap: ({ namespace, name }) => gaps.inc({ namespace, name }),
  }
}

interface Stream {
  readonly labels: { readonly namespace: string; readonly name: string; readonly schedule: string }
  readonly timeMs: number
  readonly revision: number
}

/** Those that are to run and have kept anything. */
function* streamsOf(objects: Iterable<StoredObject>): Iterable<Stream> {
  for (const object of objects) {
    const parsed = parseScheduledRaftBackup(object)
    if (!parsed.ok || !isEnabled(parsed.value) || parsed.value.spec.suspend) continue
    const { metadata, spec, status } = parsed.value
    const timeMs = Date.parse(status.changeStream?.time ?? '')
    if (Number.isNaN(timeMs)) continue
    const labels = { namespace: metadata.namespace, name: spec.clusterName, schedule: metadata.name }
    yield { labels, timeMs, revision: status.changeStream?.revision ?? 0 }
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
