import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { compactSlice } from './compaction.ts'
import {
  beginCompactionHash,
  beginHashAsOf,
  beginHash,
  beginTablesHash,
  hashSlice,
  hashTablesSlice,
  SLICE_ROWS,
  type HashPass,
} from './hash-kv.ts'
import { MemoryBackend } from './memory-backend.ts'
import { Store } from './store.ts'
import { compactTo, deleteRange, opDelete, opPut, opRange, put, txn } from './testing/requests.ts'

const newStore = (): Store => new Store(new MemoryBackend())

function purge(store: Store, maxTarget = Infinity): void {
  let { cursor } = compactSlice(store, undefined, maxTarget)
  while (cursor !== undefined) ({ cursor } = compactSlice(store, cursor, maxTarget))
}

function finish(store: Store, pass: HashPass): string {
  for (;;) {
    const hash = hashSlice(store, pass)
    if (hash !== undefined) return `${hash.hash} ${hash.compactedRevision} ${hash.revision}`
  }
}

/** `hash compacted-revision revision`, or why there is none. */
function hashOf(store: Store, revision = 0): string {
  const pass = beginHash(store, revision)
  return pass.ok ? finish(store, pass.value) : pass.error.kind
}

/** The requests that etcd 3.7.3 was given, and what `etcdctl endpoint hashkv` said after them. */
test('the numbers are those of etcd 3.7.3 for the same requests', () => {
  const store = newStore()
  assert.equal(hashOf(store), '1084519789 -1 1')
  for (const value of ['v1', 'v2', 'v3']) put(store, 'a', value)
  assert.equal(hashOf(store), '2813101261 -1 4')
  put(store, 'b', 'x')
  deleteRange(store, 'a')
  assert.equal(hashOf(store), '1264488685 -1 6')
  txn(store, [opPut('c', '1'), opPut('d', '2'), opDelete('b'), opRange('c')])
  assert.equal(hashOf(store), '3003083695 -1 7')
  put(store, 'a', 'again')
  assert.equal(hashOf(store), '4204377465 -1 8')
  assert.equal(hashOf(store, 4), '2813101261 -1 4')
  const ofFirst = beginCompactionHash(store.compactedRevision, 4)
  compactTo(store, 4)
  assert.equal(finish(store, ofFirst), '2813101261 -1 4', 'what etcd says for --rev 4 then')
  purge(store)
  assert.equal(hashOf(store), '3443371842 4 8')
  assert.equal(hashOf(store, 5), '3293325132 4 5')
  assert.equal(hashOf(store, 3), 'compacted')
  compactTo(store, 6)
  assert.equal(finish(store, beginCompactionHash(4, 6)), '246240685 4 6', 'what etcd says for --rev 6 then')
  purge(store)
  assert.equal(hashOf(store), '892094391 6 8')
  for (let i = 1; i <= 30; i++) put(store, `k${i % 7}`, `w${i}`)
  deleteRange(store, 'k', 'l')
  assert.equal(hashOf(store), '2795745563 6 39')
  compactTo(store, 30)
  purge(store)
  assert.deepEqual(
    [0, 31, 35].map((revision) => hashOf(store, revision)),
    ['3843136196 30 39', '4064117809 30 31', '1038952460 30 35'],
  )
  deleteRange(store, '\0', '\0')
  assert.equal(hashOf(store), '1292986031 30 40', 'no key is left: etcd then counts what was live when it compacted')
  compactTo(store, 40)
  purge(store)
  assert.equal(hashOf(store), '1084519789 40 40')
  for (const value of ['1', '2']) put(store, 'z', value)
  compactTo(store, 41)
  purge(store)
  assert.equal(hashOf(store), '1092770551 41 42')
  deleteRange(store, 'z')
  assert.equal(hashOf(store), '1097917941 41 43')
  assert.equal(hashOf(store, 999), 'future-revision')
})

