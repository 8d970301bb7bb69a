/** What Prometheus finds: the series that etcd's dashboards and alerts ask for, and that they count the same. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Tree } from '../tree.ts'
import type { Twin } from '../twin.ts'
import { DELETE_RANGE, RANGE, TXN } from '../methods.ts'
import { b, EVERYTHING, put, type Case } from './case.ts'

/** Of the mixin (alerts, dashboard) of etcd 3.7 and of dashboards that many have. */
const WANTED = [
  'etcd_cluster_version',
  'etcd_debugging_mvcc_events_total',
  'etcd_debugging_mvcc_slow_watcher_total',
  'etcd_debugging_mvcc_watch_stream_total',
  'etcd_debugging_mvcc_watcher_total',
  'etcd_disk_backend_commit_duration_seconds',
  'etcd_disk_defrag_inflight',
  'etcd_disk_wal_fsync_duration_seconds',
  'etcd_mvcc_db_total_size_in_bytes',
  'etcd_mvcc_db_total_size_in_use_in_bytes',
  'etcd_mvcc_delete_total',
  'etcd_mvcc_put_total',
  'etcd_mvcc_range_total',
  'etcd_mvcc_txn_total',
  'etcd_network_client_grpc_received_bytes_total',
  'etcd_network_client_grpc_sent_bytes_total',
  'etcd_network_known_peers',
  'etcd_server_has_leader',
  'etcd_server_health_failures',
  'etcd_server_health_success',
  'etcd_server_id',
  'etcd_server_is_leader',
  'etcd_server_is_learner',
  'etcd_server_leader_changes_seen_total',
  'etcd_server_proposals_applied_total',
  'etcd_server_proposals_committed_total',
  'etcd_server_proposals_failed_total',
  'etcd_server_proposals_pending',
  'etcd_server_quota_backend_bytes',
  'etcd_server_slow_apply_total',
  'etcd_server_version',
  'grpc_server_handled_total',
  'grpc_server_started_total',
  'process_cpu_seconds_total',
  'process_max_fds',
  'process_open_fds',
  'process_resident_memory_bytes',
  'process_start_time_seconds',
]

/** Counted on both sides from here on. */
const COUNTED = ['etcd_mvcc_put_total', 'etcd_mvcc_delete_total', 'etcd_mvcc_range_total', 'etcd_mvcc_txn_total']

interface Scrape {
  readonly types: ReadonlyMap<string, string>
  /** By the name of the series without its labels, and `_bucket` and the like. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>
  readonly values: ReadonlyMap<string, number>
}

function scrapeOf(text: string): Scrape {
  const types = new Map<string, string>()
  const labels = new Map<string, Set<string>>()
  const values = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, typed = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
    if (typed !== '') types.set(typed, type)
    const [, name = '', , given = '', value = ''] = /^([a-z_]+)(\{(.*)\})? (\S+)/.exec(line) ?? []
    if (name === '') continue
    const family = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, '')
    const names = labels.get(family) ?? labels.set(family, new Set()).get(family)
    for (const [, label = ''] of given.matchAll(/([a-zA-Z_]+)="/g)) names?.add(label)
    values.set(name, Number(value))
  }
  return { types, labels, values }
}

function shapeOf({ types, labels }: Scrape): Tree {
  return WANTED.map((name) => `${name} ${types.get(name)} ${[...(labels.get(name) ?? [])].toSorted().join()}`)
}

/** Those of both before and after, in which nobody else asks. */
async function scrapes(twin: Twin): Promise<{ readonly etcd: Scrape; readonly ours: Scrape }> {
  const { etcd, ours } = twin.servers
  const [theirs, own] = await Promise.all([etcd.metrics(), ours.metrics()])
  return { etcd: scrapeOf(theirs), ours: scrapeOf(own) }
}

function countedSince(before: Scrape, after: Scrape): Tree {
  return COUNTED.map((name) => `${name} +${(after.values.get(name) ?? NaN) - (before.values.get(name) ?? NaN)}`)
}

export const METRICS_CASES: readonly Case[] = [
  {
    name: 'metrics: names, types and labels that dashboards and alerts ask for, and what is counted',
    needsNewServers: true,
    run: async (twin) => {
      await sleep(3000) // etcd sets the version of a new cluster
      await put(twin, 'a')
      const before = await scrapes(twin)
      twin.note('/metrics', 'names, types and labels', shapeOf(before.etcd), shapeOf(before.ours))
      for (const key of ['a', 'b', 'c']) await put(twin, key)
      await twin.call(RANGE, { key: b('a') })
      await twin.call(RANGE, EVERYTHING)
      await twin.call(RANGE, { ...EVERYTHING, serializable: true })
      await twin.call(DELETE_RANGE, { key: b('b'), rangeEnd: b('d') })
      await twin.call(TXN, {
        success: [
          { request: { $case: 'requestPut', value: { key: b('d') } } },
          { request: { $case: 'requestRange', value: EVERYTHING } },
        ],
      })
      const after = await scrapes(twin)
      const [etcd, ours] = [countedSince(before.etcd, after.etcd), countedSince(before.ours, after.ours)]
      twin.note('/metrics', 'what has been counted', etcd, ours)
    },
  },
]
