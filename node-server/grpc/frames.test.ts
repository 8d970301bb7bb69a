import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { framed } from './frames.ts'

const SIZES = [0, 1, 100, 4095, 4096, 5000]
const part = fc.constantFrom(...SIZES).map((size) => Buffer.alloc(size, size))
const responses = fc.array(fc.array(part, { maxLength: 3 }), { minLength: 1, maxLength: 4 })

test('each response stands behind its length, whatever parts it has', () => {
  fc.assert(
    fc.property(responses, (given) => {
      const expected = given.flatMap((parts) => {
        const message = Buffer.concat(parts)
        const prefix = Buffer.alloc(5)
        prefix.writeUInt32BE(message.length, 1)
        return [prefix, message]
      })
      assert.deepEqual(Buffer.concat(framed(given)), Buffer.concat(expected))
    }),
  )
})

test('a large part is the same bytes in all responses, small ones are written together', () => {
  const [head, large] = [Buffer.from('head'), Buffer.alloc(4096)]
  assert.deepEqual(
    framed([[head, head], [head], [head, large], [head]]).map((piece) => (piece === large ? 'large' : piece.length)),
    [5 + 8 + 5 + 4 + 5 + 4, 'large', 5 + 4],
  )
})
