/** After everything is whole: how long the cluster takes until it is, too. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import { RangeRequest, RangeResponse } from '../../node-server/proto/generated/etcd/rpc.ts'
import { eventually } from '../members/member-process.ts'
import type { Cluster } from './cluster.ts'
import { PATHS } from '../simulation/recording.ts'

/** Of three programs on processors that have other work. */
const START_MS = 60_000
const CALL_TIMEOUT_MS = 2000
/** The longest TTL, twice after a change of leader, and as much again. */
const LEASES_MS = 15_000
const POLL_MS = 20

export interface Recovery {
  /** From the end of the faults until all processes answer: they start again, and other programs may have the processors. */
  readonly startedMs: number
  /** From the end of the faults to the answer of a write that began after it. */
  readonly writeMs: number
  /** From the end of the faults until all members are ready and have the same hash at one revision. */
  readonly agreedMs: number
}

export type LastWrite = () => { readonly callMs: number; readonly returnMs: number } | undefined

/**
 * `lastWrite`: instants at which the last acknowledged write was called and answered. Throws when it takes longer than
 * `withinMs` after all processes are there.
 */
export async function recovered(cluster: Cluster, lastWrite: LastWrite, withinMs: number): Promise<Recovery> {
  const healedMs = performance.now()
  await eventually('all members answer', () => answer(cluster), START_MS)
  const startedMs = performance.now() - healedMs
  const deadlineMs = performance.now() + withinMs
  const [writeMs] = await Promise.all([untilWritten(healedMs, lastWrite, deadlineMs), untilAgreed(cluster, withinMs)])
  return { startedMs, writeMs, agreedMs: performance.now() - healedMs }
}

async function answer({ places }: Cluster): Promise<void> {
  for (const place of places) {
    // One that a disk has ended while it was healed is started by whoever looks after it.
    place.start()
    assert.ok((await place.status()) !== undefined, `${place.member.name} does not answer`)
  }
}

/** Nobody renews a lease here: each ends, and its keys with it. */
export async function untilLeasesEnded(cluster: Cluster): Promise<void> {
  const [first] = cluster.places
  assert.ok(first !== undefined)
  const everything = Buffer.of(0)
  const request = RangeRequest.encode(RangeRequest.fromPartial({ key: everything, rangeEnd: everything })).finish()
  await eventually(
    'all keys with a lease are gone',
    async () => {
      const answer = await first.member.etcd.callBytes(PATHS.range, request, CALL_TIMEOUT_MS)
      const left = RangeResponse.decode(answer).kvs.map((bytes) => KeyValue.decode(bytes))
      const leased = left.filter(({ lease }) => lease !== 0n).map(({ key, lease }) => `${key.toString()} of ${lease}`)
      assert.deepEqual(leased, [])
    },
    LEASES_MS,
  )
}

async function untilWritten(healedMs: number, lastWrite: LastWrite, deadlineMs: number): Promise<number> {
  for (;;) {
    const write = lastWrite()
    if (write !== undefined && write.callMs >= healedMs) return write.returnMs - healedMs
    if (performance.now() > deadlineMs)
      throw new Error(
        `no write was acknowledged in ${(performance.now() - healedMs).toFixed()} ms since the faults ended`,
      )
    await sleep(POLL_MS)
  }
}

async function untilAgreed(cluster: Cluster, withinMs: number): Promise<void> {
  await eventually('all members are ready and of one state', () => agree(cluster), withinMs)
}

async function agree({ places }: Cluster): Promise<void> {
  for (const place of places) place.start()
  const statuses = await Promise.all(places.map((place) => place.status()))
  for (const [index, status] of statuses.entries()) {
    assert.ok(status !== undefined && status.leader !== '', `m${index} is not ready`)
    assert.equal(status.voters.length, places.length, `m${index} has voters ${status.voters.join()}`)
  }
  const revision = Math.min(...statuses.map((status) => status?.revision ?? 0))
  const hashes = await Promise.all(places.map(({ member }) => member.etcd.hashKV(BigInt(revision), CALL_TIMEOUT_MS)))
  // What is compacted is not hashed: only members that have compacted up to the same revision can be compared.
  const [first] = hashes
  for (const { compactRevision } of hashes) assert.equal(compactRevision, first?.compactRevision)
  for (const [index, { hash }] of hashes.entries())
    if (hash !== first?.hash)
      throw new Diverged(`at revision ${revision} m${index} has the hash ${hash}, m0 ${first?.hash}`)
}

/** No time heals it, but the members will be asked again: equal to be wrong means that it stays so. */
class Diverged extends Error {
  override readonly name = 'Diverged'
}
