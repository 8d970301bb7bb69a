import nodeAssert from 'node:assert/strict'
import { test } from 'node:test'
import { assert, AssertionFailed } from './assert.ts'

test('a check that holds makes no message', () => {
  assert(true, () => nodeAssert.fail('the message was made'))
})

test('a check that fails says why', () => {
  const saysWhy = (error: unknown): boolean => error instanceof AssertionFailed && error.message === 'entry 3 after 1'
  nodeAssert.throws(() => assert(false, 'entry 3 after 1'), saysWhy)
  nodeAssert.throws(() => assert(false, () => 'entry 3 after 1'), saysWhy)
})
