/**
 * Requests of all watch streams, taken for a bounded time in each round of the event loop: a client that creates thousands of
 * watches at once, on however many streams, holds up nobody else. A stream whose requests are left waits for a round of its own.
 */
import type { Clock } from '../../../lib/clock.ts'
import { WATCH } from '../../limits.ts'

export class RequestTurns {
  readonly #clock: Clock
  /** Of the round under way; undefined: nothing was taken in it. */
  #startedMs: number | undefined
  /** Whose round it is while others wait. */
  #holder: object | undefined
  /** One for each stream at most, the next to have its round first. */
  readonly #waiting: { readonly stream: object; readonly goOn: () => void }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether `stream` may have a request taken now; otherwise it waits for its round. */
  isOf(stream: object): boolean {
    if (this.#startedMs === undefined) this.#begin()
    if (this.#waiting.length > 0 && this.#holder !== stream) return false
    return this.#clock.monotonicMs() - (this.#startedMs ?? 0) < WATCH.requestsMs
  }

  /** Resolves as its round begins. */
  round(stream: object): Promise<void> {
    return new Promise((goOn) => this.#waiting.push({ stream, goOn }))
  }

  #begin(): void {
    this.#startedMs = this.#clock.monotonicMs()
    this.#clock.soon(() => this.#end())
  }

  #end(): void {
    this.#startedMs = undefined
    const next = this.#waiting.shift()
    this.#holder = next?.stream
    if (next === undefined) return
    this.#begin()
    next.goOn()
  }
}
