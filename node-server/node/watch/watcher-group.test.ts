import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WatcherGroup, type WatchedKeys } from './watcher-group.ts'

interface Named {
  readonly name: string
  readonly keys: WatchedKeys
}

function matching(index: WatcherGroup<Named>, key: string): readonly string[] {
  const names: string[] = []
  index.forEachMatching(key, ({ name }) => void names.push(name))
  return names.toSorted()
}

test('a key finds the watchers of it and of every range around it, as long as they are there', () => {
  const index = new WatcherGroup<Named>()
  const exact: Named = { name: 'exact', keys: { kind: 'key', key: 'b' } }
  const same: Named = { name: 'same', keys: { kind: 'key', key: 'b' } }
  const range: Named = { name: 'range', keys: { kind: 'range', start: 'a', end: 'c' } }
  const open: Named = { name: 'open', keys: { kind: 'range', start: 'b', end: undefined } }
  const twin: Named = { name: 'twin', keys: { kind: 'range', start: 'a', end: 'c' } }
  for (const watcher of [exact, same, range, open, twin]) index.add(watcher)
  assert.equal(index.size, 5)
  assert.deepEqual(matching(index, 'b'), ['exact', 'open', 'range', 'same', 'twin'])
  assert.deepEqual(matching(index, 'a'), ['range', 'twin'])
  assert.deepEqual(matching(index, 'c'), ['open'])
  for (const watcher of [exact, range, open]) index.delete(watcher)
  index.delete(exact)
  assert.equal(index.size, 2)
  assert.deepEqual(matching(index, 'b'), ['same', 'twin'])
  index.delete(twin)
  index.delete(same)
  assert.deepEqual([matching(index, 'b'), index.size], [[], 0])
})
