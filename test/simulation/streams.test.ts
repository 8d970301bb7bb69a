import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RangeRequest, WatchRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { call, openStream } from './calls.ts'
import { outsideOfMicrotasks } from './microtasks.ts'
import { startTrio } from './trio.ts'

/** Whether the stream of a watch at a follower is open before its store is damaged, and after it has begun again without. */
function streamOfDamagedMember(): readonly boolean[] {
  const { world, follower } = startTrio({ seed: 1 })
  let isOpen = true
  const events = { onResponse: () => undefined, onEnd: () => void (isOpen = false) }
  const stream = openStream(world, follower, '/etcdserverpb.Watch/Watch', events, () => 0)
  const requestUnion = { $case: 'createRequest', value: { key: Buffer.from('k') } } as const
  stream?.send(WatchRequest.encode(WatchRequest.fromPartial({ requestUnion })).finish())
  world.run(1000)
  const before = stream !== undefined && isOpen
  const { life } = follower
  follower.damageStore()
  const range = RangeRequest.encode(RangeRequest.fromPartial({ key: Buffer.from('k'), serializable: true })).finish()
  world.begin(async () => void (await call(world, follower, '/etcdserverpb.KV/Range', range)))
  world.run(1000)
  assert.equal(follower.life, life, 'it is the same process')
  return [before, isOpen]
}

test('streams end when a member begins again without its damaged store, as the connections of the program do', async () => {
  assert.deepEqual(await outsideOfMicrotasks(streamOfDamagedMember), [true, false])
})
