/** Many versions of few keys are compacted: how long the space of the old ones stays in use, on every member. */
import { COMPACT, PUT } from '../../twin/methods.ts'
import { until, type Cluster } from '../cluster.ts'
import { fill } from '../load.ts'
import { NONE, SHOWN, timesEtcd, type Scenario } from '../scenario.ts'
import { PROBE, putsAlone, withPuts } from '../steady-puts.ts'

const KEYS = 4000
const ROUNDS = 75
const VALUE_SIZE_BYTES = 256
const LIMIT_MS = 120_000
/** Of one version in a store: the value, its key twice, and what is around them. */
const LIVE_BYTES = 400
const TIMES_LIVE = 2
/** What the puts beside it add, and the pages of an empty store. */
const ALWAYS_BYTES = 1_000_000

const inUse = async ({ members }: Cluster): Promise<number> =>
  Math.max(...(await Promise.all(members.map(async (member) => Number((await member.status())?.dbSizeInUse ?? NaN)))))

export const compaction: Scenario<'seconds' | 'alone' | 'during' | 'failed'> = {
  name: 'compaction',
  what: (size) => `${size(KEYS) * ROUNDS} overwrites of ${size(KEYS)} keys, compacted`,
  measures: {
    seconds: { what: 'at most twice the live data in use', unit: 's', bound: timesEtcd(1.5, 1) },
    alone: { what: 'put p99 without', unit: 'ms', bound: SHOWN },
    during: { what: 'put p99 beside', unit: 'ms', bound: { kind: 'times', times: 2, of: 'alone', always: 50 } },
    failed: { what: 'puts that failed', unit: '', bound: NONE },
  },
  run: async (cluster, size) => {
    const leader = await cluster.leader()
    const { client } = leader
    const keys = { prefix: 'overwritten/', count: size(KEYS), sizeBytes: VALUE_SIZE_BYTES }
    const goal = TIMES_LIVE * keys.count * LIVE_BYTES + ALWAYS_BYTES
    await fill(client, keys, ROUNDS)
    const alone = await putsAlone(leader, PROBE)
    const { value: seconds, puts } = await withPuts(leader, PROBE, async () => {
      const { header } = await client.call(PUT, { key: Buffer.from('last') })
      await client.call(COMPACT, { revision: header?.revision ?? 0n })
      return until(async () => (await inUse(cluster)) <= goal, LIMIT_MS)
    })
    return { seconds, alone: alone.p99Ms, during: puts.p99Ms, failed: alone.failed + puts.failed }
  },
}
