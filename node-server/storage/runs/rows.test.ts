import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TABLES, type Write } from '../../mvcc/backend.ts'
import { packRows, tableNumber } from './rows.ts'

test('the numbers of the tables are part of the format: new ones come at the end', () => {
  const numbers = ['revisions', 'current', 'history', 'meta', 'members', 'operations', 'operationOrder'] as const
  const more = ['configHistory', 'alarms', 'leases', 'leaseKeys'] as const
  assert.deepEqual([...numbers, ...more].map(tableNumber), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  assert.ok(TABLES.length <= 256)
})

test('rows go to the writer in order, and of those with the same key the last one', () => {
  const write = (table: Write['table'], key: string, value: string | undefined): Write => ({
    table,
    key: Buffer.from(key),
    value: value === undefined ? undefined : Buffer.from(value),
  })
  const packed = packRows([
    write('current', 'b', 'old'),
    write('current', 'a', ''),
    write('current', 'b', undefined),
    write('revisions', 'z', 'v'),
  ])
  const rows = ['02000000 02000000 00 7a 76', '02000000 01000000 01 61', '02000000 00000000 01 62']
  assert.equal(packed.toString('hex'), rows.join('').replaceAll(' ', ''))
  assert.equal(packRows([]).length, 0)
})
