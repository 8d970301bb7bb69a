/**
 * Metrics that are read when they are scraped, all of them from one reading of the member: who it is, how far it is, what it
 * has counted. The names, types and labels are etcd's where etcd has them.
 */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { AdminStatus } from '../../../lib/admin-api.ts'
import type { OperationCounts } from '../../mvcc/store.ts'
import type { WatchCounts } from '../../node/watch/watchable-store.ts'
import { VERSION } from '../../../lib/version.ts'
import { ETCD_API_VERSION, ETCD_CLUSTER_VERSION } from '../../version.ts'

export interface MetricsFacts {
  readonly pendingProposals: number
  readonly quotaBytes: number
  readonly dbSizeInUseBytes: number
  readonly isDefragmenting: boolean
  readonly alarms: readonly AlarmFacts[]
  /** Undefined until clients are served. */
  readonly watch: WatchCounts | undefined
  readonly operations: Readonly<OperationCounts>
  readonly peers: readonly PeerFacts[]
}

export interface AlarmFacts {
  readonly memberId: string
  readonly type: 'NOSPACE' | 'CORRUPT'
}

export interface PeerFacts {
  readonly id: string
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly sendFailures: number
  readonly isConnected: boolean
}

/** What a scrape finds the member to be. */
export interface Found {
  readonly status: AdminStatus
  readonly facts: MetricsFacts | undefined
}

/** Tells the registry of it. */
export type Reading = (found: Found) => void

type Row = readonly [name: string, help: string, read: (status: AdminStatus, facts: MetricsFacts | undefined) => number]

const STATUS_GAUGES: readonly Row[] = [
  ['etcd_server_has_leader', 'Whether a leader is known: 1 or 0.', (status) => Number(status.leader !== '')],
  ['etcd_server_is_leader', 'Whether this member leads: 1 or 0.', (status) => Number(status.role === 'leader')],
  [
    'etcd_server_is_learner',
    'Whether this member is a learner: 1 or 0.',
    (status) => Number(status.role === 'learner'),
  ],
  [
    'etcd_server_proposals_committed_total',
    'Commit index: entries known to be on a majority.',
    (status) => status.commitIndex,
  ],
  [
    'etcd_server_proposals_applied_total',
    'Applied index: entries that changed the store.',
    (status) => status.appliedIndex,
  ],
  [
    'etcd_server_proposals_pending',
    'Proposals that wait for their result.',
    (_, facts) => facts?.pendingProposals ?? 0,
  ],
  [
    'etcd_server_quota_backend_bytes',
    'Size at which the store refuses writes, in bytes.',
    (_, facts) => facts?.quotaBytes ?? 0,
  ],
  ['etcd_mvcc_db_total_size_in_bytes', 'Size of the store on disk, in bytes.', (status) => status.dbSizeBytes],
  [
    'etcd_mvcc_db_total_size_in_use_in_bytes',
    'Size of the store less its free pages, in bytes.',
    (_, facts) => facts?.dbSizeInUseBytes ?? 0,
  ],
  [
    'etcd_disk_defrag_inflight',
    'Whether the store is being defragmented: 1 or 0.',
    (_, facts) => Number(facts?.isDefragmenting ?? false),
  ],
  ['etcd_debugging_mvcc_watch_stream_total', 'Watch streams that are open.', (_, facts) => facts?.watch?.streams ?? 0],
  ['etcd_debugging_mvcc_watcher_total', 'Watches that are open.', (_, facts) => facts?.watch?.watchers ?? 0],
  [
    'etcd_debugging_mvcc_slow_watcher_total',
    'Watches that do not keep up with the store.',
    (_, facts) => facts?.watch?.slowWatchers ?? 0,
  ],
  ['raftkv_raft_term', 'Raft term.', (status) => status.term],
  ['raftkv_raft_commit_index', 'Commit index.', (status) => status.commitIndex],
  ['raftkv_raft_applied_index', 'Applied index.', (status) => status.appliedIndex],
  ['raftkv_raft_config_index', 'Raft index of the configuration in force.', (status) => status.configIndex],
]

const STATUS_COUNTERS: readonly Row[] = [
  [
    'etcd_debugging_mvcc_events_total',
    'Events given to watches by this member.',
    (_, facts) => facts?.watch?.events ?? 0,
  ],
  ['etcd_mvcc_put_total', 'Puts that this member has carried out.', (_, facts) => facts?.operations.puts ?? 0],
  [
    'etcd_mvcc_delete_total',
    'Deletes of keys and ranges that this member has carried out.',
    (_, facts) => facts?.operations.deletes ?? 0,
  ],
  ['etcd_mvcc_range_total', 'Ranges that this member has read.', (_, facts) => facts?.operations.ranges ?? 0],
  [
    'etcd_mvcc_txn_total',
    'Txns of more than one operation that this member has carried out.',
    (_, facts) => facts?.operations.txns ?? 0,
  ],
]

