/** Very many leases: renewed, taken over by a new leader, and ending at the same time. */
import { setTimeout as delay } from 'node:timers/promises'
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from '../../../node-server/proto/generated/etcd/rpc.ts'
import { LEASE_GRANT, LEASE_KEEP_ALIVE, PUT, RANGE, TXN } from '../../twin/methods.ts'
import type { MemberClient } from '../client.ts'
import { secondsOf, until, type Cluster, type Member } from '../cluster.ts'
import { allInParallel, endOf, keyOf, TXN_OPERATIONS, TXNS_AT_ONCE } from '../load.ts'
import { NONE, timesEtcd, type Scenario } from '../scenario.ts'
import { PROBE, withPuts } from '../steady-puts.ts'

const LEASES = 100_000
const ENDING_LEASES = 50_000
const TAKEN_OVER_LEASES = 300_000
const AFTER_TAKE_OVER_MS = 5000
const SAMPLE = 1000
const LONG_TTL_SECONDS = 3600
const AT_ONCE = 256
const STREAMS = 8
const PREFIX = 'leased/'
const LEADER_LIMIT_MS = 60_000
const END_LIMIT_MS = 120_000
/** A lease counts in whole seconds, and the clocks of members and of this process are read one after the other. */
const EARLY_MS = 1000
const leaseOf = (i: number): bigint => BigInt(i + 1)

function grant({ client }: Member, count: number, ttlSeconds: number): Promise<void> {
  return allInParallel(count, AT_ONCE, (i) => client.call(LEASE_GRANT, { ID: leaseOf(i), TTL: BigInt(ttlSeconds) }))
}

/** A key for each lease. */
function putKeys({ client }: Member, count: number): Promise<void> {
  return allInParallel(Math.ceil(count / TXN_OPERATIONS), TXNS_AT_ONCE, (txn) => {
    const first = txn * TXN_OPERATIONS
    const success = Array.from({ length: Math.min(TXN_OPERATIONS, count - first) }, (_, n) => ({
      request: {
        $case: 'requestPut' as const,
        value: { key: keyOf(PREFIX, first + n), lease: leaseOf(first + n) },
      },
    }))
    return client.call(TXN, { success })
  })
}

/** Once for each lease from `first` to before `end`, all sent at once; the number of those that are there no more. */
function renew(client: MemberClient, first: number, end: number): Promise<number> {
  const stream = client.duplex(LEASE_KEEP_ALIVE)
  let [answers, gone] = [0, 0]
  return new Promise((resolve, reject) => {
    stream.on('error', reject)
    stream.on('data', (bytes: Buffer) => {
      if (LeaseKeepAliveResponse.decode(bytes).TTL <= 0n) gone++
      if (++answers < end - first) return
      resolve(gone)
      stream.end()
    })
    for (let i = first; i < end; i++)
      stream.write(Buffer.from(LeaseKeepAliveRequest.encode({ ID: leaseOf(i) }).finish()))
  })
}

async function renewAll(client: MemberClient, count: number): Promise<number> {
  const edge = (stream: number): number => Math.floor((stream * count) / STREAMS)
  const gone = await Promise.all(
    Array.from({ length: STREAMS }, (_, stream) => renew(client, edge(stream), edge(stream + 1))),
  )
  return gone.reduce((a, b) => a + b, 0)
}

async function keysLeft(client: MemberClient): Promise<number> {
  const all = { key: Buffer.from(PREFIX), rangeEnd: endOf(PREFIX) }
  return Number((await client.call(RANGE, { ...all, countOnly: true })).count)
}

const another = ({ members }: Cluster, member: Member): Member => members.find((each) => each !== member) ?? member

function untilPut(client: MemberClient): Promise<number> {
  const wasPut = (): Promise<boolean> =>
    client.call(PUT, { key: Buffer.from('after') }, 1000).then(
      () => true,
      () => false,
    )
  return until(wasPut, LEADER_LIMIT_MS)
}

