/**
 * Metrics of a member under etcd's names, so that etcd's own dashboards and alerts work unmodified, and a few of ours
 * (prefix raftkv_) for what etcd has no name for. Gauges are read when scraped, all of them from one reading of the member;
 * only durations are recorded as they happen.
 */
import { Registry, collectDefaultMetrics } from 'prom-client'
import type { AdminStatus } from '../../../lib/admin-api.ts'
import type { MemberId } from '../../../lib/ids.ts'
import type { NodeObserver } from '../../node/observer.ts'
import { healthObserver, nodeObserver, roundTripObserver, type HealthMetrics } from './observed.ts'
import { peerReadings, statusReadings, versionGauges, type MetricsFacts } from './readings.ts'
import { rpcMetrics, type RpcMetrics } from './rpc-metrics.ts'

/** Asked once a scrape: a status is dear. */
export interface MetricsSource {
  status(): AdminStatus
  /** Facts that only metrics need; undefined while waiting. */
  facts(): MetricsFacts | undefined
}

/**
 * What a scrape is answered with. A page costs milliseconds: all scrapes of one turn of the event loop have the same, and when many
 * come, those of a twentieth of a second.
 */
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
  readonly roundTrip: (peer: MemberId, ms: number) => void
}

/**
 * How often the process is woken to see whether its event loop lags; at prom-client's 10 ms that is a fifth of what an idle
 * member costs. The figures nodejs_eventloop_lag_* but the first are times from one look to the next, this included.
 */
const EVENT_LOOP_SAMPLE_MS = 100

/** Pages that are made in a second, and at once before that counts. */
const MAX_PAGES_PER_SECOND = 20

/** `nowMs`: a monotonic clock. */
export function memberMetrics(source: MetricsSource, nowMs = (): number => performance.now()): MemberMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS })
  versionGauges(registry)
  const { rpc, flush } = rpcMetrics(registry)
  const readings = [...statusReadings(registry), ...peerReadings(registry)]
  const read = (): Promise<string> => {
    const found = { status: source.status(), facts: source.facts() }
    for (const tell of readings) tell(found)
    flush()
    return registry.metrics()
  }
  return {
    registry,
    page: { contentType: registry.contentType, text: shared(read, nowMs) },
    node: nodeObserver(registry),
    rpc,
    health: healthObserver(registry),
    roundTrip: roundTripObserver(registry),
  }
}

/** What `read` gave a moment ago serves for all who ask in the same turn, and for who asks too often. */
function shared(read: () => Promise<string>, nowMs: () => number): () => Promise<string> {
  let last: Promise<string> | undefined
  let isOfThisTurn = false
  let [left, countedMs] = [MAX_PAGES_PER_SECOND, nowMs()]
  return () => {
    const now = nowMs()
    left = Math.min(MAX_PAGES_PER_SECOND, left + ((now - countedMs) * MAX_PAGES_PER_SECOND) / 1000)
    countedMs = now
    if (last !== undefined && (isOfThisTurn || left < 1)) return last
    left -= 1
    last = read()
    isOfThisTurn = true
    setImmediate(() => (isOfThisTurn = false))
    return last
  }
}
