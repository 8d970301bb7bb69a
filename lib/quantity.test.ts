import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseQuantity, quantityOf } from './quantity.ts'

test('a size is written with the largest binary suffix that leaves a whole number, and reads back as the same', () => {
  const sizes = ['15Gi', '1Ti', '1536Gi', '512Mi', '3Ki', '1000', '10G', '1.5Gi']
  assert.deepEqual(
    sizes.map((size) => quantityOf(parseQuantity(size) ?? 0)),
    ['15Gi', '1Ti', '1536Gi', '512Mi', '3Ki', '1000', '9765625Ki', '1536Mi'],
  )
})
