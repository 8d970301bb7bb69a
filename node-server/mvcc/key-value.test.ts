import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MalformedBytes } from '../../lib/bytes.ts'
import { KeyValue } from '../proto/generated/etcd/kv.ts'
import { decodeStoredRevision, encodePut, encodeTombstone, valueOf, withoutValue } from './key-value.ts'

const hex = (...fields: readonly string[]): string => fields.join('')

const number = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.maxSafeNat())
const fields = fc.record({
  key: fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  createRevision: number,
  modRevision: number,
  version: number,
  value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  lease: fc.oneof(fc.constant(0n), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
})

test('a put is the message that the generated codec writes, after its tag', () => {
  fc.assert(
    fc.property(fields, (fields) => {
      const { createRevision, modRevision, version } = fields
      const message = {
        ...fields,
        createRevision: BigInt(createRevision),
        modRevision: BigInt(modRevision),
        version: BigInt(version),
      }
      const { isTombstone, keyValue } = decodeStoredRevision(encodePut(fields))
      assert.equal(isTombstone, false)
      assert.deepEqual(keyValue, Buffer.from(KeyValue.encode(message).finish()))
      assert.deepEqual(valueOf(keyValue), fields.value)
      assert.deepEqual(KeyValue.decode(withoutValue(keyValue)), { ...message, value: Buffer.alloc(0) })
    }),
  )
})

test('a tombstone has the key and the revision of its delete', () => {
  const { isTombstone, keyValue } = decodeStoredRevision(encodeTombstone(Buffer.from('gone'), 300))
  assert.equal(isTombstone, true)
  const { key, modRevision, createRevision, version, value } = KeyValue.decode(keyValue)
  assert.deepEqual([key.toString(), modRevision, createRevision, version, value.length], ['gone', 300n, 0n, 0n, 0])
})

test('the bytes on disk do not change between versions', () => {
  const put = encodePut({
    key: Buffer.from('k'),
    createRevision: 2,
    modRevision: 300,
    version: 1,
    value: Buffer.from('v'),
    lease: 5n,
  })
  assert.equal(put.toString('hex'), hex('00', '0a016b', '1002', '18ac02', '2001', '2a0176', '3005'))
  assert.equal(encodeTombstone(Buffer.from('k'), 3).toString('hex'), hex('01', '0a016b', '1803'))
})

test('damaged bytes are refused, not read beyond', () => {
  assert.throws(() => decodeStoredRevision(Buffer.of(2)), MalformedBytes)
  assert.throws(() => decodeStoredRevision(Buffer.alloc(0)), MalformedBytes)
  assert.throws(() => valueOf(Buffer.from('0a056b', 'hex')), MalformedBytes)
  assert.throws(() => valueOf(Buffer.from('2a8080808080', 'hex')), MalformedBytes)
})
