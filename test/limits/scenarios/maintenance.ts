/** What goes through the whole store, asked of the leader while it takes writes. */
import { DEFRAGMENT, HASH, HASH_KV, SNAPSHOT } from '../../twin/methods.ts'
import { secondsOf } from '../cluster.ts'
import type { MemberClient } from '../client.ts'
import { fill } from '../load.ts'
import { NONE, SHOWN, timesEtcd, type Scenario } from '../scenario.ts'
import { putsAlone, withPuts } from '../steady-puts.ts'

const KEYS = 100_000
const VALUE_SIZE_BYTES = 1000
const WRITES = { perSecond: 200, sizeBytes: 256 } as const

function ofTheLeader(
  name: string,
  what: string,
  ask: (client: MemberClient) => Promise<unknown>,
): Scenario<'seconds' | 'alone' | 'during' | 'failed'> {
  return {
    name,
    what: (size) => `${what} of ${size(KEYS) / 1000} MB, of the leader under ${WRITES.perSecond} writes/s`,
    measures: {
      seconds: { what: 'answered', unit: 's', bound: timesEtcd(5, 2) },
      alone: { what: 'put p99 without', unit: 'ms', bound: SHOWN },
      during: { what: 'put p99 beside', unit: 'ms', bound: { kind: 'times', times: 2, of: 'alone', always: 50 } },
      failed: { what: 'puts that failed', unit: '', bound: NONE },
    },
    run: async (cluster, size) => {
      const leader = await cluster.leader()
      await fill(leader.client, { prefix: 'stored/', count: size(KEYS), sizeBytes: VALUE_SIZE_BYTES })
      const alone = await putsAlone(leader, WRITES)
      const { value: seconds, puts } = await withPuts(leader, WRITES, () => secondsOf(() => ask(leader.client)))
      return { seconds, alone: alone.p99Ms, during: puts.p99Ms, failed: alone.failed + puts.failed }
    },
  }
}

export const defragmentation = ofTheLeader('defragment', 'a defragmentation', (client) => client.call(DEFRAGMENT, {}))
export const maintenanceVariants: readonly Scenario[] = [
  ofTheLeader('client-snapshot', 'a snapshot to a client', (client) => client.drain(SNAPSHOT, {})),
  ofTheLeader('hash', 'both hashes', async (client) => {
    await client.call(HASH, {})
    await client.call(HASH_KV, {})
  }),
].map((scenario) => ({ ...scenario, isVariant: true }))
