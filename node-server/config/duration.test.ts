import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDurationMs } from './duration.ts'

test('durations are read as Go reads them', () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ['0', 0],
    ['+0', 0],
    ['0s', 0],
    ['5s', 5000],
    ['1m30s', 90_000],
    ['1h0m0s', 3_600_000],
    ['500ms', 500],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['5.s', 5000],
    ['-2s', -2000],
    ['+2s', 2000],
    ['1500us', 1.5],
    ['2µs', 0.002],
    ['2μs', 0.002],
    ['600000000000ns', 600_000],
    ['1s1s', 2000],
    ['1s30m', 1_801_000],
    ['292h', 1_051_200_000],
    ['', undefined],
    ['5', undefined],
    ['s', undefined],
    ['.s', undefined],
    ['1d', undefined],
    ['1 s', undefined],
    ['1s ', undefined],
    ['--1s', undefined],
    ['1e3s', undefined],
    ['1S', undefined],
    ['3000000h', undefined],
  ]
  for (const [text, expected] of cases) assert.equal(parseDurationMs(text), expected, text)
})