test('how far the physical half of a compaction has come makes no difference', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), key: fc.integer({ min: 0, max: 3 }) }),
    fc.record({ kind: fc.constant('delete' as const), key: fc.integer({ min: 0, max: 4 }) }),
    fc.record({ kind: fc.constant('compact' as const), back: fc.integer({ min: 0, max: 4 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 0, max: 3 }), (steps, back) => {
      const [lazy, eager] = [newStore(), newStore()]
      for (const [i, step] of steps.entries()) {
        for (const store of [lazy, eager]) {
          if (step.kind === 'put') put(store, `k${step.key}`, `v${i}`)
          else if (step.kind === 'compact') compactTo(store, store.revision - step.back)
          else if (step.key === 4) deleteRange(store, '\0', '\0')
          else deleteRange(store, `k${step.key}`)
        }
        purge(eager)
      }
      const revision = Math.max(1, lazy.revision - back)
      assert.equal(hashOf(lazy, revision), hashOf(eager, revision))
    }),
    { numRuns: 300 },
  )
})

test('a pass in slices is not disturbed by later changes, nor by a compaction whose physical half is held back', () => {
  const build = (): Store => {
    const store = newStore()
    for (let i = 0; i < 4 * SLICE_ROWS; i++) put(store, `k${i % 97}`, `v${i}`)
    compactTo(store, 50)
    return store
  }
  const still = build()
  const expected = hashOf(still)
  const store = build()
  const pass = beginHash(store, 0)
  assert.ok(pass.ok)
  const limit = pass.value.compactedRevision
  let slices = 0
  let hash = hashSlice(store, pass.value)
  for (; hash === undefined; hash = hashSlice(store, pass.value)) {
    slices += 1
    for (let i = 0; i < 97; i++) put(store, `k${i}`, `later ${slices}`)
    compactTo(store, store.revision - 3)
    purge(store, limit)
  }
  assert.ok(slices >= 2)
  assert.equal(`${hash.hash} ${hash.compactedRevision} ${hash.revision}`, expected)
  purge(store)
  assert.equal(store.meta.purgedRevision, store.compactedRevision, 'goes on once it is let')
})

test('a store that has not been compacted gives the numbers of one that has, as of that compaction', () => {
  const [store, compacted] = [newStore(), newStore()]
  for (const one of [store, compacted]) {
    for (let i = 0; i < 40; i++) {
      if (i % 5 === 4) deleteRange(one, `k${i % 3}`)
      else put(one, `k${i % 7}`, `${i}`)
    }
    deleteRange(one, 'k', 'l')
    put(one, 'last', 'value')
  }
  const { revision } = store
  for (let at = 1; at <= revision; at += 3) {
    compactTo(compacted, at)
    purge(compacted)
    for (let asked = at + 1; asked <= revision; asked++)
      assert.equal(finish(store, beginHashAsOf(at, asked)), hashOf(compacted, asked), `${asked} after ${at}`)
  }
})

test('one damaged value gives another number', () => {
  const [sound, damaged] = [newStore(), newStore()]
  for (const store of [sound, damaged])
    for (let i = 0; i < 10; i++) put(store, `k${i}`, store === damaged && i === 3 ? 'X' : 'v')
  assert.notEqual(hashOf(sound), hashOf(damaged))
})

test('the hash of all tables tells stores apart that HashKV holds for equal', () => {
  const whole = (store: Store): number => {
    const pass = beginTablesHash()
    for (;;) {
      const hash = hashTablesSlice(store, pass)
      if (hash !== undefined) return hash
    }
  }
  const [a, b] = [newStore(), newStore()]
  for (const store of [a, b]) for (let i = 0; i < SLICE_ROWS + 5; i++) put(store, `${i}`, 'v')
  assert.equal(whole(a), whole(b))
  a.buffer.put('operations', Buffer.from('an operation'), Buffer.from('its result'))
  assert.equal(hashOf(a), hashOf(b))
  assert.notEqual(whole(a), whole(b))
})
