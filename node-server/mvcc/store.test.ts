import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../lib/clock.ts'
import { LogIndex, Term } from '../../lib/ids.ts'
import { PutRequest } from '../proto/generated/etcd/rpc.ts'
import { apply } from './apply.ts'
import { COMMIT_DELAY_MS, COMMIT_SIZE_BYTES, COMMIT_WRITES, Committer } from './committer.ts'
import { valueOf } from './key-value.ts'
import { MemoryBackend } from './memory-backend.ts'
import { readCurrent, readKeyValue } from './read.ts'
import { MAX_BUFFER_SIZE_BYTES, Store } from './store.ts'
import { put, putRequest } from './testing/requests.ts'

/** A backend whose commits wait until they are let go, one by one. */
function heldBackend(): { backend: MemoryBackend; release: (failure?: Error) => void; waiting: () => number } {
  const held: ((failure?: Error) => void)[] = []
  const beforeCommit = (): Promise<void> =>
    new Promise((resolve, reject) => held.push((failure) => (failure === undefined ? resolve() : reject(failure))))
  return {
    backend: new MemoryBackend({ beforeCommit }),
    release: (failure) => held.shift()?.(failure),
    waiting: () => held.length,
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a commit holds exactly what was applied when it began, with its applied index', async () => {
  const { backend, release } = heldBackend()
  const store = new Store(backend)
  put(store, 'a', '1')
  const first = store.commit()
  put(store, 'b', '2')
  release()
  await first
  assert.deepEqual([store.committedIndex, store.appliedIndex, store.isDirty], [1, 2, true])
  const restarted = new Store(backend)
  assert.deepEqual([restarted.appliedIndex, restarted.revision, restarted.appliedTerm], [1, 2, 1])
  assert.equal(restarted.buffer.count('current', Buffer.of(0), undefined), 1)
})

test('a large value stays where its entry has it until somebody reads it or it is committed', async () => {
  const large = 'v'.repeat(10_000)
  const request = Buffer.from(PutRequest.encode(putRequest('k', large)).finish())
  const store = new Store(new MemoryBackend())
  apply(store, { index: LogIndex(1), term: Term(1) }, { kind: 'put', requestId: 1n, request })
  request[request.length - 1] = 'w'.charCodeAt(0) // nobody does that; it shows whose bytes are read
  const read = (): string => {
    const record = readCurrent(store, Buffer.from('k'))
    assert.ok(record !== undefined)
    return valueOf(readKeyValue(store, record)).toString()
  }
  const expected = `${large.slice(1)}w`
  assert.equal(read(), expected)
  await store.commit()
  assert.equal(read(), expected)
})

test('one commit at a time: a call during one waits for it, then commits what came since', async () => {
  const { backend, release, waiting } = heldBackend()
  const store = new Store(backend)
  put(store, 'a', '1')
  const first = store.commit()
  put(store, 'b', '2')
  const second = store.commit()
  assert.equal(waiting(), 1)
  release()
  await first
  await settle()
  assert.equal(waiting(), 1)
  release()
  await second
  assert.equal(store.committedIndex, 2)
  await store.commit()
  assert.equal(waiting(), 0, 'nothing to write, nothing written')
})

test('whoever waits for a commit is not overtaken forever by those who always have another one under way', async () => {
  const { backend, release } = heldBackend()
  const store = new Store(backend)
  put(store, 'a', '0')
  let underWay = store.commit()
  const busy = async (): Promise<void> => {
    for (let i = 1; i <= 5; i++) {
      await underWay
      put(store, 'a', String(i))
      underWay = store.commit()
      put(store, 'a', 'not in it')
    }
  }
  const writing = busy()
  let isThrough = false
  void store.commit().then(() => (isThrough = true)) // all that is applied is in the one under way
  put(store, 'b', '1')
  let isNextThrough = false
  void store.commit().then(() => (isNextThrough = true))
  release()
  await settle()
  assert.deepEqual([isThrough, isNextThrough], [true, false])
  release()
  await settle()
  assert.equal(isNextThrough, true)
  for (let i = 2; i <= 5; i++) {
    release()
    await settle()
  }
  await writing
})

test('the buffer says when the disk falls behind, both generations counted', async () => {
  const { backend, release } = heldBackend()
  const store = new Store(backend)
  const half = 'x'.repeat(MAX_BUFFER_SIZE_BYTES / 2)
  put(store, 'a', half)
  const first = store.commit()
  assert.equal(store.isSaturated, false)
  put(store, 'b', half)
  assert.equal(store.isSaturated, true)
  const relieved = store.relieved()
  release()
  await first
  assert.equal(store.isSaturated, false)
  await relieved // not of what is applied and not on its way yet
})

test('who finds no commit under way begins the one that gives room', async () => {
  const { backend, release, waiting } = heldBackend()
  const store = new Store(backend)
  put(store, 'a', 'x'.repeat(MAX_BUFFER_SIZE_BYTES))
  const relieved = store.relieved()
  assert.equal(waiting(), 1)
  release()
  await relieved
  assert.equal(store.isSaturated, false)
})

function manualClock(): { clock: Clock; fire: () => void; delays: number[] } {
  let pending: (() => void) | undefined
  const delays: number[] = []
  const clock: Clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    setTimer(delayMs, fire) {
      delays.push(delayMs)
      pending = fire
      return { cancel: () => (pending = undefined) }
    },
    soon: () => assert.fail('nothing here is put off'),
  }
  return { clock, delays, fire: () => pending?.() }
}

test('a commit begins a while after the first change, or at once when there are many or large ones', async () => {
  const { backend, release, waiting } = heldBackend()
  const store = new Store(backend)
  const { clock, fire, delays } = manualClock()
  const committer = new Committer(store, clock, (cause) => assert.fail(String(cause)))
  put(store, 'a')
  committer.noteApplied()
  committer.noteApplied()
  assert.deepEqual([delays, waiting()], [[COMMIT_DELAY_MS], 0])
  fire()
  assert.equal(waiting(), 1)
  put(store, 'b')
  committer.noteApplied()
  release()
  await settle()
  assert.deepEqual(delays, [COMMIT_DELAY_MS, COMMIT_DELAY_MS], 'what came during the commit has its own delay')
  while (store.buffer.pendingWrites < COMMIT_WRITES) put(store, 'c')
  committer.noteApplied()
  assert.equal(waiting(), 1)
  release()
  await settle()
  put(store, 'd', 'x'.repeat(COMMIT_SIZE_BYTES))
  committer.noteApplied()
  assert.equal(waiting(), 1)
  committer.stop()
  release()
  await settle()
  assert.equal(store.committedIndex, store.appliedIndex)
})

test('a failed commit is reported once and none is tried after it', async () => {
  const { backend, release, waiting } = heldBackend()
  const store = new Store(backend)
  const { clock, fire } = manualClock()
  const failures: unknown[] = []
  const committer = new Committer(store, clock, (cause) => failures.push(cause))
  put(store, 'a')
  committer.noteApplied()
  fire()
  const failure = new Error('no space left')
  release(failure)
  await settle()
  assert.deepEqual(failures, [failure])
  put(store, 'b')
  committer.noteApplied()
  fire()
  assert.equal(waiting(), 0)
})
