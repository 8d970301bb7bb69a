import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatStatus } from './snapshot-status.ts'
import { humanSize, quoteBytes } from './words.ts'

test('sizes are written as etcdutl writes them', () => {
  const written = [0, 9, 10, 999, 1000, 1049, 9949, 20_480, 999_999, 1_500_000, 2_147_483_648].map(humanSize)
  assert.deepEqual(written, [
    '0 B',
    '9 B',
    '10 B',
    '999 B',
    '1.0 kB',
    '1.0 kB',
    '9.9 kB',
    '20 kB',
    '1000 kB',
    '1.5 MB',
    '2.1 GB',
  ])
})

test('keys are shown whatever is in them', () => {
  assert.equal(quoteBytes(Buffer.from('/a "b"\\\n\0é', 'utf8')), '"/a \\"b\\"\\\\\\x0a\\x00\\xc3\\xa9"')
})

test('the forms of snapshot status are those of etcdutl 3.7.3', () => {
  // Printed by etcdutl for a snapshot with these numbers.
  const status = { hash: 2480708204, revision: 4, totalKey: 3, totalSize: 20480, version: '3.7.0' }
  assert.equal(formatStatus(status, 'simple'), '93dc9a6c, 4, 3, 20 kB, 3.7.0\n')
  assert.equal(
    formatStatus(status, 'json'),
    '{"hash":2480708204,"revision":4,"totalKey":3,"totalSize":20480,"version":"3.7.0"}\n',
  )
  assert.equal(
    formatStatus(status, 'fields'),
    '"Hash" : 2480708204\n"Revision" : 4\n"Keys" : 3\n"Size" : 20480\n"Version" : 3.7.0\n',
  )
  assert.equal(
    formatStatus(status, 'table'),
    [
      '┌──────────┬──────────┬────────────┬────────────┬─────────┐',
      '│   HASH   │ REVISION │ TOTAL KEYS │ TOTAL SIZE │ VERSION │',
      '├──────────┼──────────┼────────────┼────────────┼─────────┤',
      '│ 93dc9a6c │        4 │          3 │      20 kB │   3.7.0 │',
      '└──────────┴──────────┴────────────┴────────────┴─────────┘',
      '',
    ].join('\n'),
  )
})
