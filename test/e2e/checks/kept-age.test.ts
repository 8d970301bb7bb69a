import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mostAgeMs } from './kept-age.ts'

test('the most age is that of what was kept before, when the next is said to be kept', () => {
  const log = [
    '2026-11-30T12:00:00.100000000Z there is no backup to begin with: one is taken now',
    '2026-11-30T12:00:10.000000000Z c1: kept up to revision 5, 2026-11-30T12:00:09.500Z',
    '2026-11-30T12:00:15.000000000Z c1: kept up to revision 9, more is to come',
    '2026-11-30T12:00:21.000000000Z c1: kept up to revision 12, 2026-11-30T12:00:20.000Z',
    '2026-11-30T12:00:25.000000000Z c1: kept up to revision 12, 2026-11-30T12:00:25.000Z',
  ].join('\n')
  assert.equal(mostAgeMs(log), 11_500)
  assert.equal(mostAgeMs(''), 0)
})
