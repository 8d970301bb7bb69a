/** Metrics that are counted and timed as things happen. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { MemberId } from '../../../lib/ids.ts'
import type { NodeObserver } from '../../node/observer.ts'

/** What the health routes of the client port were asked and answered. */
export interface HealthMetrics {
  health(isHealthy: boolean): void
  check(type: string, name: string, isOk: boolean): void
}

const DISK_BUCKETS = Array.from({ length: 14 }, (_, i) => 0.001 * 2 ** i)

/** From one second to three months. */
const TTL_BUCKETS = Array.from({ length: 24 }, (_, i) => 2 ** i)

/** From a tenth of a millisecond to 3.3 s, as etcd's. */
const ROUND_TRIP_BUCKETS = Array.from({ length: 16 }, (_, i) => 0.0001 * 2 ** i)

export function nodeObserver(registry: Registry): NodeObserver {
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

export function healthObserver(registry: Registry): HealthMetrics {
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

export function roundTripObserver(registry: Registry): (peer: MemberId, ms: number) => void {
  const seconds = new Histogram({
    name: 'etcd_network_peer_round_trip_time_seconds',
    help: 'Round trip of a ping to a peer, in seconds.',
    labelNames: ['To'],
    registers: [registry],
    buckets: ROUND_TRIP_BUCKETS,
  })
  return (peer, ms) => seconds.observe({ To: peer.toString(16) }, ms / 1000)
}
