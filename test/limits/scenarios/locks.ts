/** Very many clients wait for one lock, or for their turn to lead, each with a lease of its own, and it goes from hand to hand. */
import { CAMPAIGN, LEASE_GRANT, LOCK, RANGE, RESIGN, UNLOCK } from '../../twin/methods.ts'
import type { MemberClient } from '../client.ts'
import { until, type Cluster } from '../cluster.ts'
import { allInParallel, endOf } from '../load.ts'
import { NONE, SHOWN, timesEtcd, type Measure, type Scenario, type Sizing } from '../scenario.ts'
import { PROBE, putsAlone, withPuts } from '../steady-puts.ts'

const WAITERS = 3000
const MANY_WAITERS = 10_000
const HAND_OVERS = 200
const CONNECTIONS = 8
const AT_ONCE = 256
const TTL_SECONDS = 3600n
const NAME = 'line'
const LINE = { key: Buffer.from(`${NAME}/`), rangeEnd: endOf(`${NAME}/`), countOnly: true } as const
const LIMIT_MS = 120_000

type Figure = 'queued' | 'filling' | 'alone' | 'during' | 'failed' | 'handedOver'

const MEASURES: Readonly<Record<Figure, Measure>> = {
  queued: { what: 'the queue has filled', unit: 's', bound: timesEtcd(1.5, 2) },
  filling: { what: 'put p99 while it fills', unit: 'ms', bound: timesEtcd(1, 50) },
  alone: { what: 'put p99 without', unit: 'ms', bound: SHOWN },
  during: { what: 'put p99 beside', unit: 'ms', bound: { kind: 'times', times: 2, of: 'alone', always: 50 } },
  failed: { what: 'puts that failed', unit: '', bound: NONE },
  handedOver: { what: 'handed over', unit: 's', bound: timesEtcd(1.2, 2) },
}

/** Resolves once it is the turn of the lease; what it resolves with ends that. */
type TakeTurn = (client: MemberClient, lease: bigint) => Promise<() => Promise<unknown>>

const lock: TakeTurn = async (client, lease) => {
  const { key } = await client.call(LOCK, { name: Buffer.from(NAME), lease })
  return () => client.call(UNLOCK, { key })
}

const campaign: TakeTurn = async (client, lease) => {
  const { leader } = await client.call(CAMPAIGN, { name: Buffer.from(NAME), lease, value: Buffer.from('v') })
  return () => client.call(RESIGN, { leader })
}

async function passOn(
  cluster: Cluster,
  waiters: number,
  handOvers: number,
  takeTurn: TakeTurn,
): Promise<Readonly<Record<Figure, number>>> {
  const leader = await cluster.leader()
  await allInParallel(waiters, AT_ONCE, (i) => leader.client.call(LEASE_GRANT, { ID: BigInt(i + 1), TTL: TTL_SECONDS }))
  const clients = Array.from({ length: CONNECTIONS }, () => cluster.connect(leader))
  const alone = await putsAlone(leader, PROBE)
  const filled = Promise.withResolvers<undefined>()
  let held = 0
  const wait = async (i: number): Promise<void> => {
    const pass = await takeTurn(clients[i % CONNECTIONS] ?? leader.client, BigInt(i + 1))
    await filled.promise
    held++
    if (held <= handOvers) await pass()
  }
  const filling = await withPuts(leader, PROBE, () => {
    for (let i = 0; i < waiters; i++) wait(i).catch(() => undefined)
    return until(async () => Number((await leader.client.call(RANGE, LINE)).count) >= waiters, LIMIT_MS)
  })
  const during = await withPuts(leader, PROBE, () => {
    filled.resolve(undefined)
    return until(() => Promise.resolve(held >= handOvers), LIMIT_MS)
  })
  return {
    queued: filling.value,
    filling: filling.puts.p99Ms,
    alone: alone.p99Ms,
    during: during.puts.p99Ms,
    failed: alone.failed + filling.puts.failed + during.puts.failed,
    handedOver: during.value,
  }
}

const handOversOf = (size: Sizing, waiters: number): number => Math.min(size(HAND_OVERS), size(waiters))

export const locks: Scenario<Figure> = {
  name: 'locks',
  what: (size) => `${size(WAITERS)} waiters on one lock, ${handOversOf(size, WAITERS)} hand-overs`,
  measures: MEASURES,
  run: (cluster, size) => passOn(cluster, size(WAITERS), handOversOf(size, WAITERS), lock),
}

export const election: Scenario<Figure> = {
  name: 'election',
  isVariant: true,
  what: (size) => `${size(WAITERS)} candidates of one election, ${handOversOf(size, WAITERS)} hand-overs`,
  measures: MEASURES,
  run: (cluster, size) => passOn(cluster, size(WAITERS), handOversOf(size, WAITERS), campaign),
}

export const manyLocks: Scenario<Figure> = {
  name: 'many-waiters',
  isVariant: true,
  what: (size) => `${size(MANY_WAITERS)} waiters on one lock, ${handOversOf(size, MANY_WAITERS)} hand-overs`,
  measures: MEASURES,
  run: (cluster, size) => passOn(cluster, size(MANY_WAITERS), handOversOf(size, MANY_WAITERS), lock),
}
