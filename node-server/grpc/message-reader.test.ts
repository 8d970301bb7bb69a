import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageReader } from './message-reader.ts'

const framed = (text: string, isCompressed = false): Buffer => {
  const out = Buffer.alloc(5 + text.length)
  out[0] = isCompressed ? 1 : 0
  out.writeUInt32BE(text.length, 1)
  out.write(text, 5, 'latin1')
  return out
}
const takeAll = (reader: MessageReader): string[] => {
  const seen: string[] = []
  while (reader.isNextWhole) seen.push(reader.take().toString('latin1'))
  reader.keep()
  return seen
}

test('messages come out as they went in, however they are cut', () => {
  const texts = ['one', '', 'x'.repeat(3000), 'four']
  const all = Buffer.concat(texts.map((text) => framed(text)))
  for (let step = 1; step <= all.length; step += step < 40 ? 1 : 331) {
    const reader = new MessageReader()
    const seen: string[] = []
    for (let at = 0; at < all.length; at += step) {
      const piece = Buffer.from(all.subarray(at, at + step))
      reader.add(piece, 0, piece.length)
      seen.push(...takeAll(reader))
      piece.fill(0) // what was read is used again
    }
    assert.deepEqual(seen, texts, `pieces of ${step}`)
    assert.equal(reader.heldBytes, 0)
  }
})

test('a message that has come whole is a view of what was read', () => {
  const bytes = Buffer.concat([Buffer.from('..'), framed('abc')])
  const reader = new MessageReader()
  reader.add(bytes, 2, bytes.length)
  assert.equal(reader.take().buffer, bytes.buffer)
})

test('a message that comes in pieces takes no more memory than it has bytes', () => {
  const message = framed('x'.repeat(100_000))
  for (const step of [1, 4, 1000, 16_384, 50_002, 99_999]) {
    const reader = new MessageReader()
    for (let at = 0; at < message.length; at += step) {
      reader.add(message, at, Math.min(at + step, message.length))
      reader.keep()
    }
    assert.equal(reader.take().buffer.byteLength, message.length, `pieces of ${step}`)
  }
})

test('a length that is claimed takes no memory by itself', () => {
  const claim = framed('x'.repeat(10_000))
  claim.writeUInt32BE(1 << 30, 1)
  const reader = new MessageReader()
  const before = process.memoryUsage().arrayBuffers
  reader.add(claim, 0, 5000)
  reader.keep()
  reader.add(claim, 5000, claim.length)
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 20)
})

test('the prefix is known before the message is there', () => {
  const reader = new MessageReader()
  const bytes = framed('abcdef', true)
  reader.add(bytes, 0, 4)
  assert.deepEqual([reader.nextLength, reader.isNextWhole], [undefined, false])
  reader.add(bytes, 4, 6)
  assert.deepEqual([reader.nextLength, reader.isNextWhole, reader.isNextCompressed], [6, false, true])
  reader.add(bytes, 6, 11)
  assert.equal(reader.take().toString(), 'abcdef')
})

test('what is taken stays what it is when more comes', () => {
  const reader = new MessageReader()
  const bytes = Buffer.concat([framed('first'), framed('second')])
  reader.add(bytes, 0, 14)
  reader.keep()
  const first = reader.take()
  reader.add(bytes, 14, bytes.length)
  assert.deepEqual([reader.take().toString(), first.toString()], ['second', 'first'])
})
