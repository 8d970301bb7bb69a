/**
 * Ranges that clients ask for. A short one is answered at once. A long one is read in slices, one in each round of the
 * event loop, so that messages, ticks and writes go on in between; all of it is read at one revision, whatever is applied
 * meanwhile. Long ones take turns, and their number is bounded, because each holds its answer so far.
 *
 * Invariant: what is visible at a revision that is being read is not removed (`Store.holdRevision`).
 */
import type { Clock } from '../../../lib/clock.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { MAX_LONG_RANGES, MAX_WAITING_RANGES } from '../../limits.ts'
import type { StoreError } from '../../mvcc/errors.ts'
import { RangeCounts } from '../../mvcc/range-counts.ts'
import { SLICE_ROWS } from '../../mvcc/range-reading.ts'
import { rangeInSlices, type SlicedRange } from '../../mvcc/range.ts'
import type { RangeResult } from '../../mvcc/results.ts'
import type { Store } from '../../mvcc/store.ts'
import type { RangeRequest } from '../../proto/generated/etcd/rpc.ts'
import type { NodePort, NodeProblem } from '../ports.ts'

/** A snapshot that takes the store's place in the middle of a read makes it begin again. */
const MAX_ATTEMPTS = 3

export type RangeProblem = NodeProblem | StoreError['kind'] | 'canceled'

/** Receives the key-values of a long read. */
export interface RangeSink<Answer> {
  /** For each slice but the last. */
  add(kvs: Buffer[]): void
  /** For the last slice. `turn` resolves when everything else has had its turn. */
  end(end: RangeResult, turn: () => Promise<void>): Answer | Promise<Answer>
}

export interface RangeCall<Answer> {
  /** Has passed `validateRange`. */
  readonly request: RangeRequest
  /** Its `signal` is used only for a long read: once it aborts nobody wants the answer any more. */
  readonly caller: { readonly signal: AbortSignal }
  readonly newSink: () => RangeSink<Answer>
  /** See `SliceOptions`. */
  readonly isCounted?: boolean
}

/** `store` is the one that is read. */
type Begun = SlicedRange & { readonly store: Store }

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

  /** The answer of a short range at once; a promise of what the sink returns for a long one. */
  read<Answer>(call: RangeCall<Answer>): Result<RangeResult, RangeProblem> | Promise<Result<Answer, RangeProblem>> {
    const begun = this.#begin(call)
    if (!begun.ok) return begun
    const first = begun.value.slices.next()
    if (first.done === true) return ok(first.value)
    if (this.#waiting.length >= MAX_WAITING_RANGES) return err('too-many-requests')
    return this.#readLong(call, begun.value, first.value)
  }

  #begin({ request, isCounted = true }: RangeCall<unknown>): Result<Begun, RangeProblem> {
    const { store } = this.#node
    if (this.#counted?.store !== store) this.#counted = { store, counts: new RangeCounts() }
    const { counts } = this.#counted
    const range = rangeInSlices(store, request, { counts, isCounted, sliceRows: this.#sliceRows })
    return range.ok ? ok({ ...range.value, store }) : err(range.error.kind)
  }

  async #readLong<Answer>(call: RangeCall<Answer>, first: Begun, kvs: Buffer[]): Promise<Result<Answer, RangeProblem>> {
    let begun = first
    let release = begun.store.holdRevision(begun.revision)
    let sink = call.newSink()
    sink.add(kvs)
    await this.#enter()
    try {
      for (let attempt = 1; ; attempt++) {
        const read = await this.#readRest(call, begun, sink)
        if (read !== undefined) return read
        if (attempt === MAX_ATTEMPTS) return err('timeout')
        const again = this.#begin(call)
        if (!again.ok) return again
        release()
        begun = again.value
        release = begun.store.holdRevision(begun.revision)
        sink = call.newSink()
      }
    } finally {
      release()
      this.#leave()
    }
  }

  /** Undefined: another store has taken the place of this one, which is closed. */
  async #readRest<Answer>(
    { caller }: RangeCall<Answer>,
    { store, slices }: Begun,
    sink: RangeSink<Answer>,
  ): Promise<Result<Answer, RangeProblem> | undefined> {
    for (;;) {
      await this.#turn()
      if (caller.signal.aborted) return err('canceled')
      if (this.#node.status().isStopped) return err('stopped')
      if (this.#node.store !== store) return undefined
      const slice = slices.next()
      if (slice.done === true) return ok(await sink.end(slice.value, this.#turn))
      sink.add(slice.value)
    }
  }

  async #enter(): Promise<void> {
    // A read that ends hands its place on, so that none comes in between.
    if (this.#long >= MAX_LONG_RANGES) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#long += 1
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#long -= 1
    else next()
  }

  readonly #turn = (): Promise<void> =>
    new Promise((resolve) => {
      if (this.#turns.push(resolve) === 1) this.#clock.soon(this.#nextTurn)
    })

  readonly #nextTurn = (): void => {
    this.#turns.shift()?.()
    if (this.#turns.length > 0) this.#clock.soon(this.#nextTurn)
  }
}
