/**
 * Requests of this member that wait for their entry to be applied. Each is settled exactly once: by its entry, by its
 * deadline, or by the member's end. A write is never proposed a second time: after a timeout its outcome is unknown.
 */
import { assert } from '../../../lib/assert.ts'

export interface Waiter<Answer> {
  resolve(answer: Answer): void
  deadlineMs: number
  /** What it gets at its deadline. */
  late(): Answer
}

export class Waiters<Answer> {
  readonly #byRequest = new Map<bigint, Waiter<Answer>>()
  readonly #capacity: number

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#byRequest.size
  }

  get isFull(): boolean {
    return this.#byRequest.size >= this.#capacity
  }

  add(requestId: bigint, waiter: Waiter<Answer>): void {
    assert(!this.isFull, 'the caller checks isFull')
    assert(!this.#byRequest.has(requestId), () => `request ${requestId} waits already`)
    this.#byRequest.set(requestId, waiter)
  }

  /** False when nobody waits here: the request came through another member, or has timed out. */
  settle(requestId: bigint, answer: Answer): boolean {
    const waiter = this.#byRequest.get(requestId)
    if (waiter === undefined) return false
    this.#byRequest.delete(requestId)
    waiter.resolve(answer)
    return true
  }

  has(requestId: bigint): boolean {
    return this.#byRequest.has(requestId)
  }

  /** Settles those whose deadline has passed. Later ones never have an earlier deadline, so the first that waits ends it. */
  expire(nowMs: number): number {
    let expired = 0
    for (const [requestId, waiter] of this.#byRequest) {
      if (waiter.deadlineMs > nowMs) break
      this.settle(requestId, waiter.late())
      expired += 1
    }
    return expired
  }

  /** Those that `isMeant` names, none of which came later than one that it does not, wait until `deadlineMs` at most. */
  hasten(deadlineMs: number, isMeant: (requestId: bigint) => boolean = () => true): void {
    for (const [requestId, waiter] of this.#byRequest) {
      if (!isMeant(requestId)) break
      if (waiter.deadlineMs > deadlineMs) waiter.deadlineMs = deadlineMs
    }
  }

  settleAll(answer: Answer): void {
    const waiting = [...this.#byRequest.values()]
    this.#byRequest.clear()
    for (const waiter of waiting) waiter.resolve(answer)
  }
}
