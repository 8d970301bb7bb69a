/** One entry that removes very many keys: everybody else waits for its revision, and nobody longer. */
import { DELETE_RANGE, LEASE_GRANT, LEASE_REVOKE, TXN } from '../../twin/methods.ts'
import { secondsOf, type Cluster } from '../cluster.ts'
import type { MemberClient } from '../client.ts'
import { endOf, fill, keyOf, type Keys } from '../load.ts'
import { NONE, timesEtcd, type Measure, type Scenario } from '../scenario.ts'
import { PROBE, withPuts } from '../steady-puts.ts'

const KEYS = 300_000
const LEASED_KEYS = 200_000
const RANGES = 128
const VALUE_SIZE_BYTES = 64
const PREFIX = 'deleted/'
const LEASE = 4711n
const TTL_SECONDS = 3600n

type Name = 'seconds' | 'during' | 'failed'

const MEASURES: Readonly<Record<Name, Measure>> = {
  seconds: { what: 'answered', unit: 's', bound: timesEtcd(1.5, 1) },
  during: { what: 'put p99 meanwhile', unit: 'ms', bound: timesEtcd(1.5, 50) },
  failed: { what: 'puts that failed', unit: '', bound: NONE },
}

export const deleteRange: Scenario<Name> = {
  name: 'delete-range',
  what: (size) => `a delete of a range of ${size(KEYS)} keys`,
  measures: MEASURES,
  run: (cluster, size) =>
    measured(cluster, size(KEYS), {}, (client) =>
      client.call(DELETE_RANGE, { key: Buffer.from(PREFIX), rangeEnd: endOf(PREFIX) }),
    ),
}

export const deleteRanges: Scenario<Name> = {
  name: 'delete-txn',
  isVariant: true,
  what: (size) => `a txn of ${RANGES} deletes of ranges, ${size(KEYS)} keys together`,
  measures: MEASURES,
  run: (cluster, size) => {
    const edge = (range: number): Buffer => keyOf(PREFIX, Math.floor((range * size(KEYS)) / RANGES))
    const success = Array.from({ length: RANGES }, (_, range) => ({
      request: { $case: 'requestDeleteRange' as const, value: { key: edge(range), rangeEnd: edge(range + 1) } },
    }))
    return measured(cluster, size(KEYS), {}, (client) => client.call(TXN, { success }))
  },
}

export const revoke: Scenario<Name> = {
  name: 'delete-lease',
  isVariant: true,
  what: (size) => `revoke of a lease with ${size(LEASED_KEYS)} keys`,
  measures: MEASURES,
  run: async (cluster, size) => {
    await (await cluster.leader()).client.call(LEASE_GRANT, { ID: LEASE, TTL: TTL_SECONDS })
    return measured(cluster, size(LEASED_KEYS), { lease: LEASE }, (client) => client.call(LEASE_REVOKE, { ID: LEASE }))
  },
}

async function measured(
  cluster: Cluster,
  count: number,
  keys: Pick<Keys, 'lease'>,
  act: (client: MemberClient) => Promise<unknown>,
): Promise<Record<Name, number>> {
  const leader = await cluster.leader()
  await fill(leader.client, { ...keys, prefix: PREFIX, count, sizeBytes: VALUE_SIZE_BYTES })
  const { value: seconds, puts } = await withPuts(leader, PROBE, () => secondsOf(() => act(leader.client)))
  return { seconds, during: puts.p99Ms, failed: puts.failed }
}
