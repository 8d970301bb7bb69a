import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TABLES, type Write } from '../../mvcc/backend.ts'
import { textOfBytes } from '../../mvcc/byte-text.ts'
import { LateRecord } from '../../mvcc/key-index.ts'
import { LatePut } from '../../mvcc/key-value.ts'
import { bytesOfValue } from '../../mvcc/row-value.ts'
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
  const packed = [
    ...packRows([
      write('current', 'b', 'old'),
      write('current', 'a', ''),
      write('current', 'b', undefined),
      write('revisions', 'z', 'v'),
    ]),
  ]
  const rows = ['02000000 02000000 00 7a 76', '02000000 01000000 01 61', '02000000 00000000 01 62']
  assert.equal(Buffer.concat(packed).toString('hex'), rows.join('').replaceAll(' ', ''))
  assert.deepEqual([...packRows([])], [])
})

test('a key is the same row as its text', () => {
  const [key, value] = [Buffer.of(0, 0x7f, 0x80, 0xff), Buffer.from('v')]
  const packed = [...packRows([{ table: 'current', key: textOfBytes(key), value }])]
  assert.deepEqual(packed, [...packRows([{ table: 'current', key, value }])])
})

test('a value that becomes bytes late is the same row as its bytes', () => {
  const row = { table: 'revisions', key: 'k' } as const
  const record = new LateRecord({ createRevision: 2, modRevision: 3, sub: 0, version: 2, lease: 0n })
  const late = new LatePut(record, 'key', Buffer.from('value'))
  const packed = [...packRows([{ ...row, value: late }])]
  assert.deepEqual(packed, [...packRows([{ ...row, value: bytesOfValue(late) }])])
})

test('many rows go in pieces, each row whole in one, and are read as they come', () => {
  const value = Buffer.alloc(100, 'v')
  const key = (number: number): Buffer => Buffer.from(String(number).padStart(6, '0'))
  let made = 0
  function* writes(): Iterable<Write> {
    for (; made < 10_000; made++)
      yield { table: 'current', key: key(made), value: made === 5000 ? Buffer.alloc(600_000) : value }
  }
  const pieces = []
  for (const piece of packRows(writes())) {
    pieces.push(piece)
    assert.ok(made <= pieces.length * 2001, `${made} rows are read for ${pieces.length} pieces`)
  }
  assert.ok(pieces.length >= 5)
  let rows = 0
  for (const piece of pieces) {
    let at = 0
    for (; at < piece.length; rows++) {
      const [keySize, valueSize] = [piece.readUInt32LE(at), piece.readUInt32LE(at + 4) - 1]
      assert.deepEqual(piece.subarray(at + 9, at + 8 + keySize), key(rows))
      assert.equal(valueSize, rows === 5000 ? 600_000 : 100)
      at += 8 + keySize + valueSize
    }
    assert.equal(at, piece.length)
  }
  assert.equal(rows, 10_000)
})

test('a large row takes no more memory than it needs', () => {
  const write = (key: string, sizeBytes: number): Write => ({
    table: 'current',
    key: Buffer.from(key),
    value: Buffer.alloc(sizeBytes),
  })
  const pieces = [...packRows([write('a', 10), write('b', 100_000), write('c', 1_400_000), write('d', 10)])]
  const large = (sizeBytes: number): number => 8 + 2 + sizeBytes
  assert.deepEqual(
    pieces.map(({ length }) => length),
    [large(10) + large(100_000), large(1_400_000), large(10)],
  )
  const alone = [...packRows([write('b', 100_000), write('c', 100_000)])]
  assert.deepEqual(
    alone.map(({ buffer }) => buffer.byteLength),
    [large(100_000), large(100_000)],
  )
})
