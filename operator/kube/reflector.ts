/**
 * Keeps a store equal to the API server: LIST in pages, replace, WATCH from there, resume when the watch ends, list again
 * when its version is too old.
 *
 * Invariants: the loop ends only by its signal, whatever the server, the network or a handler does; the store is changed
 * by nobody else; handlers learn of every change of the store, and do no more than enqueue keys.
 *
 * Why not the library's informer: it falls silent after a broken connection (reference: its measured faults in
 * operator-conventions). Source: client-go tools/cache/reflector.
 */
import type { Logger } from 'pino'
import type { BackoffOptions } from '../../lib/backoff.ts'
import { backoffMs } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import { sleep } from '../../lib/clock.ts'
import type { KubeClient, ListScope } from './client.ts'
import { isProblem, ApiError } from './api-error.ts'
import type { Kind, StoredObject } from './object.ts'
import { keyOf } from './object.ts'
import type { Change, Store } from './store.ts'
import type { WatchEvent } from './watch.ts'

export interface ReflectorTiming {
  readonly backoff: BackoffOptions
  /** Without a failure for this long the back-off starts again. */
  readonly backoffResetMs: number
  readonly watchMinSeconds: number
  readonly watchMaxSeconds: number
  /** Bookmarks come every minute; silence for this long is a dead connection. */
  readonly idleMs: number
  /** A list this often, to find out whether events get lost. */
  readonly relistEveryMs: number
}

export const DEFAULT_TIMING: ReflectorTiming = {
  backoff: { firstMs: 800, factor: 2, maxMs: 30_000, jitter: 0.5 },
  backoffResetMs: 120_000,
  watchMinSeconds: 300,
  watchMaxSeconds: 600,
  idleMs: 150_000,
  relistEveryMs: 600_000,
}

/** So many failed watches in a row without one event, and the version itself is suspect, as after a restored etcd. */
const FAILURES_BEFORE_RELIST = 3
/** A watch that ends sooner than this, even in order, is followed by a pause. */
const SHORT_WATCH_MS = 1000

/** What metrics want to know. */
export interface ReflectorObserver {
  synced(): void
  relisted(): void
  watchFailed(): void
  missed(events: number): void
}

export interface ReflectorOptions {
  readonly kind: Kind
  readonly scope: ListScope
  readonly client: KubeClient
  readonly store: Store
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  readonly logger: Logger
  readonly observer: ReflectorObserver
  /** Must only enqueue; what it throws is logged. */
  readonly onChange: (change: Change) => void
  readonly timing?: ReflectorTiming
}

export class Reflector {
  /** Resolves once the first list is in the store. */
  readonly synced: Promise<void>
  readonly #options: ReflectorOptions
  readonly #timing: ReflectorTiming
  #resolveSynced: () => void = () => undefined
  #running: Promise<void> | undefined
  /** Where the next watch starts; undefined: list first. */
  #version: string | undefined
  #listedAtMs = 0
  #failedAtMs = 0
  /** In a row, without one event in between. */
  #failures = 0
  /** Since the back-off last started again. */
  #attempt = 0

