/** Long ranges beside puts: one answer with everything, again and again, and pages of what was. */
import type { RangeRequest } from '../../../node-server/proto/generated/etcd/rpc.ts'
import { PUT, RANGE, type Part } from '../../twin/methods.ts'
import { secondsOf, type Cluster, type Member } from '../cluster.ts'
import { endOf, fill, keyOf } from '../load.ts'
import { NONE, SHOWN, timesEtcd, type Measure, type Scenario } from '../scenario.ts'
import { PROBE, putsAlone, withPuts } from '../steady-puts.ts'

const KEYS = 300_000
const PAGED_KEYS = 100_000
const PAGE = 500n
const VALUE_SIZE_BYTES = 64
const PREFIX = 'range/'
const TIMES_IN_A_ROW = 5
const ALL = { key: Buffer.from(PREFIX), rangeEnd: endOf(PREFIX) } as const

type Name = 'seconds' | 'alone' | 'during' | 'failed'

const MEASURES: Readonly<Record<Name, Measure>> = {
  seconds: { what: 'the ranges', unit: 's', bound: timesEtcd(3, 1) },
  alone: { what: 'put p99 without', unit: 'ms', bound: SHOWN },
  during: { what: 'put p99 beside', unit: 'ms', bound: { kind: 'times', times: 2, of: 'alone', always: 50 } },
  failed: { what: 'puts that failed', unit: '', bound: NONE },
}

/** The same range one time after the other; `part` is what it asks for beside the keys. */
function inARow(name: string, what: string, part: (revision: bigint) => Part<RangeRequest>): Scenario<Name> {
  return {
    name,
    what: (size) => `${what} of ${size(KEYS)} keys, ${TIMES_IN_A_ROW} in a row`,
    measures: MEASURES,
    run: (cluster, size) =>
      measured(cluster, size(KEYS), async ({ client }, revision) => {
        for (let i = 0; i < TIMES_IN_A_ROW; i++) await client.call(RANGE, { ...ALL, ...part(revision) })
      }),
  }
}

export const fullRange = inARow('range-full', 'a full range', () => ({}))
export const rangeVariants: readonly Scenario[] = [
  inARow('range-count', 'a count', () => ({ countOnly: true })),
  inARow('range-keys', 'a range of keys only', () => ({ keysOnly: true })),
  inARow('range-old', 'a full range at an old revision', (revision) => ({ revision })),
].map((scenario) => ({ ...scenario, isVariant: true }))

export const pages: Scenario<Name> = {
  name: 'range-pages',
  what: (size) => `pages of ${PAGE} at one old revision over ${size(PAGED_KEYS)} keys`,
  measures: MEASURES,
  run: (cluster, size) =>
    measured(cluster, size(PAGED_KEYS), async ({ client }, revision) => {
      for (let first = 0; first < size(PAGED_KEYS); first += Number(PAGE))
        await client.call(RANGE, { ...ALL, key: keyOf(PREFIX, first), limit: PAGE, revision })
    }),
}

async function measured(
  cluster: Cluster,
  count: number,
  ranges: (leader: Member, oldRevision: bigint) => Promise<void>,
): Promise<Record<Name, number>> {
  const leader = await cluster.leader()
  await fill(leader.client, { prefix: PREFIX, count, sizeBytes: VALUE_SIZE_BYTES })
  const { header } = await leader.client.call(PUT, { key: Buffer.from('later') })
  const alone = await putsAlone(leader, PROBE)
  const { value: seconds, puts } = await withPuts(leader, PROBE, () =>
    secondsOf(() => ranges(leader, (header?.revision ?? 0n) - 1n)),
  )
  return { seconds, alone: alone.p99Ms, during: puts.p99Ms, failed: alone.failed + puts.failed }
}
