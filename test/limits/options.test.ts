import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from './options.ts'

const FULL = { only: [], scale: 1, slack: 1, limitMs: 300_000, etcd: undefined, json: undefined, isQuick: false }

test('the full sizes, a quick form of them, and some of the scenarios', () => {
  assert.deepEqual(parseOptions([]), { ok: true, value: FULL })
  assert.deepEqual(parseOptions(['--quick', '--slack', '3']), {
    ok: true,
    value: { ...FULL, scale: 0.05, limitMs: 120_000, slack: 3, isQuick: true },
  })
  assert.deepEqual(parseOptions(['--only', 'range,delete', '--scale', '0.5', '--etcd', 'bin/etcd', '--json', 'rows']), {
    ok: true,
    value: { ...FULL, only: ['range', 'delete'], scale: 0.5, etcd: 'bin/etcd', json: 'rows' },
  })
})

test('a size beyond the full one, no slack at all, and what is no option are refused', () => {
  for (const args of [
    ['--scale', '0'],
    ['--scale', '2'],
    ['--scale', 'x'],
    ['--slack', '0.5'],
    ['--clients', '5'],
  ])
    assert.equal(parseOptions(args).ok, false, args.join(' '))
})
