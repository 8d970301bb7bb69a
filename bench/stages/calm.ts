/** Ten minutes at full load: whether the leader is calm. Long, so only when it is named. */
import { calmnessDuring, calmnessOf } from '../calmness.ts'
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
export const calm: Stage = {
  name: 'calm',
  endsLeaders: true, // elections are what is counted
  steps: [
    look({
      name: 'calm',
      isExtra: true,
      measures: {
        ...calmnessOf('ten minutes of puts'),
        elections: { what: 'elections in these ten minutes', unit: '' },
      },
      run: async (place) => {
        const { cluster, size } = place
        const startMs = performance.now()
        const { gc, lag } = await calmnessDuring(await cluster.leader(), async () => {
          while (performance.now() - startMs < size(FOR_MS)) await runLoad(place, PUTS)
        })
        return { gc, lag, elections: await cluster.elections() }
      },
    }),
  ],
}
