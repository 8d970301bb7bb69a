import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findWrong } from './full-disk.ts'

test('nobody ends on a disk that its own cluster fills: writes and copies are refused, and go on after a compaction', async () => {
  assert.deepEqual(await findWrong(3), { tried: 3, wrong: undefined })
})
