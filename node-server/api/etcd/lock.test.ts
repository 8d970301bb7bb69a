import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metadata } from '@grpc/grpc-js'
import { LockRequest, LockResponse, UnlockRequest, UnlockResponse } from '../../proto/generated/etcd/lock.ts'
import { LeaseGrantRequest, LeaseRevokeRequest } from '../../proto/generated/etcd/rpc.ts'
import { hasLease } from '../../mvcc/lease.ts'
import { answered, b, call, client, member, put } from './testing/api-fixture.ts'

// Keys, revisions, codes and texts were observed on etcd 3.7.3 with the same requests.

const grant = (ID: bigint): Promise<Buffer | string> =>
  call('/etcdserverpb.Lease/LeaseGrant', LeaseGrantRequest.encode({ ID, TTL: 60n }).finish())
const revoke = (ID: bigint): Promise<Buffer | string> =>
  call('/etcdserverpb.Lease/LeaseRevoke', LeaseRevokeRequest.encode({ ID }).finish())
const lockBytes = (name: string, lease: bigint): Uint8Array => LockRequest.encode({ name: b(name), lease }).finish()
const lock = (name: string, lease: bigint): Promise<Buffer | string> =>
  call('/v3lockpb.Lock/Lock', lockBytes(name, lease))
const unlock = (key: string): Promise<UnlockResponse> =>
  answered(UnlockResponse, '/v3lockpb.Lock/Unlock', UnlockRequest.encode({ key: b(key) }).finish())

/** Of the answer; a refusal as it is. */
function shown(answer: Buffer | string): string {
  if (typeof answer === 'string') return answer
  const { key, header } = LockResponse.decode(answer)
  return `${key.toString()} at ${header?.revision}`
}

/** Until the member has applied so many entries more. */
function applied(count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count
    const end = member.onApplied(() => {
      left -= 1
      if (left > 0) return
      end()
      resolve()
    })
  })
}

test('the lock is a key of name and lease; the same lease gets it again', async () => {
  await grant(255n)
  assert.equal(shown(await lock('l', 255n)), 'l/ff at 2')
  assert.equal(shown(await lock('l', 255n)), 'l/ff at 2')
  await grant(-200n)
  assert.equal(shown(await lock('other', -200n)), 'other/-c8 at 3')
})

test('who comes later waits for the one before, in the order of arrival, and wakes nobody else', async () => {
  for (const id of [1n, 2n, 3n]) await grant(id)
  await lock('l', 1n)
  const order: string[] = []
  const wait = async (lease: bigint): Promise<void> => {
    const entered = applied(1)
    waits.push(lock('l', lease).then((answer) => order.push(shown(answer))))
    await entered
  }
  const waits: Promise<unknown>[] = []
  await wait(2n)
  await wait(3n)
  await put({ key: b('l/none of them'), value: b('') })
  assert.deepEqual(order, [])
  const { header } = await unlock('l/1')
  assert.equal(header?.revision, 6n)
  await waits[0]
  assert.deepEqual(order, ['l/2 at 6'])
  await revoke(2n)
  await unlock('l/none of them')
  await waits[1]
  assert.deepEqual(order, ['l/2 at 6', 'l/3 at 7'])
})

test('a lease that ends while its key waits loses its place', async () => {
  for (const id of [1n, 2n]) await grant(id)
  await lock('l', 1n)
  const entered = applied(1)
  const waiting = lock('l', 2n)
  await entered
  await revoke(2n)
  await revoke(1n)
  assert.equal(await waiting, '2 mutex: session is expired')
})

test('a client that goes while it waits takes its key with it', async () => {
  for (const id of [1n, 2n]) await grant(id)
  await lock('l', 1n)
  const entered = applied(1)
  const same = (bytes: Buffer): Buffer => bytes
  const request = Buffer.from(lockBytes('l', 2n))
  const ended = new Promise<void>((resolve) => {
    const waiting = client.makeUnaryRequest('/v3lockpb.Lock/Lock', same, same, request, new Metadata(), () => resolve())
    void entered.then(() => waiting.cancel())
  })
  await entered
  const left = applied(1)
  await ended
  await left
  assert.equal(member.store.buffer.get('current', b('l/2')), undefined)
  assert.ok(hasLease(member.store, 2n))
})

test('without a lease there is one of 60 seconds; a lease that is not there is refused by its text alone', async () => {
  const answer = shown(await lock('l', 0n))
  assert.match(answer, /^l\/[0-9a-f]{4,16} at 2$/)
  const [id] = member.leaseIds()
  const lease = await member.leaseTimeToLive(id ?? 0n, true)
  assert.ok(lease.ok)
  assert.equal(lease.value?.ttlSeconds, 60)
  assert.deepEqual(
    lease.value.keys.map((key) => Buffer.from(key).toString()),
    [answer.split(' ')[0]],
  )
  assert.equal(await lock('l', 99n), '2 etcdserver: requested lease not found')
  assert.equal(await call('/v3lockpb.Lock/Unlock', Buffer.alloc(0)), '2 etcdserver: key is not provided')
})
