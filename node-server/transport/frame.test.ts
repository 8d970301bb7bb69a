import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalformedBytes } from '../../lib/bytes.ts'
import { ClusterId, MemberId } from '../../lib/ids.ts'
import { FRAME, FrameDecoder, decodeHello, decodeRefused, encodeFrame, encodeHello, encodeRefused } from './frame.ts'

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

test('frames come out as they went in, however the stream is cut', () => {
  const frames = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(700, 5), Buffer.from('last')]
  const stream = Buffer.concat(frames.map((payload, i) => encodeFrame(i + 1, payload)))
  for (const pieceSize of [1, 2, 3, 7, 8, 9, 100, 709, stream.length]) {
    const decoder = new FrameDecoder()
    const got = []
    for (let at = 0; at < stream.length; at += pieceSize) got.push(...decoder.push(stream.subarray(at, at + pieceSize)))
    assert.deepEqual(
      got.map(({ type, payload }) => [type, payload.toString('hex')]),
      frames.map((payload, i) => [i + 1, payload.toString('hex')]),
      `pieces of ${pieceSize}`,
    )
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
  assert.throws(() => new FrameDecoder(1000).push(header), /a frame of 1001 bytes; at most 1000 are accepted/)
  assert.throws(() => new FrameDecoder().push(Buffer.alloc(8)), MalformedBytes)
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
