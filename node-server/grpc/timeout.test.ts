import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeStatusText } from './status-text.ts'
import { parseTimeoutMs } from './timeout.ts'

test('a timeout is at most eight digits and a unit', () => {
  for (const [text, ms] of [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['99999999S', 99_999_999_000],
    ['5m', 5],
    ['1500u', 1.5],
    ['0n', 0],
  ] as const)
    assert.equal(parseTimeoutMs(text), ms)
  for (const text of ['', 'm', '5', '123456789m', '-1S', '1.5S', '5 m', '5x', '5constructor'])
    assert.equal(parseTimeoutMs(text), undefined, text)
})

test('a status text travels as printable ASCII', () => {
  assert.equal(encodeStatusText('etcdserver: no leader'), 'etcdserver: no leader')
  assert.equal(encodeStatusText('100 %\n"ä"'), '100 %25%0A"%C3%A4"')
})
