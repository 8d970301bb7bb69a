/**
 * Ranges that clients ask for. A short one is answered at once. A long one is read in slices, one in each round of the
 * event loop, so that messages, ticks and writes go on in between; what is read is one revision, whatever is applied
 * meanwhile. Long ones under way take turns, and no more than some are under way at once: each holds its answer so far.
 *
 * Invariant: what is visible at a revision that is being read is not removed (`Store.holdRevision`).
 */
import type { Clock } from '../../lib/clock.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { MAX_LONG_RANGES, MAX_WAITING_RANGES } from '../limits.ts'
import type { StoreError } from '../mvcc/errors.ts'
import { RangeCounts } from '../mvcc/range-counts.ts'
import { SLICE_ROWS } from '../mvcc/range-reading.ts'
import { rangeInSlices, type SlicedRange } from '../mvcc/range.ts'
import type { RangeResult } from '../mvcc/results.ts'
import type { Store } from '../mvcc/store.ts'
import type { RangeRequest } from '../proto/generated/etcd/rpc.ts'
import type { NodePort, NodeProblem } from './ports.ts'

/** A snapshot that takes the store's place in the middle of a read makes it begin again. */
const MAX_ATTEMPTS = 3

export type RangeProblem = NodeProblem | StoreError['kind'] | 'canceled'

/** Made of the key-values of each slice but the last, which are in `end` with all else. */
export interface RangeRead<Part> {
  readonly parts: readonly Part[]
  readonly end: RangeResult
}

export interface RangeReadOptions<Part> {
  /** What is kept of the key-values of a slice. */
  readonly toPart: (kvs: Buffer[]) => Part
  /** Its `signal` is asked for only when the read is long: once it aborts nobody wants the answer any more. */
  readonly caller: { readonly signal: AbortSignal }
  /** See `SliceOptions`. */
  readonly isCounted?: boolean
}

type Outcome<Part> = Result<RangeRead<Part>, RangeProblem>

export class RangeReads {
  readonly #node: Pick<NodePort, 'store' | 'status'>
  readonly #clock: Clock
  readonly #sliceRows: number
  #counted: { readonly store: Store; readonly counts: RangeCounts } | undefined
  #long = 0
  /** Long ones that wait for another to end, the oldest first. */
  readonly #waiting: (() => void)[] = []
  /** Long ones under way, the next to have its turn first. */
  readonly #turns: (() => void)[] = []

  constructor(node: Pick<NodePort, 'store' | 'status'>, clock: Clock, sliceRows = SLICE_ROWS) {
    this.#node = node
    this.#clock = clock
    this.#sliceRows = sliceRows
  }

  /** The request must have passed `validateRange`. */
  read<Part>(request: RangeRequest, options: RangeReadOptions<Part>): Outcome<Part> | Promise<Outcome<Part>> {
    const { store } = this.#node
    const range = this.#begin(store, request, options)
    if (!range.ok) return err(range.error.kind)
    const first = range.value.slices.next()
    if (first.done === true) return ok({ parts: [], end: first.value })
    return this.#readLong(store, range.value, options.toPart(first.value), request, options)
  }

  #begin<Part>(
    store: Store,
    request: RangeRequest,
    { isCounted = true }: RangeReadOptions<Part>,
  ): Result<SlicedRange, StoreError> {
    if (this.#counted?.store !== store) this.#counted = { store, counts: new RangeCounts() }
    return rangeInSlices(store, request, { counts: this.#counted.counts, isCounted, sliceRows: this.#sliceRows })
  }

  async #readLong<Part>(
    store: Store,
    range: SlicedRange,
    first: Part,
    request: RangeRequest,
    options: RangeReadOptions<Part>,
  ): Promise<Outcome<Part>> {
    if (this.#waiting.length >= MAX_WAITING_RANGES) return err('too-many-requests')
    let release = store.holdRevision(range.revision)
    try {
      await this.#enter()
      try {
        let outcome = await this.#readRest(store, range, [first], options)
        for (let attempt = 1; outcome === undefined && attempt < MAX_ATTEMPTS; attempt++) {
          release()
          const { store } = this.#node
          const again = this.#begin(store, request, options)
          if (!again.ok) return err(again.error.kind)
          release = store.holdRevision(again.value.revision)
          outcome = await this.#readRest(store, again.value, [], options)
        }
        return outcome ?? err('timeout')
      } finally {
        this.#leave()
      }
    } finally {
      release()
    }
  }

  /** Undefined: another store has taken its place, and this one is closed. */
  async #readRest<Part>(
    store: Store,
    { slices }: SlicedRange,
    parts: Part[],
    { toPart, caller }: RangeReadOptions<Part>,
  ): Promise<Outcome<Part> | undefined> {
    for (;;) {
      await this.#turn()
      if (caller.signal.aborted) return err('canceled')
      if (this.#node.status().isStopped) return err('stopped')
      if (this.#node.store !== store) return undefined
      const slice = slices.next()
      if (slice.done === true) return ok({ parts, end: slice.value })
      parts.push(toPart(slice.value))
    }
  }

  async #enter(): Promise<void> {
    // Whoever leaves hands its place on, so that nobody comes in between.
    if (this.#long >= MAX_LONG_RANGES) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#long += 1
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#long -= 1
    else next()
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#turns.push(resolve) === 1) this.#clock.soon(this.#nextTurn)
    })
  }

  readonly #nextTurn = (): void => {
    this.#turns.shift()?.()
    if (this.#turns.length > 0) this.#clock.soon(this.#nextTurn)
  }
}
