import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalformedBytes } from '../../lib/bytes.ts'
import { ClusterId, MemberId } from '../../lib/ids.ts'
import { MAX_FRAME_SIZE_BYTES } from '../limits.ts'
import {
  FRAME,
  FrameDecoder,
  decodeHello,
  decodeRefused,
  encodeFrame,
  encodeHello,
  encodeRefused,
  frameInParts,
} from './frame.ts'

const hello = {
  version: 2,
  clusterId: ClusterId(0xc1n),
  from: MemberId(0xa1n),
  to: MemberId(0xb1n),
  purpose: 'snapshot',
  peerURLs: ['http://a:1'],
} as const
const HELLO =
  '0000002d 69bc401d 01 00000002 00000000000000c1 00000000000000a1 00000000000000b1 01 01 0000000a 687474703a2f2f613a31'.replaceAll(
    ' ',
    '',
  )

test('the bytes of a hello, for good', () => {
  assert.equal(encodeHello(hello).toString('hex'), HELLO)
  const [frame] = new FrameDecoder().push(Buffer.from(HELLO, 'hex'))
  assert.equal(frame?.type, FRAME.hello)
  assert.deepEqual(decodeHello(frame?.payload ?? Buffer.alloc(0)), hello)
})

const PAYLOADS = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(70, 5), Buffer.from('last')]
const STREAM = Buffer.concat(PAYLOADS.map((payload, i) => encodeFrame(i + 1, payload)))

function framesOf(pieces: readonly Buffer[]): unknown {
  const decoder = new FrameDecoder()
  return pieces.flatMap((piece) => decoder.push(piece)).map(({ type, payload }) => [type, payload.toString('hex')])
}

test('frames come out as they went in, wherever the stream is cut', () => {
  const expected = PAYLOADS.map((payload, i) => [i + 1, payload.toString('hex')])
  for (let first = 0; first <= STREAM.length; first++)
    for (let second = first; second <= STREAM.length; second++) {
      const pieces = [STREAM.subarray(0, first), STREAM.subarray(first, second), STREAM.subarray(second)]
      assert.deepEqual(framesOf(pieces), expected, `cut at ${first} and ${second}`)
    }
  const bytes = Array.from(STREAM, (byte) => Buffer.of(byte))
  assert.deepEqual(framesOf(bytes), expected, 'byte by byte')
})

test('a decoder is within a frame from its first byte to its last', () => {
  const decoder = new FrameDecoder()
  const frame = encodeFrame(FRAME.messages, Buffer.alloc(20))
  for (const [i, byte] of frame.entries()) {
    assert.equal(decoder.isWithinFrame, i > 0, `before byte ${i}`)
    decoder.push(Buffer.of(byte))
  }
  assert.equal(decoder.isWithinFrame, false)
})

test('a frame that comes whole shares memory with its chunk; one that comes in pieces keeps no more than its own bytes', () => {
  const decoder = new FrameDecoder()
  const [small, large] = [encodeFrame(1, Buffer.alloc(10)), encodeFrame(2, Buffer.alloc(1000))]
  const chunk = Buffer.concat([small, large.subarray(0, 500)])
  const [whole] = decoder.push(chunk)
  assert.equal(whole?.payload.buffer, chunk.buffer)
  const [inPieces] = decoder.push(Buffer.concat([large.subarray(500), small]))
  assert.equal(inPieces?.payload.buffer.byteLength, 1 + 1000)
})

test('a frame in parts has the same bytes, and its payload is not copied', () => {
  for (const payload of [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(10_000, 7)]) {
    const parts = frameInParts(FRAME.snapshotChunk, payload)
    assert.deepEqual(Buffer.concat(parts), encodeFrame(FRAME.snapshotChunk, payload))
    assert.equal(parts.at(-1)?.buffer, payload.buffer)
  }
})

test('a checksum is of the whole frame, however it comes', () => {
  const damaged = encodeFrame(FRAME.messages, Buffer.from('payload'))
  damaged[damaged.length - 1] = 0
  for (let cut = 0; cut < damaged.length; cut++) {
    const decoder = new FrameDecoder()
    assert.deepEqual(decoder.push(damaged.subarray(0, cut)), [])
    assert.throws(() => decoder.push(damaged.subarray(cut)), MalformedBytes, `cut at ${cut}`)
  }
})

test('any flipped bit is noticed, or leaves a frame that never ends', () => {
  const bytes = encodeFrame(FRAME.messages, Buffer.from('payload'))
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    try {
      assert.deepEqual(new FrameDecoder().push(flipped), [], `bit ${bit}`)
    } catch (error) {
      assert.ok(error instanceof MalformedBytes, `bit ${bit}: ${String(error)}`)
    }
  }
})

test('a frame that announces too much is refused before its bytes come', () => {
  const header = Buffer.alloc(8)
  header.writeUInt32BE(1001, 0)
  for (let cut = 0; cut < header.length; cut++) {
    const decoder = new FrameDecoder(1000)
    assert.deepEqual(decoder.push(header.subarray(0, cut)), [])
    assert.throws(() => decoder.push(header.subarray(cut)), /a frame of 1001 bytes; at most 1000 are accepted/)
  }
  assert.throws(() => new FrameDecoder().push(Buffer.alloc(8)), MalformedBytes)
})

test('a frame that announces much and brings little takes little memory', () => {
  const header = Buffer.alloc(8)
  header.writeUInt32BE(MAX_FRAME_SIZE_BYTES, 0)
  const before = process.memoryUsage().arrayBuffers
  const decoders = Array.from({ length: 50 }, () => new FrameDecoder())
  for (const decoder of decoders) assert.deepEqual(decoder.push(header), [])
  const takenBytes = process.memoryUsage().arrayBuffers - before
  assert.ok(takenBytes < decoders.length * MAX_FRAME_SIZE_BYTES * 0.25, `${takenBytes} bytes`)
})

test('a large frame that comes in pieces is whole, in memory of its own size', () => {
  const payload = Buffer.alloc(MAX_FRAME_SIZE_BYTES - 1)
  for (let at = 0; at < payload.length; at += 1000) payload[at] = at / 1000
  const bytes = encodeFrame(FRAME.messages, payload)
  const decoder = new FrameDecoder()
  const frames = []
  for (let at = 0; at < bytes.length; at += 65_536) frames.push(...decoder.push(bytes.subarray(at, at + 65_536)))
  assert.equal(frames.length, 1)
  const [frame] = frames
  assert.ok(frame?.payload.equals(payload) === true)
  assert.equal(frame.payload.buffer.byteLength, MAX_FRAME_SIZE_BYTES)
})

test('a hello or a refusal that is damaged is malformed', () => {
  const payload = Buffer.from(HELLO, 'hex').subarray(9)
  for (let size = 0; size < payload.length; size++)
    assert.throws(() => decodeHello(payload.subarray(0, size)), MalformedBytes)
  const strange = Buffer.from(payload)
  strange[28] = 9 // there is no such purpose
  assert.throws(() => decodeHello(strange), MalformedBytes)
  assert.throws(() => decodeRefused(Buffer.of(200)), MalformedBytes)
  assert.throws(() => decodeRefused(Buffer.alloc(0)), MalformedBytes)
  assert.equal(decodeRefused(encodeRefused('removed').subarray(9)), 'removed')
})
