/**
 * The queue of keys to reconcile, with the semantics of client-go's workqueue: a key waits at most once; a key that is
 * being worked on is never handed out a second time, and when it is added meanwhile it waits again once it is done.
 * Pure: functions over one state; the time is an argument.
 *
 * Invariants: a key is never in `waiting` and `processing` at once; `again` is a subset of `processing`; the keys in
 * `waiting`, `processing` and `delayed` number at most `maxKeys` each.
 */
import { assert } from '../../lib/assert.ts'

export interface QueueOptions {
  /** A key beyond this many is refused; the next resync offers it again. */
  readonly maxKeys: number
  /** Delay of the first retry of one key, doubled with each further one. */
  readonly firstRetryMs: number
  /** No key's own delay is longer: what made it fail may be over, and nobody says so. */
  readonly maxRetryMs: number
  /** Retries over all keys: a token bucket, so that a broken API is not hammered by many keys at once. */
  readonly retriesPerSecond: number
  readonly retryBurst: number
  /** No retry is put off for longer by the overall rate. */
  readonly maxPutOffMs: number
}

export const DEFAULT_QUEUE_OPTIONS: QueueOptions = {
  maxKeys: 10_000,
  firstRetryMs: 5,
  maxRetryMs: 30_000,
  retriesPerSecond: 10,
  retryBurst: 100,
  maxPutOffMs: 300_000,
}

export interface WorkQueue {
  readonly options: QueueOptions
  /** Key → when it began to wait; insertion order is the order of service. */
  readonly waiting: Map<string, number>
  /** Key → when a worker took it. */
  readonly processing: Map<string, number>
  /** Keys added while being worked on. */
  readonly again: Set<string>
  /** Key → when it becomes due. */
  readonly delayed: Map<string, number>
  /** Key → retries since it was last forgotten. */
  readonly retries: Map<string, number>
  /** May be negative: retries already promised to the future. */
  tokens: number
  tokensAtMs: number
  addsTotal: number
  retriesTotal: number
  refusedTotal: number
}

export function createWorkQueue(options: QueueOptions, nowMs: number): WorkQueue {
  assert(options.maxKeys > 0 && options.retriesPerSecond > 0, 'a queue holds keys and allows retries')
  return {
    options,
    waiting: new Map(),
    processing: new Map(),
    again: new Set(),
    delayed: new Map(),
    retries: new Map(),
    tokens: options.retryBurst,
    tokensAtMs: nowMs,
    addsTotal: 0,
    retriesTotal: 0,
    refusedTotal: 0,
  }
}

/** Makes the key wait, unless it does already. False when the queue is full. */
export function add(queue: WorkQueue, key: string, nowMs: number): boolean {
  if (queue.waiting.has(key) || queue.again.has(key)) return true
  if (queue.processing.has(key)) {
    queue.again.add(key)
    queue.addsTotal++
    return true
  }
  if (queue.waiting.size >= queue.options.maxKeys) {
    queue.refusedTotal++
    return false
  }
  queue.waiting.set(key, nowMs)
  queue.addsTotal++
  return true
}

/** Adds the key in `delayMs`. Of two delays for one key the earlier one holds. False when the queue is full. */
export function addAfter(queue: WorkQueue, key: string, delayMs: number, nowMs: number): boolean {
  if (delayMs <= 0) return add(queue, key, nowMs)
  const dueMs = nowMs + delayMs
  const earlierMs = queue.delayed.get(key)
  if (earlierMs === undefined && queue.delayed.size >= queue.options.maxKeys) {
    queue.refusedTotal++
    return false
  }
  if (earlierMs === undefined || dueMs < earlierMs) queue.delayed.set(key, dueMs)
  return true
}

/** Adds the key after its own growing delay or after the overall rate allows it, whichever is later. */
export function addRateLimited(queue: WorkQueue, key: string, nowMs: number): boolean {
  queue.retriesTotal++
  return addAfter(queue, key, retryDelayMs(queue, key, nowMs), nowMs)
}

/** All that waits, taken back as if it had never been added. */
export function withdraw(queue: WorkQueue): readonly string[] {
  const keys = [...queue.waiting.keys()]
  queue.waiting.clear()
  queue.addsTotal -= keys.length
  return keys
}

/** The key did well: its next retry starts at the shortest delay. It may still wait. */
export function forget(queue: WorkQueue, key: string): void {
  queue.retries.delete(key)
}

/**
 * Hands out the key that waited longest; the caller must give it back with {@link done}. A delay that the key still had is
 * over with it: what was to be looked at later is looked at now, and who looks says when to look again.
 */
export function take(queue: WorkQueue, nowMs: number): string | undefined {
  promoteDue(queue, nowMs)
  const first = queue.waiting.keys().next()
  if (first.done === true) return undefined
  const key = first.value
  assert(!queue.processing.has(key), `${key} is handed out twice`)
  queue.waiting.delete(key)
  queue.delayed.delete(key)
  queue.processing.set(key, nowMs)
  return key
}

export function done(queue: WorkQueue, key: string, nowMs: number): void {
  assert(queue.processing.delete(key), `${key} is given back but was not taken`)
  if (queue.again.delete(key)) queue.waiting.set(key, nowMs)
}

/** When the next delayed key becomes due; undefined when none is delayed. */
export function nextDueMs(queue: WorkQueue): number | undefined {
  let earliestMs: number | undefined
  for (const dueMs of queue.delayed.values()) {
    if (earliestMs === undefined || dueMs < earliestMs) earliestMs = dueMs
  }
  return earliestMs
}

/** Earliest due first, so that keys delayed by the same amount keep their order. */
function promoteDue(queue: WorkQueue, nowMs: number): void {
  const due = [...queue.delayed].filter(([, dueMs]) => dueMs <= nowMs)
  for (const [key] of due.toSorted(([, a], [, b]) => a - b)) {
    if (add(queue, key, nowMs)) queue.delayed.delete(key)
  }
}

function retryDelayMs(queue: WorkQueue, key: string, nowMs: number): number {
  const { options } = queue
  const retries = queue.retries.get(key) ?? 0
  if (retries > 0 || queue.retries.size < options.maxKeys) queue.retries.set(key, retries + 1)
  const ownMs = Math.min(options.maxRetryMs, options.firstRetryMs * 2 ** Math.min(retries, 52))
  return Math.max(ownMs, takeTokenMs(queue, nowMs))
}

/** Takes a token, from the future if need be, and says how far in the future it is. */
function takeTokenMs(queue: WorkQueue, nowMs: number): number {
  const { retriesPerSecond, retryBurst, maxPutOffMs } = queue.options
  const refilled = queue.tokens + ((nowMs - queue.tokensAtMs) / 1000) * retriesPerSecond
  const owedAtMost = (maxPutOffMs / 1000) * retriesPerSecond
  queue.tokens = Math.max(Math.min(retryBurst, refilled) - 1, -owedAtMost)
  queue.tokensAtMs = nowMs
  return queue.tokens >= 0 ? 0 : (-queue.tokens / retriesPerSecond) * 1000
}
