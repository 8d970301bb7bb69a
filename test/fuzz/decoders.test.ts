/**
 * Every decoder of our own formats, given what it did not write: noise, and its own bytes cut off and flipped. Each says so
 * in the way that its callers are prepared for, and nothing else.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MalformedBytes } from '../../lib/bytes.ts'
import { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import {
  parseBootstrap,
  parseJoin,
  parseLeaderTransfer,
  parseMembership,
} from '../../node-server/api/admin/requests.ts'
import {
  decodeCommand,
  encodeCommand,
  MAX_OPERATION_ID_SIZE_BYTES,
  type Command,
} from '../../node-server/mvcc/command.ts'
import { decodeHistoryKey, decodeRecord, decodeRevisionKey } from '../../node-server/mvcc/key-index.ts'
import { decodeStoredRevision, encodePut, valueOf, withoutValue } from '../../node-server/mvcc/key-value.ts'
import { decodeMeta, encodeMeta, NEW_STORE_META } from '../../node-server/mvcc/meta.ts'
import {
  decodeConfiguration,
  decodeHistoryRow,
  encodeConfiguration,
} from '../../node-server/node/membership/configuration.ts'
import { decodePeerAnswer, decodePeerRequest, encodeJson } from '../../node-server/node/peer-requests.ts'
import { encodeBatch, findLaterBatch, isTorn, readBatch } from '../../node-server/storage/record.ts'
import { decodeMessages, encodeMessages } from '../../node-server/transport/codec.ts'
import {
  decodeHello,
  decodeRefused,
  encodeFrame,
  encodeHello,
  FrameDecoder,
} from '../../node-server/transport/frame.ts'
import { mutate, mutation } from './wire.ts'

const A = MemberId(0xan)
const B = MemberId(0xffff_ffff_ffff_ffffn)
const member = { id: A, name: 'infra0', peerURLs: ['http://a:1'], clientURLs: ['http://a:2', 'x'], isLearner: true }
const configuration = { voters: [A, B], votersOutgoing: [A], learners: [], learnersNext: [B], autoLeave: true }

const COMMANDS: readonly Command[] = [
  { kind: 'put', requestId: 7n, request: Buffer.from('anything') },
  { kind: 'compact', requestId: 0n, request: Buffer.alloc(0) },
  { kind: 'member-attributes', requestId: 1n, member },
  { kind: 'operation-result', requestId: 1n, operationId: 'move', result: Buffer.from('{}') },
  {
    kind: 'membership',
    requestId: 1n,
    operationId: 'add',
    expectedConfigIndex: LogIndex(3),
    change: { kind: 'add', member },
  },
  {
    kind: 'membership',
    requestId: 1n,
    operationId: '',
    expectedConfigIndex: undefined,
    change: { kind: 'remove', memberId: B },
  },
]

const entry = { term: Term(2), index: LogIndex(8), kind: 'normal', data: Buffer.from('data') } as const
const envelope = { from: A, to: B, term: Term(2) }
const MESSAGES = encodeMessages([
  {
    kind: 'append-request',
    ...envelope,
    prevIndex: LogIndex(7),
    prevTerm: Term(1),
    commit: LogIndex(7),
    entries: [entry],
  },
  { kind: 'vote-request', ...envelope, lastIndex: LogIndex(8), lastTerm: Term(2), isTransfer: false },
  { kind: 'propose-request', ...envelope, entries: [{ kind: 'config', data: Buffer.from('x') }] },
  {
    kind: 'snapshot-request',
    ...envelope,
    snapshot: { index: LogIndex(9), term: Term(2), configIndex: LogIndex(1), configuration },
  },
])

const HELLO = encodeHello({
  version: 2,
  clusterId: ClusterId(5n),
  from: A,
  to: B,
  purpose: 'snapshot',
  peerURLs: ['http://a:2380'],
})
const PUT = encodePut({
  key: Buffer.from('k'),
  value: Buffer.from('v'),
  createRevision: 2,
  modRevision: 300,
  version: 1,
  lease: -1n,
})

const isMalformed = (error: unknown): boolean => error instanceof MalformedBytes
/** Of rows that this member wrote itself: whoever reads them reports what is wrong. */
const isReported = (error: unknown): boolean => error instanceof Error && error.name !== 'AssertionFailed'

