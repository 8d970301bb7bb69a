import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString, getHeapSpaceStatistics } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { NumberTable } from './number-table.ts'

const key = fc.oneof(fc.nat(40), fc.nat(2 ** 32 - 1), fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1))
const step = fc.record({ key, isRemoval: fc.boolean() })

test('it has what a Map has, whatever comes and goes', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new NumberTable<{ readonly of: number }>()
      const model = new Map<number, { readonly of: number }>()
      for (const { key, isRemoval } of steps) {
        if (isRemoval) {
          assert.equal(table.delete(key), model.get(key))
          model.delete(key)
        } else if (!model.has(key)) {
          const value = { of: key }
          table.add(key, value)
          model.set(key, value)
        }
        assert.equal(table.size, model.size)
        for (const { key } of steps) assert.equal(table.get(key), model.get(key))
      }
      assert.deepEqual(new Set(table.values()), new Set(model.values()))
    }),
  )
})

test('there is one value with a key', () => {
  const table = new NumberTable<object>()
  table.add(7, {})
  assert.throws(() => table.add(7, {}))
})

test('what has left does not stay in memory until a major collection', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const table = new NumberTable<{ readonly of: number }>()
  const oldBytes = (): number => {
    const old = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')
    return old?.space_used_size ?? 0
  }
  const pass = (from: number, count: number): void => {
    for (let i = from; i < from + count; i++) {
      table.add(i, { of: i })
      if (i >= 100) table.delete(i - 100)
    }
  }
  pass(0, 10_000)
  collect() // what the table has is in the old generation now
  const before = oldBytes()
  pass(10_000, 200_000)
  assert.ok(oldBytes() - before < 1_000_000, `${oldBytes() - before} bytes of 200,000 values that have left`)
})
