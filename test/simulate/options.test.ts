import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { parseOptions } from './options.ts'

const parse = (...args: string[]): unknown => parseOptions(args, ['store', 'operator'])
const DEFAULTS = {
  subjects: [],
  first: 1,
  seeds: 200,
  forMs: Infinity,
  jobs: availableParallelism(),
  members: undefined,
}

test('one seed runs alone, a time takes as many seeds as fit', () => {
  assert.deepEqual(parse(), { ok: true, value: DEFAULTS })
  assert.deepEqual(parse('store', '--seed', '17'), {
    ok: true,
    value: { ...DEFAULTS, subjects: ['store'], first: 17, seeds: 1, jobs: 1 },
  })
  assert.deepEqual(parse('--for', '30m', '--jobs', '2', '--members', '5'), {
    ok: true,
    value: { ...DEFAULTS, seeds: Infinity, forMs: 1_800_000, jobs: 2, members: 5 },
  })
  assert.deepEqual(parse('--for', '60s', '--seeds', '9'), {
    ok: true,
    value: { ...DEFAULTS, seeds: 9, forMs: 60_000 },
  })
})

test('what is wrong is said', () => {
  for (const [args, error] of [
    [['--for', 'long'], '--for long: a number with s, m or h is expected, such as 30m'],
    [['--seed', '1e3'], '--seed 1e3: a whole number is expected'],
    [['--members', '8'], '--members 8: 1 to 7 are expected'],
    [['client'], 'client cannot be simulated, only store and operator'],
  ] as const)
    assert.deepEqual(parse(...args), { ok: false, error })
})
