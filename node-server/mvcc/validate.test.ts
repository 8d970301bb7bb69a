import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestOp } from '../proto/generated/etcd/rpc.ts'
import { opDelete, opPut, opRange, opTxn, rangeRequest, txnRequest } from './testing/requests.ts'
import { validateRange, validateTxn } from './validate.ts'

const duplicates = (...success: RequestOp[]): boolean => validateTxn(txnRequest(success), 128)?.kind === 'duplicate-key'
const either = (success: RequestOp[], failure: RequestOp[]): RequestOp => opTxn(txnRequest(success, failure))

test('no key is put twice, and none put that is also deleted (etcd: duplicate key given in txn request)', () => {
  assert.equal(duplicates(opPut('a'), opPut('b')), false)
  assert.equal(duplicates(opPut('a'), opPut('a')), true)
  assert.equal(duplicates(opPut('b'), opDelete('a', 'c')), true)
  assert.equal(duplicates(opDelete('a', 'c'), opPut('c')), false)
  assert.equal(duplicates(opDelete('a'), opPut('a\0')), false)
  assert.equal(duplicates(opDelete('a'), opPut('a')), true)
  // etcd's check takes the zero byte for an end like any other, so the range is empty to it.
  assert.equal(duplicates(opDelete('b', '\0'), opPut('z')), false)
  assert.equal(duplicates(opDelete('b', '\0'), opPut('a')), false)
  assert.equal(duplicates(opDelete('a', 'z'), opDelete('b', 'c')), false)
})

test('inner txns count with both branches, but only one of the branches runs', () => {
  assert.equal(duplicates(either([opPut('a')], [opPut('a')])), false)
  assert.equal(duplicates(either([opPut('a')], []), opPut('a')), true)
  assert.equal(duplicates(either([], [opPut('a')]), opPut('a')), true)
  assert.equal(duplicates(either([opPut('a')], []), either([], [opPut('a')])), true)
  assert.equal(duplicates(either([opDelete('a')], []), opPut('a')), true)
  assert.equal(duplicates(either([], [opPut('a'), opPut('a')])), true)
  assert.equal(duplicates(opTxn(txnRequest([either([opPut('a')], [])])), opPut('a')), true)
})

test('the longest of compare, success and failure counts, and an inner txn gets what is left', () => {
  const puts = (count: number): RequestOp[] => Array.from({ length: count }, (_, index) => opPut(`${index}`))
  assert.equal(validateTxn(txnRequest(puts(3), puts(3)), 3), undefined)
  assert.deepEqual(validateTxn(txnRequest(puts(3), puts(4)), 3), { kind: 'too-many-operations' })
  assert.equal(validateTxn(txnRequest([opTxn(txnRequest(puts(2)))]), 3), undefined)
  assert.deepEqual(validateTxn(txnRequest([opTxn(txnRequest(puts(3)))]), 3), { kind: 'too-many-operations' })
})

test('each operation is validated as if it came alone', () => {
  const compare = {
    result: 0,
    target: 0,
    key: Buffer.alloc(0),
    rangeEnd: Buffer.alloc(0),
    targetUnion: undefined,
  } as const
  assert.deepEqual(validateTxn(txnRequest([], [], [compare]), 128), { kind: 'empty-key' })
  for (const operation of [opPut(''), opRange(''), opDelete('')]) {
    assert.deepEqual(validateTxn(txnRequest([], [opTxn(txnRequest([operation]))]), 128), { kind: 'empty-key' })
  }
  assert.deepEqual(validateTxn(txnRequest([{ request: undefined }]), 128), { kind: 'key-not-found' })
})

test('sort options that this version does not know are refused', () => {
  assert.equal(validateRange(rangeRequest('a', '', { sortOrder: 2, sortTarget: 4 })), undefined)
  const unknown: unknown = 5
  const request = Object.assign(rangeRequest('a'), { sortTarget: unknown })
  assert.deepEqual(validateRange(request), { kind: 'invalid-sort-option' })
})
