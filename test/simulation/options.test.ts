import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from './options.ts'

test('one seed is a replay, a time takes as many seeds as fit', () => {
  assert.deepEqual(parseOptions(['--seed', '17']), {
    ok: true,
    value: { first: 17, seeds: 1, forMs: Infinity, jobs: 1, isReplay: true },
  })
  assert.deepEqual(parseOptions(['--for', '30m', '--jobs', '2']), {
    ok: true,
    value: { first: 1, seeds: Infinity, forMs: 1_800_000, jobs: 2, isReplay: false },
  })
  assert.deepEqual(parseOptions(['--for', 'long']), {
    ok: false,
    error: '--for long: a number with s, m or h is expected, such as 30m',
  })
  assert.deepEqual(parseOptions(['--seed', '1e3']), { ok: false, error: '--seed 1e3: a whole number is expected' })
})
