/** Ten minutes at full load: whether the leader is calm. Long, so only when it is named. */
import type { Member } from '../../test/limits/cluster.ts'
import { sumOf } from '../metrics-page.ts'
import { look, type Load, type Stage } from '../stage.ts'
import { runLoad } from '../tool.ts'

const FOR_MS = 600_000
const PUTS: Load = {
  kind: 'load',
  name: 'calm-puts',
  what: 'puts, again and again',
  program: 'benchmark',
  args: ['put', '--key-size=8', '--sequential-keys', '--key-space-size=100000', '--val-size=256'],
  total: 100_000,
}
/** Between two looks at the event loop (api/admin/metrics.ts): part of each figure. */
const SAMPLE_MS = 100

/** Of Node's own, so etcd has none. What lags counts from the look before on. */
async function looksAt(leader: Member): Promise<{ readonly gcSeconds: number; readonly lagMs: number }> {
  const page = await leader.metrics()
  const lagSeconds = sumOf(page, 'nodejs_eventloop_lag_p99_seconds') ?? NaN
  return { gcSeconds: sumOf(page, 'nodejs_gc_duration_seconds_sum') ?? NaN, lagMs: lagSeconds * 1000 - SAMPLE_MS }
}

export const calm: Stage = {
  name: 'calm',
  endsLeaders: true, // elections are what is counted
  steps: [
    look({
      name: 'calm',
      isExtra: true,
      measures: {
        gc: { what: 'of ten minutes of puts spent in garbage collection, leader', unit: '%' },
        lag: { what: 'delay of its event loop, p99', unit: 'ms' },
        elections: { what: 'elections in these ten minutes', unit: '' },
      },
      run: async (place) => {
        const { cluster, size } = place
        const leader = await cluster.leader()
        const before = await looksAt(leader)
        const startMs = performance.now()
        while (performance.now() - startMs < size(FOR_MS)) await runLoad(place, PUTS)
        const tookMs = performance.now() - startMs
        const after = await looksAt(leader)
        const gc = ((after.gcSeconds - before.gcSeconds) * 100_000) / tookMs
        return { gc, lag: after.lagMs, elections: await cluster.elections() }
      },
    }),
  ],
}
