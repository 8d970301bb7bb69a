import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { textOfBytes } from './byte-text.ts'
import {
  decodeRecord,
  encodeRecord,
  historyKey,
  historyText,
  LateRecord,
  recordOf,
  revisionKey,
  revisionText,
  type IndexRecord,
} from './key-index.ts'
import { encodePut, LatePut } from './key-value.ts'
import { bytesOfValue, putValue, type RowValue } from './row-value.ts'

const GAP = 7

const number = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 2 ** 32 - 2, max: 2 ** 53 - 1 }))
const lease = fc.oneof(fc.constantFrom(0n, 1n, 2n ** 32n), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
const sub = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const record = fc.record(
  { modRevision: number, sub, createRevision: number, version: number, lease },
  { noNullPrototype: true },
)
/** Few different bytes, so that zeros are common. */
const key = fc
  .array(fc.constantFrom(0, 1, 0x61, 0xff), { minLength: 1, maxLength: 20 })
  .map((bytes) => Buffer.from(bytes))
const value = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))

const fieldsOf = ({ modRevision, sub, createRevision, version, lease }: IndexRecord): IndexRecord => {
  return { modRevision, sub, createRevision, version, lease }
}

/** By itself, and in the middle of memory that has been used before. */
function assertBytes(late: RowValue, expected: Buffer): void {
  assert.equal(late.length, expected.length)
  assert.deepEqual(bytesOfValue(late), expected)
  const target = Buffer.alloc(GAP + expected.length + GAP, 0xaa)
  putValue(target, late, GAP)
  const around = Buffer.alloc(GAP, 0xaa)
  assert.deepEqual(target, Buffer.concat([around, expected, around]))
}

test('what becomes bytes late becomes the bytes that it would have been at once', () => {
  fc.assert(
    fc.property(record, key, value, (record, key, value) => {
      assertBytes(new LateRecord(record), encodeRecord(record))
      assertBytes(new LatePut(new LateRecord(record), textOfBytes(key), value), encodePut({ ...record, key, value }))
      assertBytes(value, value)
    }),
  )
})

test('a record is the same whether it has become bytes or not', () => {
  fc.assert(
    fc.property(record, (record) => {
      assert.deepEqual(fieldsOf(recordOf(new LateRecord(record))), record)
      assert.deepEqual(decodeRecord(encodeRecord(record)), record)
      assert.deepEqual(fieldsOf(recordOf(encodeRecord(record))), record)
    }),
  )
})

test('keys that are made as text are the texts of those that are made as bytes', () => {
  fc.assert(
    fc.property(key, number, sub, (key, revision, sub) => {
      assert.equal(revisionText(revision, sub), textOfBytes(revisionKey(revision, sub)))
      assert.equal(historyText(textOfBytes(key), revision), textOfBytes(historyKey(key, revision)))
    }),
  )
})
