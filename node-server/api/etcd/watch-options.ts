/** How the Watch service runs; main fills it from the flags. */
import { WATCH } from '../../limits.ts'
import type { WatchableStore } from '../../node/watch/watchable-store.ts'

export interface WatchOptions {
  /** Between two answers to a watch with progress_notify that nothing happens to; less than 100 ms counts as 100 ms. */
  readonly progressNotifyIntervalMs: number
  /** As for requests: with the overhead of gRPC it bounds the fragments of a watch that asks for them. */
  readonly maxRequestBytes: number
  /** A stream that asks for a leader ends after three of these without one. */
  readonly electionMs: number
  /** Watches on one stream at once; etcd knows no limit. */
  readonly maxWatchesPerStream: number
  /** What may wait for the client of a stream, and for all of them; see outbox.ts. */
  readonly outboxBytes: number
  readonly outboxesBytes: number
  /** In [0, 1): spreads the progress notifications of streams that began together. */
  readonly random: () => number
  /** Shared with what reads its counts; without it the service makes its own. */
  readonly watchableStore: WatchableStore | undefined
}

export const DEFAULT_WATCH_OPTIONS: WatchOptions = {
  progressNotifyIntervalMs: 10 * 60 * 1000,
  maxRequestBytes: 1.5 * 1024 * 1024,
  electionMs: 1000,
  maxWatchesPerStream: 100_000,
  outboxBytes: WATCH.outboxSizeBytes,
  outboxesBytes: WATCH.outboxesSizeBytes,
  random: Math.random,
  watchableStore: undefined,
}
