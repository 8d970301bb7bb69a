/**
 * Runs a reconcile function over the keys of a work queue. It knows keys, not what they name.
 *
 * Invariants: one key is in at most one worker; a reconcile that outlives its timeout is told so by its signal and keeps
 * its key until it has really ended, since two of them at once would be worse than one that is late. Level-based: a key
 * says "look", never "this happened".
 *
 * Neighbours: work-queue.ts (what waits), main.ts (who enqueues, what is reconciled). Source: controller-runtime.
 */
import type { Logger } from 'pino'
import { assert, unreachable } from '../../lib/assert.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import { sleep } from '../../lib/clock.ts'
import type { QueueOptions, WorkQueue } from './work-queue.ts'
import { add, addAfter, addRateLimited, createWorkQueue, DEFAULT_QUEUE_OPTIONS, done, forget } from './work-queue.ts'
import { nextDueMs, take, withdraw } from './work-queue.ts'

/** Under way at once for each worker, those that wait for an answer included. */
const UNDER_WAY_PER_WORKER = 16

/** Share of an idle key's delay that is left to chance. */
const IDLE_JITTER = 0.1

export type ReconcileResult =
  /** `isIdle`: nothing is under way, so that the next look may come later than asked for when there are many keys. */
  | { readonly kind: 'done'; readonly requeueAfterMs?: number; readonly isIdle?: boolean }
  /** Failed. Without `requeueAfterMs` the delay grows with each failure in a row. */
  | { readonly kind: 'retry'; readonly error: unknown; readonly requeueAfterMs?: number }

/** The values of the label `result` of controller_runtime_reconcile_total. */
export type ReconcileOutcome = 'success' | 'error' | 'requeue' | 'requeue_after'

export interface ReconcileContext {
  /** Aborted when the time for this reconcile is over, and when draining took too long. */
  readonly signal: AbortSignal
  readonly reconcileId: string
  /**
   * Other keys have the worker until the answer is there: for one that may take long, and costs nothing meanwhile. Who does not
   * answer then costs its own key's reconcile, and no worker.
   */
  readonly whileWaiting: <Answer>(answer: Promise<Answer>) => Promise<Answer>
}

/** What metrics want to know. */
export interface ControllerObserver {
  taken(waitedMs: number): void
  finished(outcome: ReconcileOutcome, workedMs: number): void
}

/** Looks that no event asked for are spread over time: an event's key then finds a free worker, however many keys there are. */
export interface Pace {
  /** Over all keys where nothing is under way. None of them waits longer than the resync period. */
  readonly idleLooksPerSecond: number
  /** At the start, when every key is new. */
  readonly startLooksPerSecond: number
  /** In [0, 1): what began together does not stay together. */
  readonly random: () => number
}

export interface ControllerOptions {
  readonly name: string
  readonly reconcile: (key: string, context: ReconcileContext) => Promise<ReconcileResult>
  readonly clock: Clock
  readonly logger: Logger
  /** Names the key in log lines. */
  readonly logFields: (key: string) => Readonly<Record<string, unknown>>
  readonly newId: () => string
  readonly observer: ControllerObserver
  /**
   * A reconcile threw, which is a bug: what it can expect to fail it answers with. It concerns this key alone, for nothing is
   * kept from one reconcile to the next, and is tried again like any failure.
   */
  readonly onBug: (key: string, error: unknown) => void
  /** Workers; at least 1. */
  readonly maxConcurrent: number
  readonly reconcileTimeoutMs: number
  /** All of `keys` are enqueued this often: what changes outside Kubernetes sends no event. */
  readonly resyncPeriodMs: number
  readonly keys: () => Iterable<string>
  /** Default: everything as soon as possible. */
  readonly pace?: Pace
  readonly queue?: QueueOptions
}

interface Run {
  readonly abort: AbortController
  /** Answers that it waits for. */
  waitsFor: number
}

export class Controller {
  readonly queue: WorkQueue
  readonly #options: ControllerOptions
  readonly #running = new Map<string, Run>()
  #isTaking = false
  #dueTimer: Timer | undefined
  #resyncTimer: Timer | undefined
  #onIdle: (() => void) | undefined

