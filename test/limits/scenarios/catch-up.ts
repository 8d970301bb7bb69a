/** A follower that was away for many large puts comes back, with the log alone: what is in flight to it, frame by frame. */
import { PUT } from '../../twin/methods.ts'
import { untilCaughtUp, type Cluster } from '../cluster.ts'
import { allInParallel, keyOf } from '../load.ts'
import { SHOWN, timesEtcd, type Scenario } from '../scenario.ts'
import { withPuts } from '../steady-puts.ts'

const SIZE_BYTES = 100_000
const PUTS = 1500
const AT_ONCE = 16
const BESIDE = { perSecond: 100, sizeBytes: SIZE_BYTES } as const
const ON_ITS_WAY = 20n

const CAUGHT_UP = { what: 'caught up after its start', unit: 's', bound: timesEtcd(1.2, 2) } as const
const CPU = { what: "the follower's processor time", unit: 's', bound: SHOWN } as const

async function behind(cluster: Cluster, puts: number) {
  const [leader, follower] = [await cluster.leader(), await cluster.follower()]
  await follower.stop('SIGTERM')
  const value = Buffer.alloc(SIZE_BYTES, 'v')
  await allInParallel(puts, AT_ONCE, (i) => leader.client.call(PUT, { key: keyOf('behind/', i), value }))
  return { leader, follower }
}

export const catchUp: Scenario<'caughtUp' | 'cpu'> = {
  name: 'catch-up',
  what: (size) => `a follower comes back ${size(PUTS)} puts of 100 KB behind`,
  measures: { caughtUp: CAUGHT_UP, cpu: CPU },
  run: async (cluster, size) => {
    const { leader, follower } = await behind(cluster, size(PUTS))
    follower.start()
    const caughtUp = await untilCaughtUp(follower, leader)
    return { caughtUp, cpu: follower.cpuSeconds() }
  },
}

export const catchUpUnderWrites: Scenario<'caughtUp' | 'cpu' | 'puts'> = {
  name: 'catch-up-under-writes',
  what: (size) => `the same ${size(PUTS)} puts behind, under 10 MB/s of writes`,
  measures: { caughtUp: CAUGHT_UP, cpu: CPU, puts: { what: 'puts a second beside', unit: '', bound: SHOWN } },
  run: async (cluster, size) => {
    const { leader, follower } = await behind(cluster, size(PUTS))
    const { value, puts } = await withPuts(leader, BESIDE, async () => {
      follower.start()
      const caughtUp = await untilCaughtUp(follower, leader, ON_ITS_WAY)
      return { caughtUp, cpu: follower.cpuSeconds() }
    })
    return { ...value, puts: puts.perSecond }
  },
}
