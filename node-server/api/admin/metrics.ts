/**
 * Metrics of a member under etcd's names, so that etcd's own dashboards and alerts work unmodified, and a few of ours
 * (prefix raftkv_) for what etcd has no name for. Gauges are read when scraped, all of them from one reading of the member;
 * only durations are recorded as they happen.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { AdminStatus } from '../../../lib/admin-api.ts'
import type { NodeObserver } from '../../node/observer.ts'
import type { WatchCounts } from '../../node/watch/watchable-store.ts'
import { rpcMetrics, type RpcMetrics } from './rpc-metrics.ts'
import { ETCD_API_VERSION, ETCD_CLUSTER_VERSION, VERSION } from '../../version.ts'

/** Asked once a scrape: a status is dear. */
export interface MetricsSource {
  status(): AdminStatus
  /** Facts that only metrics need; undefined while waiting. */
  facts(): MetricsFacts | undefined
}

export interface MetricsFacts {
  readonly pendingProposals: number
  readonly quotaBytes: number
  readonly dbSizeInUseBytes: number
  readonly isDefragmenting: boolean
  readonly alarms: readonly AlarmFacts[]
  /** Undefined until clients are served. */
  readonly watch: WatchCounts | undefined
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
  readonly roundTripSeconds: number | undefined
}

/** What a scrape is answered with; all of one turn of the event loop with the same, since each costs milliseconds. */
export interface MetricsPage {
  readonly contentType: string
  text(): Promise<string>
}

export interface MemberMetrics {
  readonly registry: Registry
  readonly page: MetricsPage
  readonly node: NodeObserver
  readonly rpc: RpcMetrics
  readonly health: HealthMetrics
}

/** What the health routes of the client port were asked and answered. */
export interface HealthMetrics {
  health(isHealthy: boolean): void
  check(type: string, name: string, isOk: boolean): void
}

const DISK_BUCKETS = Array.from({ length: 14 }, (_, i) => 0.001 * 2 ** i)

/** From one second to three months. */
const TTL_BUCKETS = Array.from({ length: 24 }, (_, i) => 2 ** i)

/**
 * How often the process is woken to see whether its event loop lags; at prom-client's 10 ms that is a fifth of what an idle
 * member costs. The figures nodejs_eventloop_lag_* but the first are times from one look to the next, this included.
 */
const EVENT_LOOP_SAMPLE_MS = 100

export function memberMetrics(source: MetricsSource): MemberMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS })
  versionGauges(registry)
  const { rpc, flush } = rpcMetrics(registry)
  const setters = [...statusGauges(registry), ...peerGauges(registry)]
  const read = (): Promise<string> => {
    const reading = { status: source.status(), facts: source.facts() }
    for (const set of setters) set(reading)
    flush()
    return registry.metrics()
  }
  let sharedText: Promise<string> | undefined
  const text = (): Promise<string> => {
    if (sharedText === undefined) {
      sharedText = read()
      setImmediate(() => (sharedText = undefined))
    }
    return sharedText
  }
  return {
    registry,
    page: { contentType: registry.contentType, text },
    node: nodeObserver(registry),
    rpc,
    health: healthObserver(registry),
  }
}

/** What a scrape finds the member to be. */
interface Reading {
  readonly status: AdminStatus
  readonly facts: MetricsFacts | undefined
}

type Setter = (reading: Reading) => void

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
  [
    'etcd_debugging_mvcc_events_total',
    'Events given to watches by this member.',
    (_, facts) => facts?.watch?.events ?? 0,
  ],
  ['raftkv_raft_term', 'Raft term.', (status) => status.term],
  ['raftkv_raft_commit_index', 'Commit index.', (status) => status.commitIndex],
  ['raftkv_raft_applied_index', 'Applied index.', (status) => status.appliedIndex],
  ['raftkv_raft_config_index', 'Raft index of the configuration in force.', (status) => status.configIndex],
]

function statusGauges(registry: Registry): readonly Setter[] {
  const rows = STATUS_GAUGES.map(([name, help, read]): Setter => {
    const self = gauge(registry, name, help)
    return ({ status, facts }) => self.set(read(status, facts))
  })
  const id = gauge(registry, 'etcd_server_id', 'This member’s ID as a label.', 'server_id')
  const role = gauge(registry, 'raftkv_member_role', 'Role of this member as a label.', 'role')
  const alarms = gauge(registry, 'etcd_debugging_server_alarms', 'Alarms in force.', 'server_id', 'alarm_type')
  return [
    ...rows,
    ({ status, facts }) => {
      for (const labelled of [id, role, alarms]) labelled.reset()
      id.set({ server_id: status.memberId }, 1)
      role.set({ role: status.role }, 1)
      for (const { memberId, type } of facts?.alarms ?? []) alarms.set({ server_id: memberId, alarm_type: type }, 1)
    },
  ]
}

