/**
 * Linearizable reads by ReadIndex (thesis §6.4): all readers that arrive while a round is under way share the next one,
 * and each may read once the store has applied what was committed when its round began.
 */
import type { LogIndex } from '../../../lib/ids.ts'

export type ReadOutcome = 'ready' | 'timeout' | 'stopped'

interface Reader {
  readonly resolve: (outcome: ReadOutcome) => void
  readonly deadlineMs: number
}

interface Round {
  readonly requestId: number
  readonly readers: readonly Reader[]
  readonly retryAtMs: number
}

export class Reads {
  #waiting: Reader[] = []
  #round: Round | undefined
  /** Confirmed, but not applied yet; ascending by index. */
  #confirmed: { readonly index: LogIndex; readonly readers: readonly Reader[] }[] = []
  #lastRequestId = 0
  readonly #retryMs: number

  /** A round that got no answer within `retryMs` is asked again: a read changes nothing, so asking twice is safe. */
  constructor(retryMs: number) {
    this.#retryMs = retryMs
  }

  add(deadlineMs: number): Promise<ReadOutcome> {
    return new Promise((resolve) => this.#waiting.push({ resolve, deadlineMs }))
  }

  /**
   * The ID of a round to request from Raft now, or undefined if nobody waits or a round is under way. `isOpen`: a request now
   * reaches the leader; otherwise it would be lost, and repeated long after the connection is there.
   */
  nextRound(nowMs: number, isOpen = true): number | undefined {
    if (!isOpen) return undefined
    const late = this.#round !== undefined && this.#round.retryAtMs <= nowMs ? this.#round.readers : []
    if (this.#round !== undefined && late.length === 0) return undefined
    const readers = [...late, ...this.#waiting].filter((reader) => !expire(reader, nowMs))
    this.#waiting = []
    this.#round = undefined
    if (readers.length === 0) return undefined
    this.#lastRequestId += 1
    this.#round = { requestId: this.#lastRequestId, readers, retryAtMs: nowMs + this.#retryMs }
    return this.#lastRequestId
  }

  /** Raft refused the round, or dropped it: it is requested again at the next tick. */
  dropped(requestId: number): void {
    if (this.#round?.requestId !== requestId) return
    this.#waiting.unshift(...this.#round.readers)
    this.#round = undefined
  }

  confirmed(requestId: number, index: LogIndex): void {
    if (this.#round?.requestId !== requestId) return
    this.#confirmed.push({ index, readers: this.#round.readers })
    this.#round = undefined
  }

  applied(index: LogIndex): void {
    let done = 0
    for (const batch of this.#confirmed) {
      if (batch.index > index) break
      for (const reader of batch.readers) reader.resolve('ready')
      done += 1
    }
    if (done > 0) this.#confirmed.splice(0, done)
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** Ends the reads whose deadline has passed. */
  expire(nowMs: number): void {
    this.#waiting = this.#waiting.filter((reader) => !expire(reader, nowMs))
    this.#confirmed = this.#confirmed.map(({ index, readers }) => ({
      index,
      readers: readers.filter((reader) => !expire(reader, nowMs)),
    }))
  }

  stop(): void {
    const all = [
      ...this.#waiting,
      ...(this.#round?.readers ?? []),
      ...this.#confirmed.flatMap(({ readers }) => readers),
    ]
    this.#waiting = []
    this.#round = undefined
    this.#confirmed = []
    for (const reader of all) reader.resolve('stopped')
  }
}

function expire(reader: Reader, nowMs: number): boolean {
  if (reader.deadlineMs > nowMs) return false
  reader.resolve('timeout')
  return true
}
