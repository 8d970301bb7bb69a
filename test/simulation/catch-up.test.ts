import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findWrong } from './catch-up.ts'

test('a follower too far behind catches up with one snapshot, whatever is written meanwhile; without room it gets few', async () => {
  assert.deepEqual(await findWrong(3), { tried: 3, wrong: undefined })
})