interface Row {
  readonly name: string
  /** What it writes itself, to be damaged. */
  readonly samples: readonly Uint8Array[]
  readonly decode: (bytes: Buffer) => unknown
  readonly isExpected: (error: unknown) => boolean
}

const ROWS: readonly Row[] = [
  { name: 'a command', samples: COMMANDS.map(encodeCommand), decode: decodeCommand, isExpected: isMalformed },
  { name: 'messages', samples: [MESSAGES], decode: decodeMessages, isExpected: isMalformed },
  { name: 'a hello', samples: [HELLO.subarray(9)], decode: decodeHello, isExpected: isMalformed },
  { name: 'a refusal', samples: [Buffer.of(1)], decode: decodeRefused, isExpected: isMalformed },
  {
    name: 'frames',
    samples: [Buffer.concat([HELLO, encodeFrame(4, MESSAGES)])],
    decode: (bytes) => new FrameDecoder(4096).push(bytes),
    isExpected: isMalformed,
  },
  { name: 'the state record', samples: [encodeMeta(NEW_STORE_META)], decode: decodeMeta, isExpected: isMalformed },
  {
    name: 'a stored revision',
    samples: [PUT],
    decode: (bytes) => {
      const { keyValue } = decodeStoredRevision(bytes)
      return [valueOf(keyValue), withoutValue(keyValue)]
    },
    isExpected: isMalformed,
  },
  { name: 'an index record', samples: [Buffer.alloc(36, 1)], decode: decodeRecord, isExpected: isMalformed },
  { name: 'a revision key', samples: [Buffer.alloc(12, 1)], decode: decodeRevisionKey, isExpected: isMalformed },
  {
    name: 'a history key',
    samples: [Buffer.from('6b00ff00010000000000000007', 'hex')],
    decode: decodeHistoryKey,
    isExpected: isMalformed,
  },
  {
    name: 'a configuration',
    samples: [encodeConfiguration(configuration)],
    decode: decodeConfiguration,
    isExpected: isReported,
  },
  { name: 'a row of the history of configurations', samples: [], decode: decodeHistoryRow, isExpected: isReported },
]

for (const { name, samples, decode, isExpected } of ROWS) {
  test(`${name}: bytes that are something else are refused as malformed`, () => {
    const damaged = fc
      .tuple(fc.nat(Math.max(0, samples.length - 1)), mutation)
      .map(([i, change]) => mutate(samples[i] ?? Buffer.alloc(0), change))
    const input = fc.oneof(
      damaged,
      fc.uint8Array({ maxLength: 80 }).map((noise) => Buffer.from(noise)),
    )
    let refused = 0
    fc.assert(
      fc.property(input, (bytes) => {
        try {
          decode(bytes)
        } catch (error) {
          assert.ok(isExpected(error), `${String(error)}: ${error instanceof Error ? error.stack : ''}`)
          refused += 1
        }
      }),
      { numRuns: 400 },
    )
    assert.ok(refused > 0, 'nothing was refused: the input is too tame')
  })
}

test('a frame stream in any pieces gives the same frames, or is refused, within its bound', () => {
  const stream = Buffer.concat([HELLO, encodeFrame(4, MESSAGES), encodeFrame(5, Buffer.alloc(300, 1))])
  fc.assert(
    fc.property(
      mutation,
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 30, maxLength: 60 }),
      (change, sizes) => {
        const bytes = mutate(stream, change)
        const whole = framesOf([bytes])
        const pieces: Buffer[] = []
        let at = 0
        for (const size of sizes) pieces.push(bytes.subarray(at, (at += size)))
        assert.deepEqual(framesOf([...pieces, bytes.subarray(at)]), whole)
      },
    ),
  )
})

