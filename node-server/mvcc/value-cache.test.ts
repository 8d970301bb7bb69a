import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ValueCache } from './value-cache.ts'

const value = (text: string): Buffer => Buffer.from(text)

test('what was kept is there, until what shares its slot comes', () => {
  const cache = new ValueCache()
  const [first, other] = [
    { modRevision: 7, sub: 0 },
    { modRevision: 7 + 8192, sub: 0 },
  ]
  cache.keep(first, value('first'))
  assert.deepEqual([cache.get(first), cache.get(other)], [value('first'), undefined])
  cache.keep(other, value('other'))
  assert.deepEqual([cache.get(first), cache.get(other)], [undefined, value('other')])
})

test('operations of one txn are told apart, and from the revisions after it', () => {
  const cache = new ValueCache()
  cache.keep({ modRevision: 7, sub: 1 }, value('second of 7'))
  for (const version of [
    { modRevision: 7, sub: 0 },
    { modRevision: 8, sub: 0 },
  ])
    assert.equal(cache.get(version), undefined)
})

test('what was removed is gone, and what shares its slot is not', () => {
  const cache = new ValueCache()
  const version = { modRevision: 7, sub: 0 }
  cache.keep(version, value('a'))
  cache.remove({ modRevision: 8 + 8191, sub: 0 })
  assert.deepEqual(cache.get(version), value('a'))
  cache.remove(version)
  assert.equal(cache.get(version), undefined)
})

test('memory is bounded: large values are not kept, and no part keeps the whole that it was cut from', () => {
  const cache = new ValueCache()
  const version = { modRevision: 7, sub: 0 }
  cache.keep(version, Buffer.alloc(1025))
  assert.equal(cache.get(version), undefined)
  cache.keep(version, Buffer.alloc(100_000, 'x').subarray(500, 600))
  assert.equal(cache.get(version)?.buffer.byteLength, 100)
})
