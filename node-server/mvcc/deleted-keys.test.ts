import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Table } from './backend.ts'
import { bytesOfText, textOfBytes } from './byte-text.ts'
import { DeletedKeys } from './deleted-keys.ts'
import { encodeRecord, historyKey, revisionKey, tombstoneOf } from './key-index.ts'
import { encodeTombstone } from './key-value.ts'
import { REMOVED, WrittenRows } from './layer.ts'
import type { Row } from './table-rows.ts'

const REVISION = 9
const LEASE = Buffer.from('0102030405060708', 'hex')
const KEYS = ['\0', '\0\0', 'a', 'a\0', 'a\0\x01', 'ab', 'b', '\xff', '\xff\xff']
const TABLES: readonly Table[] = ['current', 'revisions', 'history', 'leaseKeys', 'leases']

interface Deleted {
  readonly key: string
  readonly modRevision: number
  readonly sub: number
}

const deletions = fc
  .tuple(fc.subarray(KEYS), fc.array(fc.nat(REVISION - 2), { minLength: KEYS.length, maxLength: KEYS.length }))
  .map(([keys, revisions]) =>
    keys.map((key, i): Deleted => ({ key, modRevision: 1 + (revisions[i] ?? 0), sub: 3 * i + 1 })),
  )

const recordOf = ({ modRevision }: Deleted): Buffer =>
  encodeRecord({ modRevision, sub: 0, createRevision: 1, version: 1, lease: 0n })

/** The same rows, written one by one. */
function written(all: readonly Deleted[], hasLease: boolean): WrittenRows {
  const tree = new WrittenRows()
  for (const deleted of all) {
    const { key, modRevision, sub } = deleted
    const bytes = bytesOfText(key)
    tree.set('current', key, REMOVED)
    tree.set('revisions', textOfBytes(revisionKey(REVISION, sub)), encodeTombstone(bytes, REVISION))
    tree.set('history', textOfBytes(historyKey(bytes, modRevision)), recordOf(deleted))
    const tombstone = encodeRecord(tombstoneOf(REVISION, sub, undefined))
    tree.set('history', textOfBytes(historyKey(bytes, REVISION)), tombstone)
    if (hasLease) tree.set('leaseKeys', textOfBytes(Buffer.concat([LEASE, bytes])), REMOVED)
  }
  return tree
}

const plain = (rows: Iterable<Row>): readonly Row[] => Array.from(rows, ({ key, value }) => ({ key, value }))

test('its rows are those that would have been written one by one', () => {
  fc.assert(
    fc.property(deletions, fc.boolean(), fc.nat(40), fc.option(fc.nat(40)), (all, hasLease, from, to) => {
      const keys = new DeletedKeys(REVISION, hasLease ? LEASE : undefined)
      for (const deleted of all) assert.ok(keys.add(deleted.key, recordOf(deleted), deleted.sub))
      const tree = written(all, hasLease)
      assert.equal(keys.rows, tree.rows)
      for (const table of TABLES) {
        const everything = [...tree.rowsIn(table, { low: '', high: undefined }, false)]
        for (const { key, value } of everything) assert.deepEqual(keys.get(table, key), value)
        const bounds = ['', ...everything.flatMap(({ key }) => [key, `${key}\0`]), ...KEYS]
        for (const bound of bounds)
          assert.equal(keys.get(table, bound) === undefined, tree.get(table, bound) === undefined)
        const range = {
          low: bounds[from % bounds.length] ?? '',
          high: to === null ? undefined : bounds[to % bounds.length],
        }
        assert.equal(keys.has(table, range), tree.has(table, range))
        for (const isReverse of [false, true])
          assert.deepEqual([...keys.rowsIn(table, range, isReverse)], plain(tree.rowsIn(table, range, isReverse)))
        if (table === 'current' && (range.high === undefined || range.low <= range.high))
          assert.equal(keys.count(range), [...tree.rowsIn(table, range, false)].length)
      }
    }),
    { numRuns: 300 },
  )
})

test('a key that does not come after the others is not taken', () => {
  const keys = new DeletedKeys(REVISION)
  const record = recordOf({ key: 'b', modRevision: 2, sub: 0 })
  assert.ok(keys.add('b', record, 0))
  for (const key of ['b', 'a']) assert.equal(keys.add(key, record, 1), false)
  assert.deepEqual([...keys.rowsIn('current', { low: '', high: undefined }, false)], [{ key: 'b', value: REMOVED }])
})
