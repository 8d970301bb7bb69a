import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionLoad, ListenerLoad, type StreamLoad } from './load.ts'

const limits = {
  maxStreams: 3,
  maxConnectionRequestBytes: 100,
  maxRequestBytesHeld: 150,
  maxConnectionResponseBytes: 100,
  maxResponseBytesHeld: 150,
}
const NOTHING = { streams: 0, bytes: -1 }

function open(connection: ConnectionLoad): StreamLoad {
  const stream = connection.openStream()
  assert.ok(stream !== undefined)
  return stream
}

test('streams are bounded over all connections, and one that closes makes room', () => {
  const total = new ListenerLoad(limits, NOTHING)
  const [a, b] = [new ConnectionLoad(total), new ConnectionLoad(total)]
  const streams = [open(a), open(a), open(b)]
  assert.equal(b.openStream(), undefined)
  streams[0]?.close()
  streams[0]?.close()
  open(b)
  assert.deepEqual([a.streams, b.streams, a.openStream()], [1, 2, undefined])
})

test('parts of requests are bounded on one connection and on all, and delivering makes room', () => {
  const total = new ListenerLoad(limits, NOTHING)
  const [a, b] = [new ConnectionLoad(total), new ConnectionLoad(total)]
  const [one, two, other] = [open(a), open(a), open(b)]
  assert.deepEqual([one.received(60), two.received(40), two.received(1)], [true, true, false])
  two.delivered(41)
  assert.equal(total.requestBytes, 60)
  assert.deepEqual([other.received(90), other.received(1)], [true, false])
  one.close()
  assert.equal(other.received(1), true)
  other.delivered(1000) // decompressed it was longer
  assert.deepEqual([b.requestBytes, total.requestBytes], [0, 0])
})

test('responses are bounded on one connection and on all, and a single one may be longer', () => {
  const total = new ListenerLoad(limits, NOTHING)
  const [a, b, c] = [new ConnectionLoad(total), new ConnectionLoad(total), new ConnectionLoad(total)]
  const [one, two] = [open(a), open(b)]
  one.queued(101)
  assert.deepEqual([one.mayQueue, two.mayQueue], [false, true])
  two.queued(60)
  assert.equal(open(c).mayQueue, false, 'all together hold too much')
  one.sent(101)
  assert.deepEqual([one.mayQueue, two.mayQueue, total.responseBytes], [true, true, 60])
})

test('what comes after the end of a stream no longer counts', () => {
  const total = new ListenerLoad(limits, NOTHING)
  const stream = open(new ConnectionLoad(total))
  stream.queued(10)
  stream.close()
  stream.queued(10)
  stream.received(10)
  stream.sent(10)
  assert.deepEqual([total.streams, total.requestBytes, total.responseBytes], [0, 0, 0])
})

test('a little is everybody’s, whatever others hold', () => {
  const total = new ListenerLoad(limits, { streams: 2, bytes: 10 })
  const [greedy, modest] = [new ConnectionLoad(total), new ConnectionLoad(total)]
  const [one] = [open(greedy), open(greedy), open(greedy)]
  assert.equal(greedy.openStream(), undefined)
  const [first] = [open(modest), open(modest)]
  assert.equal(modest.openStream(), undefined)
  assert.ok(one !== undefined && first !== undefined)
  one.received(160)
  one.queued(160)
  assert.deepEqual([one.mayQueue, first.mayQueue], [false, true])
  assert.deepEqual([first.received(10), first.received(1)], [true, false])
  first.queued(11)
  assert.equal(first.mayQueue, false)
})
