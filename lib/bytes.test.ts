import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader, ByteWriter, discard, MalformedBytes } from './bytes.ts'

const written = (): Buffer =>
  new ByteWriter(1)
    .u8(7)
    .u32(0xfffffffe)
    .u53(Number.MAX_SAFE_INTEGER)
    .u64(2n ** 64n - 1n)
    .text('käse')
    .finish()

test('what is written is read back', () => {
  const reader = new ByteReader(written())
  assert.equal(reader.u8(), 7)
  assert.equal(reader.u32(), 0xfffffffe)
  assert.equal(reader.u53(), Number.MAX_SAFE_INTEGER)
  assert.equal(reader.u64(), 2n ** 64n - 1n)
  assert.equal(reader.text(), 'käse')
  reader.end()
})

test('input cut at any offset is malformed, never read past its end', () => {
  const whole = written()
  for (let length = 0; length < whole.length; length++) {
    const reader = new ByteReader(whole.subarray(0, length))
    assert.throws(() => {
      reader.u8()
      reader.u32()
      reader.u53()
      reader.u64()
      reader.text()
    }, MalformedBytes)
  }
})

test('a number beyond 2^53 is malformed', () => {
  assert.throws(() => new ByteReader(new ByteWriter().u64(2n ** 53n).finish()).u53(), MalformedBytes)
})

test('left-over bytes are malformed', () => {
  assert.throws(() => new ByteReader(Uint8Array.of(1)).end(), MalformedBytes)
})

test('what is shared stands in its place among the parts, and large bytes are those that were given', () => {
  const [small, large] = [Buffer.alloc(4095, 1), Buffer.alloc(4096, 2)]
  const write = (writer: ByteWriter): ByteWriter =>
    writer.u8(1).sharedBytes(large).sharedBytes(small).sharedBytes(large)
  const parts = write(new ByteWriter(1)).u8(9).parts()
  assert.deepEqual(Buffer.concat(parts), new ByteWriter().u8(1).bytes(large).bytes(small).bytes(large).u8(9).finish())
  assert.equal(parts.filter(({ buffer }) => buffer === large.buffer).length, 2)
  assert.throws(() => write(new ByteWriter()).finish(), /parts/)
})

test('bytes that are all of their memory are discarded with it; a part of it stays, with all the rest', () => {
  const whole = Buffer.allocUnsafeSlow(100_000)
  discard(whole)
  assert.equal(whole.length, 0)
  const part = Buffer.allocUnsafeSlow(100_000).subarray(1)
  const ofPool = Buffer.from('of the pool')
  for (const bytes of [part, ofPool, new Uint8Array(new SharedArrayBuffer(10))]) {
    const { length } = bytes
    discard(bytes)
    assert.equal(bytes.length, length)
  }
})
