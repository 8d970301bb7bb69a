import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findWrong } from './lock-line.ts'

test('one holds the lock at a time, whatever happens to members, and then it goes from hand to hand', async () => {
  assert.deepEqual(await findWrong(2), { tried: 2, wrong: undefined })
})
