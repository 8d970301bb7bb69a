import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeadCache } from './head-cache.ts'

const find = (cache: HeadCache<string>, block: string, version = 0): string | undefined => {
  const bytes = Buffer.from(`..${block}..`)
  return cache.find(bytes, 2, 2 + block.length, version)
}
const add = (cache: HeadCache<string>, block: string, version = 0): void => {
  const bytes = Buffer.from(`..${block}..`)
  cache.add(bytes, 2, 2 + block.length, version, `meaning of ${block}`)
  bytes.fill(0) // what was read is gone by then
}

test('a block is found by its bytes', () => {
  const cache = new HeadCache<string>()
  add(cache, 'abc')
  assert.equal(find(cache, 'abc'), 'meaning of abc')
  for (const other of ['ab', 'abcd', 'abd', '']) assert.equal(find(cache, other), undefined)
})

test('with another version of the table nothing is known', () => {
  const cache = new HeadCache<string>()
  add(cache, 'abc')
  assert.equal(find(cache, 'abc', 1), undefined)
  add(cache, 'abd', 1)
  assert.equal(find(cache, 'abc', 1), undefined)
  assert.equal(find(cache, 'abd', 1), 'meaning of abd')
})

test('so many are kept, and none that is long', () => {
  const cache = new HeadCache<string>()
  for (let i = 0; i < 10; i++) add(cache, `block ${i}`)
  const known = Array.from({ length: 10 }, (_, i) => find(cache, `block ${i}`) !== undefined)
  assert.deepEqual(known, [false, false, true, true, true, true, true, true, true, true])
  add(cache, 'x'.repeat(65))
  assert.equal(find(cache, 'x'.repeat(65)), undefined)
})
