import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SyncPace } from './sync-pace.ts'

test('a disk is quick after so many quick syncs in a row, and not after a slow one', () => {
  const pace = new SyncPace({ ms: 2, times: 3 })
  const isQuickAfter = (...durations: readonly number[]): boolean => {
    for (const ms of durations) pace.took(ms)
    return pace.isQuick
  }
  assert.equal(isQuickAfter(), false)
  assert.equal(isQuickAfter(1, 1.9), false)
  assert.equal(isQuickAfter(1), true)
  assert.equal(isQuickAfter(1, 1), true)
  assert.equal(isQuickAfter(2), false)
  assert.equal(isQuickAfter(0, 0), false)
  assert.equal(isQuickAfter(0), true)
})
