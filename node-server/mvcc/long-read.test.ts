import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { longReadKeyValues } from './long-read.ts'
import { MemoryBackend } from './memory-backend.ts'
import { readKeyValue, scanCurrent, type IndexedKey } from './read.ts'
import { Store } from './store.ts'
import { deleteRange, opPut, put, txn } from './testing/requests.ts'

const EVERYTHING = { start: Buffer.of(0), end: undefined }
const keyOf = (number: number): string => `k${String(number).padStart(5, '0')}`
const keysOf = (store: Store): readonly IndexedKey[] => [...scanCurrent(store, EVERYTHING)]

class CountingBackend extends MemoryBackend {
  looks = 0
  rows = 0

  override get(...args: Parameters<MemoryBackend['get']>): ReturnType<MemoryBackend['get']> {
    this.looks += 1
    return super.get(...args)
  }

  override *scan(...args: Parameters<MemoryBackend['scan']>): ReturnType<MemoryBackend['scan']> {
    for (const row of super.scan(...args)) {
      this.rows += 1
      yield row
    }
  }
}

test('whatever was written in whichever order, each key has the key-value that a look for it finds', async () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('ascending' as const), count: fc.integer({ min: 1, max: 40 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('txn' as const), count: fc.integer({ min: 1, max: 40 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('again' as const), count: fc.integer({ min: 1, max: 10 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('delete' as const), count: fc.integer({ min: 1, max: 10 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('commit' as const), count: fc.constant(0) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.nat(), async (steps, from) => {
      const store = new Store(new MemoryBackend())
      let next = 0
      for (const { kind, count } of steps) {
        const numbers = Array.from({ length: count }, (_, i) => next + i)
        if (kind === 'ascending') for (const number of numbers) put(store, keyOf(number), `${number}`)
        else if (kind === 'txn')
          txn(
            store,
            numbers.map((number) => opPut(keyOf(number), 'txn')),
          )
        else if (kind === 'again') put(store, keyOf(Math.max(0, next - count)), 'again')
        else if (kind === 'delete') deleteRange(store, keyOf(Math.max(0, next - count)), keyOf(next - count + 3))
        else await store.commit()
        if (kind === 'ascending' || kind === 'txn') next += count
      }
      const keys = keysOf(store)
      const start = keys.length === 0 ? 0 : from % keys.length
      const expected = keys.slice(start).map(({ record }) => readKeyValue(store, record))
      assert.deepEqual([...longReadKeyValues(store, keys, start)], expected)
    }),
  )
})

test('what lies together is read without a look for each; others are looked for, and so is the rest when too much lies between', async () => {
  const backend = new CountingBackend()
  const store = new Store(backend)
  for (let number = 0; number < 100; number++) put(store, keyOf(number), 'v')
  await store.commit()
  const keys = keysOf(store)
  const cost = (chosen: readonly IndexedKey[]): readonly number[] => {
    backend.looks = 0
    backend.rows = 0
    assert.equal([...longReadKeyValues(store, chosen, 0)].length, chosen.length)
    return [backend.looks, backend.rows]
  }
  assert.deepEqual(cost(keys), [0, 100])
  assert.deepEqual(cost(keys.toReversed()), [100, 0])
  // Each revision has a hundred more rows, as of keys outside of the range.
  const large = (number: number) => [
    opPut(keyOf(number)),
    ...Array.from({ length: 100 }, (_, i) => opPut(`x${number} ${i}`)),
  ]
  for (let number = 200; number < 300; number++) txn(store, large(number))
  await store.commit()
  const sparse = keysOf(store).filter(({ key }) => Buffer.from(key).toString() >= keyOf(200) && key[0] === 0x6b)
  const [looks = 0, rows = 0] = cost(sparse)
  assert.ok(looks > 90 && rows < 600, `${looks} looks, ${rows} rows`)
})

test('nothing of it is kept for later', () => {
  const store = new Store(new MemoryBackend())
  put(store, 'k', 'v')
  const [key] = keysOf(store)
  assert.ok(key !== undefined)
  assert.equal([...longReadKeyValues(store, [key], 0)].length, 1)
  assert.equal(store.values.get(key.record), undefined)
})
