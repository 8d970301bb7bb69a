/**
 * Requests of this member that wait for their entry to be applied. Each is settled exactly once: by its entry, by its
 * deadline, or by the member's end. A write is never proposed a second time: after a timeout its outcome is unknown.
 */
import { assert } from '../../../lib/assert.ts'
import { NumberTable } from '../../../lib/number-table.ts'

export interface Waiter<Answer> {
  /** Higher than that of every earlier waiter. */
  readonly requestId: bigint
  resolve(answer: Answer): void
  deadlineMs: number
  /** What it gets at its deadline. */
  late(): Answer
}

export class Waiters<Answer> {
  /** By the last 32 bits of their IDs: nobody waits so long that these repeat. */
  readonly #byRequest = new NumberTable<Waiter<Answer>>()
  readonly #capacity: number
  /** The oldest and the newest ID that may be waiting. */
  #oldest = 0n
  #newest = -1n

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#byRequest.size
  }

  get isFull(): boolean {
    return this.#byRequest.size >= this.#capacity
  }

  add(waiter: Waiter<Answer>): void {
    const { requestId } = waiter
    assert(!this.isFull, 'the caller checks isFull')
    assert(requestId > this.#newest, () => `request ${requestId} comes after ${this.#newest}`)
    if (this.size === 0) this.#oldest = requestId
    this.#newest = requestId
    this.#byRequest.add(keyOf(requestId), waiter)
  }

  /** False when nobody waits here: the request came through another member, or has timed out. */
  settle(requestId: bigint, answer: Answer): boolean {
    const waiter = this.#find(requestId)
    if (waiter === undefined) return false
    this.#byRequest.delete(keyOf(requestId))
    waiter.resolve(answer)
    return true
  }

  has(requestId: bigint): boolean {
    return this.#find(requestId) !== undefined
  }

  /** Settles those whose deadline has passed. Later ones never have an earlier deadline, so the first that waits ends it. */
  expire(nowMs: number): number {
    let expired = 0
    for (const waiter of this.#inOrder()) {
      if (waiter.deadlineMs > nowMs) break
      this.settle(waiter.requestId, waiter.late())
      expired += 1
    }
    return expired
  }

  /** Those that `isMeant` names, none of which came later than one that it does not, wait until `deadlineMs` at most. */
  hasten(deadlineMs: number, isMeant: (requestId: bigint) => boolean = () => true): void {
    for (const waiter of this.#inOrder()) {
      if (!isMeant(waiter.requestId)) break
      if (waiter.deadlineMs > deadlineMs) waiter.deadlineMs = deadlineMs
    }
  }

  settleAll(answer: Answer): void {
    for (const waiter of this.#inOrder()) this.settle(waiter.requestId, answer)
  }

  #find(requestId: bigint): Waiter<Answer> | undefined {
    const waiter = this.#byRequest.get(keyOf(requestId))
    return waiter?.requestId === requestId ? waiter : undefined
  }

  /** Those that wait, the oldest first. */
  *#inOrder(): Iterable<Waiter<Answer>> {
    for (let requestId = this.#oldest; requestId <= this.#newest; requestId++) {
      const waiter = this.#find(requestId)
      if (waiter !== undefined) yield waiter
      else if (requestId === this.#oldest) this.#oldest += 1n
    }
  }
}

function keyOf(requestId: bigint): number {
  return Number(BigInt.asUintN(32, requestId))
}
