import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  add,
  addAfter,
  addRateLimited,
  createWorkQueue,
  DEFAULT_QUEUE_OPTIONS,
  done,
  forget,
  nextDueMs,
  take,
} from './work-queue.ts'

const emptyQueue = () => createWorkQueue(DEFAULT_QUEUE_OPTIONS, 0)

test('a key added many times is handed out once', () => {
  const queue = emptyQueue()
  for (let i = 0; i < 5; i++) add(queue, 'a', i)
  add(queue, 'b', 9)
  assert.deepEqual([take(queue, 10), take(queue, 10), take(queue, 10)], ['a', 'b', undefined])
  assert.equal(queue.addsTotal, 2)
})

test('a key added while it is worked on is handed out again, only after it is done', () => {
  const queue = emptyQueue()
  add(queue, 'a', 0)
  assert.equal(take(queue, 0), 'a')
  add(queue, 'a', 1)
  add(queue, 'a', 2)
  assert.equal(take(queue, 3), undefined)
  done(queue, 'a', 4)
  assert.equal(take(queue, 5), 'a')
  done(queue, 'a', 6)
  assert.equal(take(queue, 7), undefined)
})

test('a delayed key comes when it is due, the earlier of two delays holds', () => {
  const queue = emptyQueue()
  addAfter(queue, 'a', 1000, 0)
  addAfter(queue, 'a', 300, 0)
  addAfter(queue, 'a', 5000, 0)
  assert.equal(nextDueMs(queue), 300)
  assert.equal(take(queue, 299), undefined)
  assert.equal(take(queue, 300), 'a')
  done(queue, 'a', 300)
  assert.equal(take(queue, 10_000), undefined)
})

test('what is looked at now is not looked at again because of a delay from before', () => {
  const queue = emptyQueue()
  addAfter(queue, 'a', 1000, 0)
  add(queue, 'a', 0)
  assert.equal(take(queue, 0), 'a')
  assert.equal(nextDueMs(queue), undefined)
  addAfter(queue, 'a', 500, 1)
  done(queue, 'a', 2)
  assert.deepEqual([take(queue, 500), take(queue, 501)], [undefined, 'a'])
})

test('keys that become due together are served in the order in which they fell due', () => {
  const queue = emptyQueue()
  addAfter(queue, 'late', 20, 0)
  addAfter(queue, 'early', 10, 0)
  assert.deepEqual([take(queue, 100), take(queue, 100)], ['early', 'late'])
})

test('retries of one key double from 5 ms up to 30 s, and start again once forgotten', () => {
  const queue = createWorkQueue({ ...DEFAULT_QUEUE_OPTIONS, retryBurst: 1e9 }, 0)
  const delays: number[] = []
  for (let i = 0; i < 20; i++) {
    addRateLimited(queue, 'a', 0)
    delays.push(nextDueMs(queue) ?? -1)
    queue.delayed.clear()
  }
  assert.deepEqual(delays.slice(0, 5), [5, 10, 20, 40, 80])
  assert.deepEqual(delays.slice(-3), [30_000, 30_000, 30_000])
  forget(queue, 'a')
  addRateLimited(queue, 'a', 0)
  assert.equal(nextDueMs(queue), 5)
  assert.equal(queue.retriesTotal, 21)
})

test('retries over all keys are 10 a second after a burst of 100', () => {
  const queue = emptyQueue()
  for (let i = 0; i < 120; i++) addRateLimited(queue, `k${i}`, 0)
  const due = [...queue.delayed.values()].map((ms) => Math.round(ms))
  assert.deepEqual(new Set(due.slice(0, 100)), new Set([5]))
  assert.deepEqual(due.slice(100, 103), [100, 200, 300])
  assert.equal(due[119], 2000)
})

test('a full queue refuses a new key and still knows the old ones', () => {
  const queue = createWorkQueue({ ...DEFAULT_QUEUE_OPTIONS, maxKeys: 2 }, 0)
  assert.deepEqual([add(queue, 'a', 0), add(queue, 'b', 0), add(queue, 'c', 0), add(queue, 'a', 0)], [true, true, false, true]) // prettier-ignore
  assert.equal(queue.refusedTotal, 1)
  assert.equal(addAfter(queue, 'x', 5, 0) && addAfter(queue, 'y', 5, 0), true)
  assert.equal(addAfter(queue, 'z', 5, 0), false)
})

test('giving back a key that was not taken is a bug', () => {
  assert.throws(() => done(emptyQueue(), 'a', 0), /not taken/)
})

/** The same queue in the plainest form: one list of who waits, and a set for everything else. */
class NaiveQueue {
  waiting: string[] = []
  processing: string[] = []
  dirty = new Set<string>()
  delayed: { key: string; dueMs: number }[] = []

  add(key: string): void {
    if (this.dirty.has(key)) return
    this.dirty.add(key)
    if (!this.processing.includes(key)) this.waiting.push(key)
  }

  addAfter(key: string, dueMs: number): void {
    this.delayed.push({ key, dueMs })
  }

  take(nowMs: number): string | undefined {
    const earliest = new Map<string, number>()
    for (const { key, dueMs } of this.delayed) earliest.set(key, Math.min(dueMs, earliest.get(key) ?? Infinity))
    for (const [key, dueMs] of [...earliest].toSorted(([, a], [, b]) => a - b)) {
      if (dueMs > nowMs) continue
      this.delayed = this.delayed.filter((entry) => entry.key !== key)
      this.add(key)
    }
    const key = this.waiting.shift()
    if (key === undefined) return undefined
    this.delayed = this.delayed.filter((entry) => entry.key !== key)
    this.dirty.delete(key)
    this.processing.push(key)
    return key
  }

  done(key: string): void {
    this.processing = this.processing.filter((other) => other !== key)
    if (this.dirty.has(key)) this.waiting.push(key)
  }
}

test('it does what the plainest queue does, for any sequence of calls', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), key }),
    fc.record({ kind: fc.constant('addAfter' as const), key, delayMs: fc.integer({ min: 1, max: 30 }) }),
    fc.record({ kind: fc.constant('take' as const) }),
    fc.record({ kind: fc.constant('done' as const), nth: fc.nat(3) }),
    fc.record({ kind: fc.constant('wait' as const), delayMs: fc.integer({ min: 1, max: 20 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = emptyQueue()
      const naive = new NaiveQueue()
      let nowMs = 0
      for (const step of steps) {
        if (step.kind === 'add') {
          add(queue, step.key, nowMs)
          naive.add(step.key)
        } else if (step.kind === 'addAfter') {
          // Two keys due in the same instant may be served in either order: give each instant to one key.
          const delayMs = step.delayMs + ['a', 'b', 'c', 'd'].indexOf(step.key) / 8
          addAfter(queue, step.key, delayMs, nowMs)
          naive.addAfter(step.key, nowMs + delayMs)
        } else if (step.kind === 'take') assert.equal(take(queue, nowMs), naive.take(nowMs))
        else if (step.kind === 'done') {
          const key = naive.processing[step.nth]
          if (key === undefined) continue
          done(queue, key, nowMs)
          naive.done(key)
        } else nowMs += step.delayMs
        assert.deepEqual([...queue.processing.keys()], naive.processing)
        assert.deepEqual([...queue.waiting.keys()], naive.waiting)
      }
    }),
    { numRuns: 500 },
  )
})
