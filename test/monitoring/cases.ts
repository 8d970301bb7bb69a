/**
 * For every alert series on which it fires, and series much like them on which it must not. Values are in promtool's notation,
 * one a minute: `0+5x10` counts up by 5 ten times, `_` is a scrape that is missing.
 */
export interface AlertCase {
  readonly alert: string
  readonly fires: Readonly<Record<string, string>>
  readonly stays: Readonly<Record<string, string>>
  /** When it is looked at. */
  readonly at: string
}

const A = 'namespace="shop",cluster="db"'
const MEMBER = `${A},pod="db-0"`
const NAME = 'namespace="shop",name="db"'

/** Members of one cluster, in their order. */
function ups(...values: readonly string[]): Record<string, string> {
  return Object.fromEntries(values.map((value, i) => [`up{job="etcd-shop-db",${A},pod="db-${i}"}`, value]))
}

/** A histogram in which `slow` of a hundred a minute are above `bound`. */
function durations(name: string, labels: string, bound: string, slow: number): Record<string, string> {
  return {
    [`${name}_bucket{${labels},le="${bound}"}`]: `0+${100 - slow}x40`,
    [`${name}_bucket{${labels},le="8.192"}`]: '0+100x40',
    [`${name}_bucket{${labels},le="+Inf"}`]: '0+100x40',
  }
}

const calls = (code: string, perMinute: number): Record<string, string> => ({
  [`grpc_server_handled_total{${MEMBER},grpc_service="etcdserverpb.KV",grpc_method="Put",grpc_code="${code}"}`]: `0+${perMinute}x40`,
})

const sizes = (total: string, inUse: string, quota: string): Record<string, string> => ({
  [`etcd_mvcc_db_total_size_in_bytes{${MEMBER}}`]: total,
  [`etcd_mvcc_db_total_size_in_use_in_bytes{${MEMBER}}`]: inUse,
  [`etcd_server_quota_backend_bytes{${MEMBER}}`]: quota,
})

const UNARY = `${MEMBER},grpc_type="unary",grpc_service="etcdserverpb.KV"`
const GIB = 1_073_741_824
const DAY = 24 * 60 * 60

