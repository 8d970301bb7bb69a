/** Very many clients wait for one lock, each with a lease of its own, and it goes from hand to hand. */
import { LEASE_GRANT, LOCK, RANGE, UNLOCK } from '../../twin/methods.ts'
import { until } from '../cluster.ts'
import { allInParallel, endOf } from '../load.ts'
import { NONE, SHOWN, timesEtcd, type Scenario } from '../scenario.ts'
import { PROBE, putsAlone, withPuts } from '../steady-puts.ts'

const WAITERS = 3000
const HAND_OVERS = 200
const CONNECTIONS = 8
const AT_ONCE = 256
const TTL_SECONDS = 3600n
const NAME = 'lock'
const QUEUE = { key: Buffer.from(`${NAME}/`), rangeEnd: endOf(`${NAME}/`), countOnly: true } as const
const LIMIT_MS = 120_000

export const locks: Scenario<'queued' | 'alone' | 'during' | 'failed' | 'handedOver'> = {
  name: 'locks',
  what: (size) => `${size(WAITERS)} waiters on one lock, ${size(HAND_OVERS)} hand-overs`,
  measures: {
    queued: { what: 'the queue has filled', unit: 's', bound: timesEtcd(1.5, 2) },
    alone: { what: 'put p99 without', unit: 'ms', bound: SHOWN },
    during: { what: 'put p99 beside', unit: 'ms', bound: { kind: 'times', times: 2, of: 'alone', always: 50 } },
    failed: { what: 'puts that failed', unit: '', bound: NONE },
    handedOver: { what: 'handed over', unit: 's', bound: timesEtcd(1.2, 2) },
  },
  run: async (cluster, size) => {
    const leader = await cluster.leader()
    const waiters = size(WAITERS)
    const handOvers = Math.min(size(HAND_OVERS), waiters)
    await allInParallel(waiters, AT_ONCE, (i) =>
      leader.client.call(LEASE_GRANT, { ID: BigInt(i + 1), TTL: TTL_SECONDS }),
    )
    const clients = Array.from({ length: CONNECTIONS }, () => cluster.connect(leader))
    const alone = await putsAlone(leader, PROBE)
    const filled = Promise.withResolvers<undefined>()
    let held = 0
    const wait = async (i: number): Promise<void> => {
      const client = clients[i % CONNECTIONS] ?? leader.client
      const { key } = await client.call(LOCK, { name: Buffer.from(NAME), lease: BigInt(i + 1) })
      await filled.promise
      held++
      if (held <= handOvers) await client.call(UNLOCK, { key })
    }
    const { value, puts } = await withPuts(leader, PROBE, async () => {
      for (let i = 0; i < waiters; i++) wait(i).catch(() => undefined)
      const queued = await until(
        async () => Number((await leader.client.call(RANGE, QUEUE)).count) >= waiters,
        LIMIT_MS,
      )
      filled.resolve(undefined)
      return { queued, handedOver: await until(() => Promise.resolve(held >= handOvers), LIMIT_MS) }
    })
    return { ...value, alone: alone.p99Ms, during: puts.p99Ms, failed: alone.failed + puts.failed }
  },
}
