import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { LogIndex, MemberId, Term } from '../../lib/ids.ts'
import type { Message } from '../raft/message.ts'
import { decodeMessages, encodeMessages, messageSizeBytes } from './codec.ts'
import { Outbox } from './outbox.ts'

const envelope = { from: MemberId(1n), to: MemberId(2n), term: Term(3) }
const FRAME = 1000

const append = (index: number, sizeBytes: number): Message => ({
  kind: 'append-request',
  ...envelope,
  prevIndex: LogIndex(index - 1),
  prevTerm: Term(3),
  commit: LogIndex(0),
  entries: [{ term: Term(3), index: LogIndex(index), kind: 'normal', data: Buffer.alloc(sizeBytes, index) }],
})
const proposal = (sizes: readonly number[]): Message => ({
  kind: 'propose-request',
  ...envelope,
  entries: sizes.map((sizeBytes) => ({ kind: 'normal', data: Buffer.alloc(sizeBytes) })),
})
const heartbeat = (readBatch: number): Message => ({
  kind: 'heartbeat-request',
  ...envelope,
  commit: LogIndex(0),
  readBatch,
})
/** An append whose size counts as that many bytes. */
const sized = (index: number, sizeBytes: number): Message =>
  append(index, sizeBytes - messageSizeBytes(append(index, 0)))

function outboxOf(messages: readonly Message[], maxSizeBytes = 1_000_000): Outbox {
  const outbox = new Outbox(maxSizeBytes, FRAME)
  for (const message of messages) assert.ok(outbox.add(message))
  return outbox
}

function framesOf(outbox: Outbox): Message[][] {
  const frames: Message[][] = []
  while (!outbox.isEmpty) frames.push(outbox.next())
  assert.deepEqual([outbox.sizeBytes, outbox.next()], [0, []])
  return frames
}

test('a frame is filled to its last byte, and one byte more begins the next one', () => {
  for (let first = 200; first <= 800; first++) {
    const fits = framesOf(outboxOf([sized(1, first), sized(2, FRAME - first)]))
    const exceeds = framesOf(outboxOf([sized(1, first), sized(2, FRAME - first + 1)]))
    assert.deepEqual([fits.length, exceeds.length], [1, 2], `${first} bytes first`)
  }
})

test('a message that is larger than a frame should be goes alone, whatever stands before and behind it', () => {
  const large = sized(2, 5 * FRAME)
  assert.deepEqual(
    framesOf(outboxOf([sized(1, 200), large, sized(3, 200)])).map((frame) => frame.length),
    [1, 1, 1],
  )
  assert.deepEqual(framesOf(outboxOf([large])), [[large]])
})

test('heartbeats go before the log that waits; appends and proposals keep their order', () => {
  const outbox = outboxOf([sized(1, 900), proposal([10]), sized(2, 900), heartbeat(1), heartbeat(2)])
  const kinds = framesOf(outbox).map((frame) => frame.map(({ kind }) => kind))
  assert.deepEqual(kinds, [
    ['heartbeat-request', 'heartbeat-request'],
    ['append-request'],
    ['propose-request'],
    ['append-request'],
  ])
})

test('it takes until it is full, proposals even then, and again once something has left', () => {
  const outbox = outboxOf([sized(1, 600), sized(2, 600)], 1200)
  assert.equal(outbox.isFull, true)
  assert.equal(outbox.add(heartbeat(1)), false)
  assert.equal(outbox.add(proposal([10])), true, 'nobody would send it again')
  outbox.next()
  outbox.next()
  assert.equal(outbox.isFull, false)
  assert.ok(outbox.add(heartbeat(1)))
  outbox.clear()
  assert.deepEqual(framesOf(outbox), [])
})

test('whatever is sent, every frame but that of one large message keeps to its size, and nothing is lost, doubled or changed', () => {
  const message = fc.oneof(
    fc.integer({ min: 0, max: 1500 }).map((sizeBytes) => append(1, sizeBytes)),
    fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 5 }).map(proposal),
    fc.nat(1000).map(heartbeat),
  )
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), (messages) => {
      const frames = framesOf(outboxOf(messages))
      const arrived = frames.flatMap((frame) => {
        const bytes = encodeMessages(frame)
        assert.ok(bytes.length - 4 <= frame.reduce((sum, one) => sum + messageSizeBytes(one), 0))
        assert.ok(bytes.length - 4 <= FRAME || frame.length === 1, `${bytes.length} bytes in ${frame.length} messages`)
        return decodeMessages(bytes)
      })
      for (const isHeartbeat of [true, false]) {
        const of = (all: readonly Message[]): Message[] =>
          all.filter(({ kind }) => (kind === 'heartbeat-request') === isHeartbeat)
        assert.deepEqual(of(arrived), of(messages))
      }
    }),
    { numRuns: 300 },
  )
})