function versionGauges(registry: Registry): void {
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

type PeerRow = readonly [name: string, help: string, label: string, read: (peer: PeerFacts) => number | undefined]

const PEER_GAUGES: readonly PeerRow[] = [
  ['etcd_network_peer_sent_bytes_total', 'Bytes sent to a peer.', 'To', (peer) => peer.sentBytes],
  ['etcd_network_peer_received_bytes_total', 'Bytes received from a peer.', 'From', (peer) => peer.receivedBytes],
  [
    'etcd_network_peer_sent_failures_total',
    'Messages that could not be sent to a peer.',
    'To',
    (peer) => peer.sendFailures,
  ],
  ['raftkv_peer_round_trip_seconds', 'Last round trip to a peer, in seconds.', 'To', (peer) => peer.roundTripSeconds],
]

function peerGauges(registry: Registry): readonly Setter[] {
  const lag = gauge(registry, 'raftkv_raft_peer_lag_entries', 'On the leader: entries a peer is behind.', 'To')
  const rows = PEER_GAUGES.map(([name, help, label, read]): Setter => {
    const self = gauge(registry, name, help, label)
    return ({ facts }) => {
      self.reset()
      for (const peer of facts?.peers ?? []) {
        const value = read(peer)
        if (value !== undefined) self.set({ [label]: peer.id }, value)
      }
    }
  })
  return [
    ({ status }) => {
      lag.reset()
      for (const peer of status.peers) lag.set({ To: peer.id }, peer.lag)
    },
    ...rows,
  ]
}

function nodeObserver(registry: Registry): NodeObserver {
  const registers = [registry]
  const disk = (name: string, help: string): Histogram =>
    new Histogram({ name, help, registers, buckets: DISK_BUCKETS })
  const count = (name: string, help: string): Counter => new Counter({ name, help, registers })
  const walFsync = disk('etcd_disk_wal_fsync_duration_seconds', 'Time of one WAL write and fsync, in seconds.')
  const backendCommit = disk(
    'etcd_disk_backend_commit_duration_seconds',
    'Time of one commit of the store to disk, in seconds.',
  )
  const failed = count('etcd_server_proposals_failed_total', 'Proposals that failed.')
  const changes = count('etcd_server_leader_changes_seen_total', 'Changes of leader that this member saw.')
  const slow = count('etcd_server_slow_apply_total', 'Apply batches slower than 100 ms.')
  const granted = count('etcd_debugging_lease_granted_total', 'Leases granted.')
  const revoked = count('etcd_debugging_lease_revoked_total', 'Leases revoked, also because they were over.')
  const renewed = count('etcd_debugging_lease_renewed_total', 'Renewals of leases that this member answered as leader.')
  const expired = count('etcd_debugging_server_lease_expired_total', 'Leases that this member ended as leader.')
  const ttls = new Histogram({
    name: 'etcd_debugging_lease_ttl_total',
    help: 'TTLs granted, in seconds.',
    registers,
    buckets: TTL_BUCKETS,
  })
  return {
    walFsync: (seconds) => walFsync.observe(seconds),
    backendCommit: (seconds) => backendCommit.observe(seconds),
    proposalFailed: () => failed.inc(),
    leaderChanged: () => changes.inc(),
    slowApply: () => slow.inc(),
    leaseGranted: (ttlSeconds) => {
      granted.inc()
      ttls.observe(ttlSeconds)
    },
    leaseRevoked: () => revoked.inc(),
    leaseRenewed: () => renewed.inc(),
    leaseExpired: () => expired.inc(),
  }
}

function healthObserver(registry: Registry): HealthMetrics {
  const registers = [registry]
  const succeeded = new Counter({ name: 'etcd_server_health_success', help: '/health said healthy.', registers })
  const failed = new Counter({ name: 'etcd_server_health_failures', help: '/health said not healthy.', registers })
  const latest = new Gauge({
    name: 'etcd_server_healthcheck',
    help: 'Last result of a check of /livez or /readyz: 1 or 0.',
    labelNames: ['type', 'name'],
    registers,
  })
  const checks = new Counter({
    name: 'etcd_server_healthchecks_total',
    help: 'Checks of /livez and /readyz, by result.',
    labelNames: ['type', 'name', 'status'],
    registers,
  })
  return {
    health: (isHealthy) => (isHealthy ? succeeded : failed).inc(),
    check: (type, name, isOk) => {
      latest.set({ type, name }, Number(isOk))
      checks.inc({ type, name, status: isOk ? 'success' : 'error' })
    },
  }
}

function gauge(registry: Registry, name: string, help: string, ...labelNames: string[]): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] })
}