  constructor(options: ReflectorOptions) {
    this.#options = options
    this.#timing = options.timing ?? DEFAULT_TIMING
    this.synced = new Promise((resolve) => (this.#resolveSynced = resolve))
  }

  /** Runs until `signal` aborts; a second call while it runs is the same run. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    this.#running ??= this.#loop(signal).finally(() => (this.#running = undefined))
    return this.#running
  }

  async #loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#version === undefined || this.#isRelistDue()) await this.#list(signal)
        else await this.#watch(this.#version, signal)
      } catch (error) {
        if (signal.aborted) return
        await sleep(this.#options.clock, this.#pauseAfter(error), signal)
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, kind, scope, store, clock, observer } = this.#options
    const watchedTo = this.#version
    const page = await client.list(kind, scope, { signal, keep: (object) => store.kept(object) })
    const missed = watchedTo === undefined ? 0 : countMissed(store, page.items, watchedTo)
    if (missed > 0) this.#options.logger.warn({ kind, missed }, 'a list found changes that no event had reported')
    observer.missed(missed)
    observer.relisted()
    observer.synced()
    this.#version = page.resourceVersion
    this.#listedAtMs = clock.monotonicMs()
    this.#tell(store.replace(page.items))
    this.#resolveSynced()
  }

  async #watch(version: string, signal: AbortSignal): Promise<void> {
    const { client, kind, scope, clock } = this.#options
    const startedMs = clock.monotonicMs()
    const timeoutSeconds = this.#watchSeconds()
    const { idleMs } = this.#timing
    for await (const event of client.watch(kind, {
      ...scope,
      resourceVersion: version,
      timeoutSeconds,
      idleMs,
      signal,
    })) {
      this.#accept(event)
    }
    if (clock.monotonicMs() - startedMs < SHORT_WATCH_MS) {
      throw new ApiError('Unreachable', `the watch of ${kind} ended at once`)
    }
    this.#failures = 0
  }

  #accept(event: WatchEvent): void {
    const { store, observer } = this.#options
    switch (event.kind) {
      case 'bookmark':
        this.#version = event.resourceVersion
        break
      case 'stored':
        this.#version = event.object.metadata.resourceVersion
        this.#tell(store.set(event.object))
        break
      case 'deleted':
        this.#version = event.object.metadata.resourceVersion
        this.#tell(store.remove(event.object))
        break
    }
    this.#failures = 0
    observer.synced()
  }

  #tell(changes: readonly Change[]): void {
    for (const change of changes) {
      try {
        this.#options.onChange(change)
      } catch (error) {
        this.#options.logger.error({ kind: this.#options.kind, key: keyOf(change.object), error }, 'a handler failed')
      }
    }
  }

  /** Decides from where to go on, and says after what pause. */
  #pauseAfter(error: unknown): number {
    const { kind, clock, random, logger, observer } = this.#options
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#failedAtMs > this.#timing.backoffResetMs) this.#attempt = 0
    this.#failedAtMs = nowMs
    this.#failures++
    const isTooOld = isProblem(error, 'Gone')
    if (isTooOld || this.#failures >= FAILURES_BEFORE_RELIST) this.#version = undefined
    const pauseMs = Math.max(
      backoffMs(this.#timing.backoff, this.#attempt++, random()),
      error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0,
    )
    observer.watchFailed()
    logger[isTooOld ? 'info' : 'warn']({ kind, pauseMs: Math.round(pauseMs), error }, 'list or watch ended')
    return pauseMs
  }

  #isRelistDue(): boolean {
    return this.#options.clock.monotonicMs() - this.#listedAtMs >= this.#timing.relistEveryMs
  }

  /** Random, so that watches do not all end at once; no longer than until the next list is due. */
  #watchSeconds(): number {
    const { watchMinSeconds, watchMaxSeconds, relistEveryMs } = this.#timing
    const dueMs = this.#listedAtMs + relistEveryMs - this.#options.clock.monotonicMs()
    const random = watchMinSeconds + (watchMaxSeconds - watchMinSeconds) * this.#options.random()
    return Math.max(1, Math.ceil(Math.min(random, dueMs / 1000)))
  }
}

/**
 * Objects whose version is not newer than the watch's last event, and which differ from the store's. Versions of
 * one resource are ordered numbers (KEP-5504); where they are not numbers nothing is counted.
 */
function countMissed(store: Store, listed: readonly StoredObject[], watchedTo: string): number {
  const isNumber = (version: string): boolean => /^\d+$/.test(version)
  if (!isNumber(watchedTo)) return 0
  return listed.filter((object) => {
    const version = object.metadata.resourceVersion
    if (!isNumber(version) || BigInt(version) > BigInt(watchedTo)) return false
    return store.get(keyOf(object))?.metadata.resourceVersion !== version
  }).length
}
