import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from './object.ts'
import type { Change } from './store.ts'
import { Store } from './store.ts'

const pod = (name: string, resourceVersion: string, extra: { uid?: string; owner?: string } = {}): StoredObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: 'ns',
    uid: extra.uid ?? 'u',
    resourceVersion,
    managedFields: [{ manager: 'x' }],
    ...(extra.owner === undefined ? {} : { labels: { owner: extra.owner } }),
  },
})

const told = (changes: readonly Change[]): string[] =>
  changes.map((change) => `${change.kind} ${change.object.metadata.name}`)

test('a list replaces everything, and says what changed by it', () => {
  const store = new Store()
  assert.deepEqual(told(store.replace([pod('a', '1'), pod('b', '1')])), ['added a', 'added b'])
  assert.deepEqual(told(store.replace([pod('b', '2'), pod('c', '1')])), ['deleted a', 'updated b', 'added c'])
  assert.deepEqual(told(store.replace([pod('b', '2'), pod('c', '1')])), [])
})

test('an object deleted and recreated under its name is two changes, not an update', () => {
  const store = new Store()
  store.replace([pod('a', '1', { uid: 'old' })])
  assert.deepEqual(told(store.replace([pod('a', '1', { uid: 'new' })])), ['deleted a', 'added a'])
  assert.deepEqual(told(store.set(pod('a', '3', { uid: 'newest' }))), ['deleted a', 'added a'])
})

test('objects are kept frozen and without managedFields', () => {
  const store = new Store()
  store.set(pod('a', '1', { owner: 'x' }))
  const kept = store.get('ns/a')
  assert.ok(kept !== undefined && !('managedFields' in kept.metadata))
  assert.throws(() => Object.assign(kept.metadata.labels ?? {}, { changed: 'yes' }), TypeError)
})

test('objects are found by their owner, also after the owner changed', () => {
  const store = new Store((object) => object.metadata.labels?.['owner'])
  store.replace([pod('a', '1', { owner: 'x' }), pod('b', '1', { owner: 'x' }), pod('c', '1')])
  const names = (owner: string): string[] => store.ownedBy(owner).map((object) => object.metadata.name)
  assert.deepEqual(names('x'), ['a', 'b'])
  store.set(pod('a', '2', { owner: 'y' }))
  assert.deepEqual([names('x'), names('y')], [['b'], ['a']])
  store.remove(pod('b', '9'))
  assert.deepEqual([names('x'), names('y')], [[], ['a']])
})
