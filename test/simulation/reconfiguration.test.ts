import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findWrong } from './reconfiguration.ts'

test('whichever voters are dead, since when, under which change: nothing is taken that loses the cluster, nothing else refused', async () => {
  const { tried, wrong } = await findWrong()
  assert.equal(wrong, undefined)
  assert.ok(tried > 1000)
})
