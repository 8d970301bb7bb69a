import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { historyText, revisionText } from './key-index.ts'
import { REMOVED } from './layer.ts'
import { RemovedVersions } from './removed-versions.ts'

const MANY = 5000
const VERSION = fc.record({
  key: fc.string({ unit: fc.constantFrom('a', '\0', '\u00ff'), minLength: 1, maxLength: 3 }),
  revision: fc.integer({ min: 1, max: 30 }),
  sub: fc.nat(2),
})

test('versions that go oldest first of each key, some of them twice, become rows of both tables, each once and in order', () => {
  fc.assert(
    fc.property(fc.array(VERSION), fc.array(VERSION, { maxLength: 3 }), (versions, again) => {
      const removed = new RemovedVersions()
      const oldestFirst = versions.toSorted((a, b) => a.revision - b.revision)
      for (const { key, revision, sub } of oldestFirst) removed.add(key, revision, sub)
      const repeated = again.flatMap(
        ({ revision }) => oldestFirst.find((version) => version.revision === revision) ?? [],
      )
      for (const { key, revision, sub } of repeated) removed.add(key, revision, sub)
      const expect = (keys: readonly string[]): unknown =>
        [...new Set(keys)].toSorted().map((key) => ({ key, value: REMOVED }))
      const history = expect(versions.map(({ key, revision }) => historyText(key, revision)))
      const revisions = expect(versions.map(({ revision, sub }) => revisionText(revision, sub)))
      assert.deepEqual([...removed.rowsIn('history')], history)
      assert.deepEqual([...removed.rowsIn('revisions')], revisions)
      assert.deepEqual([...removed.rowsIn('current')], [])
    }),
  )
})

for (const [order, revisionOf] of [
  ['in their order', (i: number) => i],
  ['in no order', (i: number) => (i * 7919) % MANY],
  ['in the opposite order', (i: number) => MANY - 1 - i],
] as const)
  test(`many places of keys in turn, ${order}, are read in order`, () => {
    const removed = new RemovedVersions()
    for (let i = 0; i < MANY; i++) removed.addPlace(1000 + (revisionOf(i) >> 1), revisionOf(i) & 1)
    const rows = Array.from(removed.rowsIn('revisions'), ({ key }) => key)
    assert.deepEqual(
      rows,
      Array.from({ length: MANY }, (_, i) => revisionText(1000 + (i >> 1), i & 1)),
    )
  })