export const CASES: readonly AlertCase[] = [
  { alert: 'RaftKVMemberDown', fires: ups('1 0x9', '1x10'), stays: ups('1 0x3 1x6', '1x10'), at: '8m' },
  {
    alert: 'RaftKVInsufficientMembers',
    fires: ups('1 0x9', '1 0x9', '1x10'),
    stays: ups('1 0x9', '1x10', '1x10'),
    at: '6m',
  },
  {
    alert: 'RaftKVNoLeader',
    fires: { [`etcd_server_has_leader{${MEMBER}}`]: '1 0x9' },
    stays: { [`etcd_server_has_leader{${MEMBER}}`]: '1 0 1x8' },
    at: '3m',
  },
  {
    alert: 'RaftKVHighNumberOfLeaderChanges',
    fires: { [`etcd_server_leader_changes_seen_total{${MEMBER}}`]: '1x5 2+1x8 10x20' },
    stays: { [`etcd_server_leader_changes_seen_total{${MEMBER}}`]: '1x5 2+1x1 3x30' },
    at: '20m',
  },
  {
    alert: 'RaftKVHighNumberOfFailedGRPCRequests',
    fires: { ...calls('OK', 900), ...calls('Unavailable', 100) },
    stays: { ...calls('OK', 900), ...calls('NotFound', 100), ...calls('Unavailable', 10) },
    at: '20m',
  },
  {
    alert: 'RaftKVGRPCRequestsSlow',
    fires: durations('grpc_server_handling_seconds', `${UNARY},grpc_method="Put"`, '0.1', 10),
    stays: {
      ...durations('grpc_server_handling_seconds', `${UNARY},grpc_method="Put"`, '0.1', 0),
      ...durations('grpc_server_handling_seconds', `${UNARY},grpc_method="Defragment"`, '0.1', 90),
    },
    at: '30m',
  },
  {
    alert: 'RaftKVMemberCommunicationSlow',
    fires: durations('etcd_network_peer_round_trip_time_seconds', `${MEMBER},To="b"`, '0.1', 10),
    stays: durations('etcd_network_peer_round_trip_time_seconds', `${MEMBER},To="b"`, '0.1', 0),
    at: '30m',
  },
  {
    alert: 'RaftKVHighNumberOfFailedProposals',
    fires: { [`etcd_server_proposals_failed_total{${MEMBER}}`]: '0+1x60' },
    stays: { [`etcd_server_proposals_failed_total{${MEMBER}}`]: '0x10 3x50' },
    at: '45m',
  },
  {
    alert: 'RaftKVHighFsyncDurations',
    fires: durations('etcd_disk_wal_fsync_duration_seconds', MEMBER, '0.512', 10),
    stays: durations('etcd_disk_wal_fsync_duration_seconds', MEMBER, '0.256', 0),
    at: '30m',
  },
  {
    alert: 'RaftKVHighCommitDurations',
    fires: durations('etcd_disk_backend_commit_duration_seconds', MEMBER, '4.096', 10),
    stays: durations('etcd_disk_backend_commit_duration_seconds', MEMBER, '4.096', 0),
    at: '30m',
  },
  {
    alert: 'RaftKVDatabaseQuotaLowSpace',
    fires: sizes(`${0.97 * GIB}x30`, `${0.97 * GIB}x30`, `${GIB}x30`),
    stays: sizes(`${0.9 * GIB}x30`, `${0.9 * GIB}x30`, `${GIB}x30`),
    at: '20m',
  },
  {
    alert: 'RaftKVExcessiveDatabaseGrowth',
    fires: sizes('0+3000000x300', '0x300', `${GIB}x300`),
    stays: sizes('0+1000000x300', '0x300', `${GIB}x300`),
    at: '4h30m',
  },
  {
    alert: 'RaftKVDatabaseHighFragmentationRatio',
    fires: sizes(`${GIB}x30`, `${0.4 * GIB}x30`, `${8 * GIB}x30`),
    stays: sizes('200000000x30', '50000000x30', `${8 * GIB}x30`),
    at: '20m',
  },
  {
    alert: 'RaftKVAlarmRaised',
    fires: { [`etcd_debugging_server_alarms{${MEMBER},server_id="a",alarm_type="NOSPACE"}`]: '_ 1x9' },
    stays: { [`etcd_debugging_server_alarms{${MEMBER},server_id="a",alarm_type="NOSPACE"}`]: '1 _x9' },
    at: '8m',
  },
  {
    alert: 'RaftClusterQuorumLost',
    fires: { [`raftcluster_condition{${NAME},type="QuorumLost"}`]: '0 1x9' },
    stays: {
      [`raftcluster_condition{${NAME},type="QuorumLost"}`]: '0x9',
      [`raftcluster_condition{${NAME},type="Degraded"}`]: '1x9',
    },
    at: '5m',
  },
  {
    alert: 'RaftClusterNotReady',
    fires: { [`raftcluster_ready{${NAME}}`]: '0x30', [`raftcluster_paused{${NAME}}`]: '0x30' },
    stays: { [`raftcluster_ready{${NAME}}`]: '0x30', [`raftcluster_paused{${NAME}}`]: '1x30' },
    at: '20m',
  },
  {
    alert: 'RaftClusterDegraded',
    fires: { [`raftcluster_condition{${NAME},type="Degraded"}`]: '0 1x30' },
    stays: { [`raftcluster_condition{${NAME},type="Degraded"}`]: '0 1x10 0x20' },
    at: '20m',
  },
  {
    alert: 'RaftClusterOperationStuck',
    fires: { [`raftcluster_operation_in_progress{${NAME}}`]: '1x90' },
    stays: { [`raftcluster_operation_in_progress{${NAME}}`]: '1x50 0 1x39' },
    at: '80m',
  },
  {
    alert: 'RaftClusterLearnerStuck',
    fires: { [`raftcluster_members{${NAME},role="learner"}`]: '1x90' },
    stays: { [`raftcluster_members{${NAME},role="learner"}`]: '1x50 0 1x39', [`raftcluster_members{${NAME},role="voter"}`]: '3x90' }, // prettier-ignore
    at: '80m',
  },
  {
    alert: 'RaftClusterPaused',
    fires: { [`raftcluster_paused{${NAME}}`]: '1x1600' },
    stays: { [`raftcluster_paused{${NAME}}`]: '1x1000 0 1x600' },
    at: '25h',
  },
  {
    alert: 'RaftClusterCertificateEnds',
    fires: { [`raftcluster_certificate_expiry_timestamp_seconds{${NAME}}`]: `${6 * DAY}x150` },
    stays: { [`raftcluster_certificate_expiry_timestamp_seconds{${NAME}}`]: `${8 * DAY}x150` },
    at: '2h',
  },
  {
    alert: 'RaftClusterBackupFailed',
    fires: { [`raftcluster_backup_failures_total{${NAME}}`]: '0x5 1x20' },
    stays: { [`raftcluster_backup_failures_total{${NAME}}`]: '1x25' },
    at: '10m',
  },
  {
    alert: 'RaftClusterBackupTooOld',
    fires: { [`raftcluster_backup_age_seconds{${NAME}}`]: `${2 * DAY - 60}+60x40` },
    stays: { [`raftcluster_backup_age_seconds{${NAME}}`]: `${DAY}+60x40` },
    at: '30m',
  },
  {
    alert: 'RaftClusterChangesNotKept',
    fires: { [`raftcluster_change_stream_age_seconds{${NAME},schedule="nightly"}`]: '10x5 20+60x40' },
    stays: { [`raftcluster_change_stream_age_seconds{${NAME},schedule="nightly"}`]: '10+20x10 8x40' },
    at: '30m',
  },
  {
    alert: 'RaftKVOperatorDown',
    fires: { 'controller_runtime_max_concurrent_reconciles{controller="another"}': '4x30' },
    stays: { 'controller_runtime_max_concurrent_reconciles{controller="raftcluster"}': '4x30' },
    at: '20m',
  },
  {
    alert: 'RaftKVOperatorErrors',
    fires: { 'controller_runtime_reconcile_errors_total{controller="raftcluster"}': '0+1x60' },
    stays: { 'controller_runtime_reconcile_errors_total{controller="raftcluster"}': '0x10 20x50' },
    at: '45m',
  },
  {
    alert: 'RaftKVOperatorBug',
    fires: { 'controller_runtime_reconcile_panics_total{controller="raftcluster"}': '0x5 1x20' },
    stays: { 'controller_runtime_reconcile_panics_total{controller="raftcluster"}': '1x25' },
    at: '10m',
  },
]