  constructor(options: ControllerOptions) {
    assert(options.maxConcurrent >= 1, 'a controller needs a worker')
    this.#options = options
    this.queue = createWorkQueue(options.queue ?? DEFAULT_QUEUE_OPTIONS, options.clock.monotonicMs())
  }

  get underWay(): number {
    return this.#running.size
  }

  /** Without those that wait for an answer. */
  get activeWorkers(): number {
    return [...this.#running.values()].filter(({ waitsFor }) => waitsFor === 0).length
  }

  enqueue(key: string): void {
    if (!add(this.queue, key, this.#options.clock.monotonicMs()))
      this.#options.logger.error(this.#options.logFields(key), 'queue is full')
    this.#pump()
  }

  /** Call it once every store has synced; keys enqueued before have waited. */
  start(): void {
    assert(!this.#isTaking, 'a controller is started once')
    this.#isTaking = true
    const { pace, clock } = this.#options
    const keys = [...this.#options.keys()]
    // What the first lists made wait comes in with the others.
    if (pace !== undefined) this.#spread(new Set([...withdraw(this.queue), ...keys]), 1000 / pace.startLooksPerSecond)
    else for (const key of keys) add(this.queue, key, clock.monotonicMs())
    this.#scheduleResync()
    this.#pump()
  }

  /**
   * Takes no more keys and waits for those being worked on. After `timeoutMs` they are aborted, and get a second more.
   * False when some had not ended even then.
   */
  async drain(timeoutMs: number): Promise<boolean> {
    this.#isTaking = false
    this.#dueTimer?.cancel()
    this.#resyncTimer?.cancel()
    if (this.#running.size === 0) return true
    const idle = new Promise<void>((resolve) => (this.#onIdle = resolve))
    await Promise.race([idle, sleep(this.#options.clock, timeoutMs)])
    for (const { abort } of this.#running.values()) abort.abort(new Error('the operator is stopping'))
    if (this.#running.size > 0) await Promise.race([idle, sleep(this.#options.clock, 1000)])
    return this.#running.size === 0
  }

  #pump(): void {
    if (!this.#isTaking) return
    const nowMs = this.#options.clock.monotonicMs()
    while (this.#isWorkerFree()) {
      const waitingSince = this.queue.waiting.values().next().value
      const key = take(this.queue, nowMs)
      if (key === undefined) break
      this.#options.observer.taken(nowMs - (waitingSince ?? nowMs))
      void this.#work(key)
    }
    this.#dueTimer?.cancel()
    const dueMs = nextDueMs(this.queue)
    if (dueMs === undefined || !this.#isWorkerFree()) return
    this.#dueTimer = this.#options.clock.setTimer(Math.max(1, dueMs - nowMs), () => this.#pump())
  }

  #isWorkerFree(): boolean {
    const { maxConcurrent } = this.#options
    return this.activeWorkers < maxConcurrent && this.underWay < UNDER_WAY_PER_WORKER * maxConcurrent
  }

  async #whileWaiting<Answer>(run: Run, answer: Promise<Answer>): Promise<Answer> {
    run.waitsFor += 1
    if (run.waitsFor === 1) this.#pump()
    try {
      return await answer
    } finally {
      run.waitsFor -= 1
    }
  }

  async #work(key: string): Promise<void> {
    const { clock, logger, logFields, newId, reconcileTimeoutMs } = this.#options
    const startedMs = clock.monotonicMs()
    const reconcileId = newId()
    const abort = new AbortController()
    const run: Run = { abort, waitsFor: 0 }
    this.#running.set(key, run)
    const timer = clock.setTimer(reconcileTimeoutMs, () => {
      logger.error(
        { ...logFields(key), reconcileID: reconcileId, timeoutMs: reconcileTimeoutMs },
        'reconcile timed out',
      )
      abort.abort(new Error(`the reconcile took longer than ${reconcileTimeoutMs} ms`))
    })
    const result = await this.#reconcile(key, {
      signal: abort.signal,
      reconcileId,
      whileWaiting: (answer) => this.#whileWaiting(run, answer),
    })
    timer.cancel()
    this.#running.delete(key)
    const outcome = this.#settle(key, result, reconcileId)
    this.#options.observer.finished(outcome, clock.monotonicMs() - startedMs)
    if (this.#running.size === 0) this.#onIdle?.()
    this.#pump()
  }

  async #reconcile(key: string, context: ReconcileContext): Promise<ReconcileResult> {
    try {
      return await this.#options.reconcile(key, context)
    } catch (error) {
      this.#options.onBug(key, error)
      return { kind: 'retry', error }
    }
  }

  /** The one place where a result becomes a queue action. */
  #settle(key: string, result: ReconcileResult, reconcileId: string): ReconcileOutcome {
    const { clock, logger, logFields } = this.#options
    const nowMs = clock.monotonicMs()
    done(this.queue, key, nowMs)
    switch (result.kind) {
      case 'done':
        forget(this.queue, key)
        if (result.requeueAfterMs === undefined) return 'success'
        addAfter(
          this.queue,
          key,
          result.isIdle === true ? this.#idleMs(result.requeueAfterMs) : result.requeueAfterMs,
          nowMs,
        )
        return 'requeue_after'
      case 'retry':
        logger.error({ ...logFields(key), reconcileID: reconcileId, error: result.error }, 'reconcile failed')
        if (result.requeueAfterMs === undefined) addRateLimited(this.queue, key, nowMs)
        else {
          forget(this.queue, key)
          addAfter(this.queue, key, result.requeueAfterMs, nowMs)
        }
        return 'error'
      default:
        return unreachable(result)
    }
  }

  /** Until the next look where nothing is under way: the more keys, the longer. */
  #idleMs(requeueAfterMs: number): number {
    const { pace, resyncPeriodMs } = this.#options
    if (pace === undefined) return requeueAfterMs
    const roundMs = Math.min(resyncPeriodMs, ([...this.#options.keys()].length / pace.idleLooksPerSecond) * 1000)
    return roundMs <= requeueAfterMs ? requeueAfterMs : roundMs * (1 - IDLE_JITTER * pace.random())
  }

  #scheduleResync(): void {
    this.#resyncTimer = this.#options.clock.setTimer(this.#options.resyncPeriodMs, () => this.#resync())
  }

  /** With a pace, only keys that nobody has promised to look at within the period, spread over it. */
  #resync(): void {
    const { clock, pace, resyncPeriodMs } = this.#options
    const nowMs = clock.monotonicMs()
    const keys = [...this.#options.keys()]
    if (pace === undefined) for (const key of keys) add(this.queue, key, nowMs)
    else {
      const { waiting, processing, delayed } = this.queue
      const isPromised = (key: string): boolean =>
        waiting.has(key) || processing.has(key) || (delayed.get(key) ?? Infinity) <= nowMs + resyncPeriodMs
      const forgotten = new Set(keys.filter((key) => !isPromised(key)))
      this.#spread(forgotten, resyncPeriodMs / Math.max(1, forgotten.size))
    }
    this.#scheduleResync()
    this.#pump()
  }

  #spread(keys: ReadonlySet<string>, everyMs: number): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const [index, key] of [...keys].entries()) addAfter(this.queue, key, index * everyMs, nowMs)
  }
}

export interface SyncSource {
  readonly name: string
  /** Resolves once the first list has been stored. */
  readonly synced: Promise<void>
}

/** Waits for every source; answers the names of those that had not synced after `timeoutMs`, none if all is well. */
export async function waitForSync(
  sources: readonly SyncSource[],
  clock: Clock,
  timeoutMs: number,
): Promise<readonly string[]> {
  const missing = new Set(sources.map((source) => source.name))
  const all = Promise.all(sources.map(async (source) => source.synced.then(() => missing.delete(source.name))))
  await Promise.race([all, sleep(clock, timeoutMs)])
  return [...missing]
}