/** What comes before a damaged frame counts; then the word malformed. */
function framesOf(pieces: readonly Buffer[]): readonly string[] {
  const decoder = new FrameDecoder(4096)
  const frames: string[] = []
  try {
    for (const piece of pieces) {
      for (const { type, payload } of decoder.push(piece)) frames.push(`${type} ${payload.toString('hex')}`)
    }
  } catch (error) {
    assert.ok(isMalformed(error), String(error))
    return ['malformed'] // a frame in the same piece as a damaged one is lost with it, in smaller pieces it is not
  }
  return frames
}

test('a WAL batch: damage is a value, never thrown, and never a batch that was not written', () => {
  const parts = encodeBatch(3, [
    { kind: 'entry', entry },
    { kind: 'hard-state', hardState: { term: Term(2), vote: A, commit: LogIndex(7) } },
    { kind: 'base', base: { index: LogIndex(1), term: Term(1) } },
  ])
  const whole = Buffer.concat(parts)
  fc.assert(
    fc.property(mutation, fc.nat(40), (change, before) => {
      const bytes = Buffer.concat([Buffer.alloc(before), mutate(whole, change), Buffer.alloc(64)])
      const read = readBatch(bytes, before)
      if (read.kind === 'batch') assert.deepEqual(bytes.subarray(before, read.endOffset), whole)
      else assert.equal(typeof isTorn(bytes, before), 'boolean')
      assert.ok([undefined, 3].includes(findLaterBatch(bytes, 0, 1)))
    }),
    { numRuns: 400 },
  )
})

test('JSON of peers: what is no request or answer is undefined, however deep', () => {
  const samples = [
    encodeJson({
      kind: 'change',
      operationId: 'x',
      expectedConfigIndex: 3,
      change: { kind: 'remove', memberId: '1f' },
    }),
    encodeJson({ kind: 'transfer-leader', operationId: '', expectedConfigIndex: undefined, memberId: '1' }),
  ]
  for (const sample of samples) assert.deepEqual(encodeJson(decodePeerRequest(sample) ?? { kind: 'members' }), sample)
  const input = fc.oneof(
    fc.tuple(fc.constantFrom(...samples), mutation).map(([sample, change]) => mutate(sample, change)),
    fc.json().map((text) => Buffer.from(text)),
    fc.constant(Buffer.from('['.repeat(100_000))),
  )
  fc.assert(
    fc.property(input, (bytes) => {
      for (const decoded of [decodePeerRequest(bytes), decodePeerAnswer(bytes)]) {
        assert.ok(decoded === undefined || ['change', 'transfer-leader', 'members'].includes(decoded.kind))
      }
    }),
    { numRuns: 400 },
  )
})

test('bodies of the admin API: any JSON is parsed or named by what is wrong with it, and no operation ID is too long', () => {
  const operationId = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.jsonValue(),
  )
  const body = fc.oneof(
    fc.jsonValue(),
    fc.record(
      {
        kind: fc.constantFrom('remove', 'promote'),
        operationId,
        expectedConfigIndex: fc.oneof(fc.nat(), fc.double()),
        memberId: fc.constantFrom('1', 'x', 'f'.repeat(17)),
      },
      { requiredKeys: ['kind', 'operationId'] },
    ),
  )
  fc.assert(
    fc.property(body, (value) => {
      for (const parse of [parseBootstrap, parseJoin, parseMembership, parseLeaderTransfer]) {
        const parsed = parse(value)
        if (parsed.ok) assert.ok(Buffer.byteLength(parsed.value.operationId) <= MAX_OPERATION_ID_SIZE_BYTES)
        else assert.notEqual(parsed.error, '')
      }
    }),
    { numRuns: 400 },
  )
})