export const keepAlive: Scenario<'renewed' | 'leader' | 'renewedAgain' | 'gone'> = {
  name: 'leases',
  what: (size) => `${size(LEASES, STREAMS)} leases: one keepalive each, the leader killed, one keepalive each`,
  mostElections: 3,
  measures: {
    renewed: { what: 'all renewed', unit: 's', bound: timesEtcd(3, 1) },
    leader: { what: 'a new leader answers', unit: 's', bound: timesEtcd(1.5, 4) },
    renewedAgain: { what: 'all renewed by the new leader', unit: 's', bound: timesEtcd(3, 1) },
    gone: { what: 'leases that ended early', unit: '', bound: NONE },
  },
  run: async (cluster, size) => {
    const [leader, count] = [await cluster.leader(), size(LEASES, STREAMS)]
    await grant(leader, count, LONG_TTL_SECONDS)
    let gone = 0
    const renewed = await secondsOf(async () => (gone += await renewAll(leader.client, count)))
    await leader.stop('SIGKILL')
    const leaderSeconds = await untilPut(another(cluster, leader).client)
    const renewedAgain = await secondsOf(async () => (gone += await renewAll((await cluster.leader()).client, count)))
    return { renewed, leader: leaderSeconds, renewedAgain, gone }
  },
}

export const takeOver: Scenario<'leader' | 'during' | 'failed' | 'gone'> = {
  name: 'take-over',
  isVariant: true,
  what: (size) => `${size(TAKEN_OVER_LEASES, STREAMS)} leases taken over by a new leader`,
  mostElections: 3,
  measures: {
    leader: { what: 'a new leader answers', unit: 's', bound: timesEtcd(1.5, 4) },
    during: { what: 'put p99 right after', unit: 'ms', bound: timesEtcd(2, 100) },
    failed: { what: 'puts that failed', unit: '', bound: NONE },
    gone: { what: 'leases that ended early', unit: '', bound: NONE },
  },
  run: async (cluster, size) => {
    const [leader, count] = [await cluster.leader(), size(TAKEN_OVER_LEASES, STREAMS)]
    await grant(leader, count, LONG_TTL_SECONDS)
    await leader.stop('SIGKILL')
    const leaderSeconds = await untilPut(another(cluster, leader).client)
    const next = await cluster.leader()
    const { puts } = await withPuts(next, PROBE, () => delay(AFTER_TAKE_OVER_MS))
    const gone = await renew(next.client, count - Math.min(SAMPLE, count), count)
    return { leader: leaderSeconds, during: puts.p99Ms, failed: puts.failed, gone }
  },
}

export const leasesEnd: Scenario<'late' | 'early' | 'during' | 'failed'> = {
  name: 'leases-end',
  isVariant: true,
  what: (size) => `${size(ENDING_LEASES, STREAMS)} leases with a key each end at once`,
  measures: {
    late: { what: 'all gone after their time', unit: 's', bound: { kind: 'at-most', most: 10 } },
    early: { what: 'keys gone before it', unit: '', bound: NONE },
    during: { what: 'put p99 meanwhile', unit: 'ms', bound: timesEtcd(2, 50) },
    failed: { what: 'puts that failed', unit: '', bound: NONE },
  },
  run: async (cluster, size) => {
    const [leader, count] = [await cluster.leader(), size(ENDING_LEASES, STREAMS)]
    // Longer than it takes to grant them: they are renewed together once all are there.
    const ttlSeconds = 5 + Math.ceil(count / 1000)
    await grant(leader, count, ttlSeconds)
    await putKeys(leader, count)
    const renewedMs = performance.now()
    await renewAll(leader.client, count)
    const endMs = performance.now() + ttlSeconds * 1000
    await delay(renewedMs + ttlSeconds * 1000 - EARLY_MS - performance.now())
    const early = count - (await keysLeft(leader.client))
    const { value: late, puts } = await withPuts(leader, PROBE, async () => {
      const seconds = await until(async () => (await keysLeft(leader.client)) === 0, END_LIMIT_MS)
      return seconds === Infinity ? Infinity : (performance.now() - endMs) / 1000
    })
    return { late, early, during: puts.p99Ms, failed: puts.failed }
  },
}
