import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { TABLES, type Write } from '../mvcc/backend.ts'
import { packed, unpacked } from './lmdb-packed.ts'

test('rows are a head of 7 bytes, the key and the value', () => {
  const [piece, ...others] = packed([
    { table: 'current', key: Buffer.from('key'), value: Buffer.from('v') },
    { table: 'history', key: Buffer.from('k'), value: undefined },
  ])
  const rows = ['01 0300 02000000 6b6579 76', '02 0100 00000000 6b']
  assert.equal(piece?.toString('hex'), rows.join('').replaceAll(' ', ''))
  assert.deepEqual(others, [])
})

test('rows come out as they went in, whatever their number and their sizes', () => {
  const write: fc.Arbitrary<Write> = fc
    .record({
      table: fc.constantFrom(...TABLES),
      key: fc.uint8Array({ minLength: 1, maxLength: 20 }).map((key) => Buffer.from(key)),
      value: fc.option(
        fc.nat(5).map((size) => Buffer.alloc([0, 1, 40, 1000, 100_000, 300_000][size] ?? 0, size)),
        { nil: undefined },
      ),
    })
    .map((fields) => ({ ...fields }))
  fc.assert(
    fc.property(fc.array(write, { maxLength: 30 }), fc.constantFrom(1, 300), (some, times) => {
      const writes = Array.from({ length: times }, () => some).flat()
      const pieces = [...packed(writes)]
      assert.deepEqual(
        pieces.flatMap((piece) => [...unpacked(piece)]),
        writes,
      )
      if (writes.length > 2000) assert.ok(pieces.length > 1)
    }),
    { numRuns: 20 },
  )
})
