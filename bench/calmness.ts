/** How calm a leader is under a load: what garbage collection takes of the time, and how late its event loop is. */
import type { Member } from '../test/limits/cluster.ts'
import { sumOf } from './metrics-page.ts'
import type { Measure } from './stage.ts'

/** Of Node's own, so etcd has none. */
export interface Calmness {
  readonly gc: number
  readonly lag: number
}

export const calmnessOf = (load: string): Readonly<Record<keyof Calmness, Measure>> => ({
  gc: { what: `of ${load} spent in garbage collection, leader`, unit: '%' },
  lag: { what: `delay of its event loop during ${load}, p99`, unit: 'ms' },
})

/** Between two looks at the event loop (api/admin/metrics.ts): part of each figure. */
const SAMPLE_MS = 100

export async function calmnessDuring(leader: Pick<Member, 'metrics'>, play: () => Promise<unknown>): Promise<Calmness> {
  const before = await looksAt(leader)
  const startMs = performance.now()
  await play()
  const tookMs = performance.now() - startMs
  const after = await looksAt(leader)
  return { gc: ((after.gcSeconds - before.gcSeconds) * 100_000) / tookMs, lag: after.lagMs }
}

/** What lags counts from the look before on. */
async function looksAt(
  leader: Pick<Member, 'metrics'>,
): Promise<{ readonly gcSeconds: number; readonly lagMs: number }> {
  const page = await leader.metrics()
  const lagSeconds = sumOf(page, 'nodejs_eventloop_lag_p99_seconds') ?? NaN
  return { gcSeconds: sumOf(page, 'nodejs_gc_duration_seconds_sum') ?? NaN, lagMs: lagSeconds * 1000 - SAMPLE_MS }
}
