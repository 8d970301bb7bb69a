import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_FRAME_BYTES, pingFrame, PREFACE, writeFrameHeader } from './frame.ts'
import { FrameReader } from './frame-reader.ts'

const long = Buffer.alloc(9 + MAX_FRAME_BYTES, 7)
writeFrameHeader(long, 0, MAX_FRAME_BYTES, 0, 1, 3)
const FRAMES = [Buffer.from('000000040000000000', 'hex'), pingFrame(Buffer.from('12345678'), false), long]
const ALL = Buffer.concat([PREFACE, ...FRAMES])

/** What is read, as it would be written. */
function read(...chunks: readonly Buffer[]): Buffer {
  const seen: Buffer[] = []
  const reader = new FrameReader((type, flags, streamId, bytes, start, end) => {
    const header = Buffer.alloc(9)
    writeFrameHeader(header, 0, end - start, type, flags, streamId)
    seen.push(header, Buffer.from(bytes.subarray(start, end)))
  })
  for (const chunk of chunks) reader.read(chunk)
  return Buffer.concat(seen)
}

test('frames come out as they went in, however they are cut', () => {
  const expected = Buffer.concat(FRAMES)
  assert.deepEqual(read(ALL), expected)
  for (let cut = 0; cut <= 80; cut++) assert.deepEqual(read(ALL.subarray(0, cut), ALL.subarray(cut)), expected)
  const bytes = [...ALL.subarray(0, 200)].map((byte) => Buffer.of(byte))
  assert.deepEqual(read(...bytes, ALL.subarray(200)), expected)
})

test('a frame that has come whole is not copied', () => {
  const chunk = Buffer.concat([PREFACE, FRAMES[1] ?? long])
  const reader = new FrameReader((_type, _flags, _streamId, bytes) => assert.equal(bytes, chunk))
  reader.read(chunk)
})

test('a frame at the limit passes, one byte more ends the connection before it has come', () => {
  const header = Buffer.alloc(9)
  writeFrameHeader(header, 0, MAX_FRAME_BYTES + 1, 0, 0, 1)
  assert.throws(() => read(PREFACE, header), { name: 'ConnectionError', code: 6 })
  assert.throws(() => read(PREFACE, header.subarray(0, 4), header.subarray(4)), { name: 'ConnectionError', code: 6 })
})

test('what does not begin with the preface is refused at its first wrong byte', () => {
  assert.throws(() => read(Buffer.from('PRI * HTTP/1')), { name: 'ConnectionError', code: 1 })
  assert.throws(() => read(PREFACE.subarray(0, 20), Buffer.from('X')), { name: 'ConnectionError', code: 1 })
  assert.equal(read(PREFACE.subarray(0, 23)).length, 0)
})
