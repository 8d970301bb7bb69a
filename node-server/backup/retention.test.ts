import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { superseded } from './retention.ts'

const backups = fc
  .uniqueArray(fc.nat(1000), { maxLength: 12 })
  .map((times) => times.map((takenAtMs) => ({ name: `at ${takenAtMs}`, takenAtMs, revision: takenAtMs })))
const bound = fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined })

test('the newest stays; so does whatever neither bound excludes, and nothing else', () => {
  fc.assert(
    fc.property(backups, bound, bound, (all, keep, maxAgeMs) => {
      const gone = new Set(superseded(all, { keep, maxAgeMs }, 1000))
      for (const { name, takenAtMs } of all) {
        const newer = all.filter((other) => other.takenAtMs > takenAtMs).length
        const isExcluded = newer >= (keep ?? Infinity) || 1000 - takenAtMs > (maxAgeMs ?? Infinity)
        assert.equal(gone.has(name), newer > 0 && isExcluded, name)
      }
    }),
  )
})

test('the newest is the one with the highest revision, whatever the clock of the machine that took it said', () => {
  const slow = { name: 'by a slow clock', takenAtMs: 100, revision: 9 }
  const before = { name: 'before it', takenAtMs: 500, revision: 5 }
  assert.deepEqual(superseded([before, slow], { keep: 1, maxAgeMs: undefined }, 500), ['before it'])
  assert.deepEqual(superseded([before, slow], { keep: undefined, maxAgeMs: 200 }, 500), [])
})
