import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from './options.ts'

const FULL = {
  only: [],
  rounds: 3,
  scale: 1,
  isOursAlone: false,
  nodeFlags: [],
  memberFlags: [],
  programs: undefined,
  json: undefined,
  markdown: undefined,
}

test('the full form, the quick one, and each option beside them', () => {
  assert.deepEqual(parseOptions([]), { ok: true, value: FULL })
  assert.deepEqual(parseOptions(['--quick']), { ok: true, value: { ...FULL, rounds: 1, scale: 0.1 } })
  assert.deepEqual(parseOptions(['--quick', '--rounds', '2', '--only', 'put,get', '--ours']), {
    ok: true,
    value: { ...FULL, rounds: 2, scale: 0.1, only: ['put', 'get'], isOursAlone: true },
  })
  assert.deepEqual(parseOptions(['--node-flags=--no-opt --max-lazy', '--member-flags=--warm-up=false']), {
    ok: true,
    value: { ...FULL, nodeFlags: ['--no-opt', '--max-lazy'], memberFlags: ['--warm-up=false'] },
  })
  assert.deepEqual(parseOptions(['--programs', 'bin', '--json', 'a.json', '--markdown', 'a.md']), {
    ok: true,
    value: { ...FULL, programs: 'bin', json: 'a.json', markdown: 'a.md' },
  })
})

test('no round, part of one, no size, too large a one, and what is no option are refused', () => {
  for (const args of [
    ['--rounds', '0'],
    ['--rounds', '1.5'],
    ['--scale', '0'],
    ['--scale', '11'],
    ['--puts', '5'],
  ])
    assert.equal(parseOptions(args).ok, false, args.join(' '))
})
