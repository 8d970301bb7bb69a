import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { compareBytes, MalformedBytes } from '../../lib/bytes.ts'
import {
  decodeHistoryKey,
  decodeRecord,
  decodeRevisionKey,
  encodeRecord,
  historyBound,
  historyKey,
  isSameHistory,
  revisionKey,
} from './key-index.ts'

const hex = (...fields: readonly string[]): string => fields.join('')

/** Few different bytes, so that prefixes and zeros are common. */
const key = fc
  .array(fc.constantFrom(0, 1, 0x61, 0xfe, 0xff), { minLength: 1, maxLength: 6 })
  .map((bytes) => Buffer.from(bytes))
const revision = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 2 ** 32 - 2, max: 2 ** 32 + 2 }))

test('history keys are in the order of user key, then revision', () => {
  fc.assert(
    fc.property(key, revision, key, revision, (a, revisionA, b, revisionB) => {
      const expected = Math.sign(compareBytes(a, b)) || Math.sign(revisionA - revisionB)
      assert.equal(Math.sign(compareBytes(historyKey(a, revisionA), historyKey(b, revisionB))), expected)
      assert.equal(isSameHistory(historyKey(a, revisionA), historyKey(b, revisionB)), a.equals(b))
    }),
  )
})

test('a history bound divides history keys as its key divides user keys', () => {
  fc.assert(
    fc.property(key, revision, key, (a, revisionA, bound) => {
      assert.equal(compareBytes(historyKey(a, revisionA), historyBound(bound)) >= 0, compareBytes(a, bound) >= 0)
    }),
  )
})

test('keys and records are read as they were written', () => {
  fc.assert(
    fc.property(key, revision, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (key, revision, lease) => {
      assert.deepEqual(decodeHistoryKey(historyKey(key, revision)), { key, revision })
      assert.deepEqual(decodeRevisionKey(revisionKey(revision, 5)), { revision, sub: 5 })
      const record = { modRevision: revision, sub: 1, createRevision: 2, version: 3, lease }
      assert.deepEqual(decodeRecord(encodeRecord(record)), record)
    }),
  )
})

test('the bytes on disk do not change between versions', () => {
  assert.equal(
    historyKey(Buffer.from('a\0b'), 0x1_0000_0002).toString('hex'),
    hex('6100ff62', '0001', '0000000100000002'),
  )
  assert.equal(revisionKey(0x1_0000_0002, 3).toString('hex'), hex('0000000100000002', '00000003'))
  const record = encodeRecord({ modRevision: 1, sub: 2, createRevision: 3, version: 4, lease: -1n })
  assert.equal(
    record.toString('hex'),
    hex('0000000000000001', '00000002', '0000000000000003', '0000000000000004', 'ff'.repeat(8)),
  )
})

test('bytes that are not such keys are malformed', () => {
  const good = historyKey(Buffer.from('a'), 1)
  assert.throws(() => decodeHistoryKey(good.subarray(1)), MalformedBytes)
  assert.throws(
    () => decodeHistoryKey(Buffer.from(good.toString('hex').replace('0001', '0002'), 'hex')),
    MalformedBytes,
  )
  assert.throws(() => decodeHistoryKey(Buffer.from(`6100${good.toString('hex')}`, 'hex')), MalformedBytes)
  assert.throws(() => decodeRecord(Buffer.alloc(35)), MalformedBytes)
  assert.throws(() => decodeRevisionKey(Buffer.alloc(8)), MalformedBytes)
})
