import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import { mismatches, show, textOf, treeOf } from './tree.ts'

test('numbers of 64 bits, bytes and key-values have a form that can be compared and read', () => {
  const kv = KeyValue.encode(KeyValue.fromPartial({ key: Buffer.from('a'), version: 2n })).finish()
  assert.equal(
    show(treeOf({ revision: 3n, kvs: [kv], more: false, name: Buffer.of(0, 0x61) })),
    "{ revision: 3n, kvs: [{ key: 'a', version: 2n }], name: '\\x00a' }",
  )
})

test('long bytes are shortened and still differ when they are not the same', () => {
  const [a, b] = [Buffer.alloc(200, 'a'), Buffer.alloc(200, 'a')]
  b[150] = 0
  assert.notEqual(textOf(a), textOf(b))
  assert.ok(textOf(a).length < 60)
})

test('each field that differs is named, lists by their length and by their items', () => {
  assert.deepEqual(mismatches({ a: 1, b: [1, 2] }, { a: 1, b: [1, 3] }), [{ field: 'b[1]', etcd: 2, ours: 3 }])
  assert.deepEqual(
    mismatches({ b: [] }, { b: [{ c: 1 }] }).map(({ field }) => field),
    ['b.length', 'b[0]'],
  )
  assert.deepEqual(mismatches({ a: 1 }, {}), [{ field: 'a', etcd: 1, ours: undefined }])
  assert.deepEqual(mismatches({ a: { b: '0n' } }, { a: { b: '0n' } }), [])
})
