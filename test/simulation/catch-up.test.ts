import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findWrong } from './catch-up.ts'

test('one snapshot is enough for a follower that is too far behind, however many writes come in while it is on its way', async () => {
  assert.deepEqual(await findWrong(3), { tried: 3, wrong: undefined })
})
