import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MalformedBytes } from '../../lib/bytes.ts'
import { LogIndex, MemberId, NOBODY, Term } from '../../lib/ids.ts'
import type { Message } from '../raft/message.ts'
import { decodeMessages, encodeMessages } from './codec.ts'

const envelope = { from: MemberId(0xa1n), to: MemberId(0xfedcba9876543210n), term: Term(7) }
const snapshot = {
  index: LogIndex(90),
  term: Term(6),
  configIndex: LogIndex(80),
  configuration: {
    voters: [MemberId(1n), MemberId(2n)],
    votersOutgoing: [MemberId(3n)],
    learners: [],
    learnersNext: [MemberId(4n)],
    autoLeave: true,
  },
}
const entry = (
  index: number,
  text: string,
): { term: Term; index: LogIndex; kind: 'normal' | 'config'; data: Buffer } => ({
  term: Term(6),
  index: LogIndex(index),
  kind: text === '' ? 'config' : 'normal',
  data: Buffer.from(text),
})

/** Head, as hex, is count 1, kind, from, to, term; then the fields. */
const HEAD = (kind: string): string => `00000001 ${kind} 00000000000000a1 fedcba9876543210 0000000000000007 `
const GOLDEN: readonly [Message, string][] = [
  [
    { kind: 'vote-request', ...envelope, lastIndex: LogIndex(9), lastTerm: Term(5), isTransfer: true },
    `${HEAD('01')} 0000000000000009 0000000000000005 01`,
  ],
  [{ kind: 'vote-response', ...envelope, isGranted: true }, `${HEAD('02')} 01`],
  [
    { kind: 'pre-vote-request', ...envelope, lastIndex: LogIndex(9), lastTerm: Term(5) },
    `${HEAD('03')} 0000000000000009 0000000000000005`,
  ],
  [{ kind: 'pre-vote-response', ...envelope, isGranted: false }, `${HEAD('04')} 00`],
  [
    {
      kind: 'append-request',
      ...envelope,
      prevIndex: LogIndex(4),
      prevTerm: Term(5),
      commit: LogIndex(3),
      entries: [entry(5, 'abc'), entry(6, '')],
    },
    `${HEAD('05')} 0000000000000004 0000000000000005 0000000000000003 00000002
      0000000000000006 0000000000000005 00 00000003 616263
      0000000000000006 0000000000000006 01 00000000`,
  ],
  [
    {
      kind: 'append-response',
      ...envelope,
      isRejected: true,
      needsSnapshot: false,
      index: LogIndex(9),
      hintIndex: LogIndex(8),
      hintTerm: Term(2),
    },
    `${HEAD('06')} 01 0000000000000009 0000000000000008 0000000000000002`,
  ],
  [
    {
      kind: 'append-response',
      ...envelope,
      isRejected: false,
      needsSnapshot: true,
      index: LogIndex(9),
      hintIndex: LogIndex(0),
      hintTerm: Term(2),
    },
    `${HEAD('06')} 02 0000000000000009 0000000000000000 0000000000000002`,
  ],
  [
    { kind: 'heartbeat-request', ...envelope, commit: LogIndex(9), readBatch: 3 },
    `${HEAD('07')} 0000000000000009 0000000000000003`,
  ],
  [{ kind: 'heartbeat-response', ...envelope, readBatch: 2 ** 40 }, `${HEAD('08')} 0000010000000000`],
  [
    { kind: 'snapshot-request', ...envelope, snapshot },
    `${HEAD('09')} 000000000000005a 0000000000000006 0000000000000050 01
      00000002 0000000000000001 0000000000000002 00000001 0000000000000003 00000000 00000001 0000000000000004`,
  ],
  [{ kind: 'transfer-leader-request', ...envelope, target: NOBODY }, `${HEAD('0a')} 0000000000000000`],
  [{ kind: 'timeout-now-request', ...envelope }, HEAD('0b')],
  [
    { kind: 'propose-request', ...envelope, entries: [{ kind: 'normal', data: Buffer.from('x') }] },
    `${HEAD('0c')} 00000001 00 00000001 78`,
  ],
  [{ kind: 'read-index-request', ...envelope, requestId: 5 }, `${HEAD('0d')} 0000000000000005`],
  [
    { kind: 'read-index-response', ...envelope, requestId: 5, index: LogIndex(6) },
    `${HEAD('0e')} 0000000000000005 0000000000000006`,
  ],
]
const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')

for (const [message, hex] of GOLDEN) {
  test(`the bytes of a ${message.kind}, for good`, () => {
    assert.equal(encodeMessages([message]).toString('hex'), bytesOf(hex).toString('hex'))
    assert.deepEqual(decodeMessages(bytesOf(hex)), [message])
  })

  test(`a ${message.kind} that is cut off or has something behind it is malformed`, () => {
    const bytes = bytesOf(hex)
    for (let size = 0; size < bytes.length; size++)
      assert.throws(() => decodeMessages(bytes.subarray(0, size)), MalformedBytes, `cut at ${size}`)
    assert.throws(() => decodeMessages(Buffer.concat([bytes, Buffer.of(0)])), MalformedBytes)
  })

  test(`flipped bits in a ${message.kind} decode to something or are malformed, nothing else`, () => {
    const bytes = bytesOf(hex)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      decodesOrIsMalformed(flipped)
    }
  })
}

test('every kind of message has its golden bytes', () => {
  assert.deepEqual(new Set(GOLDEN.map(([, hex]) => hex.slice(9, 11))).size, 14)
})

test('many messages go in one batch, in order', () => {
  const messages = GOLDEN.map(([message]) => message)
  assert.deepEqual(decodeMessages(encodeMessages(messages)), messages)
})

test('the data of entries is not copied', () => {
  const [message, hex] = GOLDEN[4] ?? assert.fail()
  assert.equal(message.kind, 'append-request')
  const bytes = bytesOf(hex)
  const [decoded] = decodeMessages(bytes)
  assert.ok(decoded?.kind === 'append-request')
  assert.equal(decoded.entries[0]?.data.buffer, bytes.buffer)
})

test('no input makes the decoder do anything but answer or call it malformed', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (noise) => decodesOrIsMalformed(Buffer.from(noise))),
    {
      numRuns: 2000,
    },
  )
})

function decodesOrIsMalformed(bytes: Buffer): void {
  try {
    decodeMessages(bytes)
  } catch (error) {
    assert.ok(error instanceof MalformedBytes, String(error))
  }
}