export function statusReadings(registry: Registry): readonly Reading[] {
  const gauges = STATUS_GAUGES.map(([name, help, read]): Reading => {
    const self = gauge(registry, name, help)
    return ({ status, facts }) => self.set(read(status, facts))
  })
  const counters = STATUS_COUNTERS.map(([name, help, read]): Reading => {
    const self = new Counter({ name, help, registers: [registry] })
    return ({ status, facts }) => {
      self.reset() // it is counted elsewhere
      self.inc(read(status, facts))
    }
  })
  const id = gauge(registry, 'etcd_server_id', 'This member’s ID as a label.', 'server_id')
  const role = gauge(registry, 'raftkv_member_role', 'Role of this member as a label.', 'role')
  const alarms = gauge(registry, 'etcd_debugging_server_alarms', 'Alarms in force.', 'server_id', 'alarm_type')
  return [
    ...gauges,
    ...counters,
    ({ status, facts }) => {
      for (const labelled of [id, role, alarms]) labelled.reset()
      id.set({ server_id: inLabel(status.memberId) }, 1)
      role.set({ role: status.role }, 1)
      for (const { memberId, type } of facts?.alarms ?? []) alarms.set({ server_id: memberId, alarm_type: type }, 1)
    },
  ]
}

export function versionGauges(registry: Registry): void {
  const clusterVersion = ETCD_CLUSTER_VERSION.replace(/\.0$/, '')
  gauge(registry, 'etcd_server_version', 'The etcd API level that clients are told.', 'server_version').set(
    { server_version: ETCD_API_VERSION },
    1,
  )
  gauge(registry, 'etcd_cluster_version', 'The etcd API level of the cluster.', 'cluster_version').set(
    { cluster_version: clusterVersion },
    1,
  )
  gauge(registry, 'raftkv_version', 'Version of this program.', 'version').set({ version: VERSION }, 1)
}

type PeerRow = readonly [name: string, help: string, label: string, read: (peer: PeerFacts) => number]

const PEER_COUNTERS: readonly PeerRow[] = [
  ['etcd_network_peer_sent_bytes_total', 'Bytes sent to a peer.', 'To', (peer) => peer.sentBytes],
  ['etcd_network_peer_received_bytes_total', 'Bytes received from a peer.', 'From', (peer) => peer.receivedBytes],
  [
    'etcd_network_peer_sent_failures_total',
    'Messages that could not be sent to a peer.',
    'To',
    (peer) => peer.sendFailures,
  ],
]

export function peerReadings(registry: Registry): readonly Reading[] {
  const counters = PEER_COUNTERS.map(([name, help, label, read]): Reading => {
    const self = new Counter({ name, help, labelNames: [label], registers: [registry] })
    return ({ facts }) => {
      self.reset()
      for (const peer of facts?.peers ?? []) self.inc({ [label]: peer.id }, read(peer))
    }
  })
  const lag = gauge(registry, 'raftkv_raft_peer_lag_entries', 'On the leader: entries a peer is behind.', 'To')
  const active = gauge(registry, 'etcd_network_active_peers', 'Peers with a connection: 1 or 0.', 'Local', 'Remote')
  const known = gauge(registry, 'etcd_network_known_peers', 'Peers of this member, and itself.', 'Local', 'Remote')
  return [
    ...counters,
    ({ status: { memberId, peers }, facts }) => {
      const own = inLabel(memberId)
      for (const labelled of [lag, active, known]) labelled.reset()
      for (const peer of peers) lag.set({ To: inLabel(peer.id) }, peer.lag)
      for (const { id, isConnected } of facts?.peers ?? []) active.set({ Local: own, Remote: id }, Number(isConnected))
      for (const { id } of facts === undefined ? [] : [{ id: own }, ...facts.peers])
        known.set({ Local: own, Remote: id }, 1)
    },
  ]
}

function gauge(registry: Registry, name: string, help: string, ...labelNames: string[]): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] })
}

/** etcd's metrics have IDs without leading zeros. */
function inLabel(id: string): string {
  return id.replace(/^0+(?=.)/, '')
}
