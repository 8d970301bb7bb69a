/** Large puts at once through a follower, which hands them on to the leader. */
import { PUT } from '../../twin/methods.ts'
import { inParallel, keyOf, total } from '../load.ts'
import { NONE, timesEtcd, type Scenario } from '../scenario.ts'
import { secondsOf } from '../cluster.ts'

const PUTS = 60
const SIZE_BYTES = 1_400_000

export const forwarded: Scenario<'seconds' | 'failed'> = {
  name: 'forwarded',
  what: (size) => `${size(PUTS, 20)} puts of 1.4 MB at once through a follower`,
  measures: {
    seconds: { what: 'all answered', unit: 's', bound: timesEtcd(2, 3) },
    failed: { what: 'failed', unit: '', bound: NONE },
  },
  run: async (cluster, size) => {
    const { client } = await cluster.follower()
    const value = Buffer.alloc(SIZE_BYTES, 'v')
    const puts = size(PUTS, 20)
    let failed = 0
    const seconds = await secondsOf(async () => {
      failed = total(await inParallel(puts, puts, (i) => client.call(PUT, { key: keyOf('forwarded/', i), value })))
    })
    return { seconds, failed }
  },
}
