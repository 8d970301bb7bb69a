/**
 * What a watcher is given at once: encoded mvccpb.Event, in order. Watchers that are given the same events are given the
 * same list, and whatever it is turned into is made once for all of them.
 */
export class EventList {
  readonly #before: EventList | undefined
  readonly last: Buffer
  readonly length: number
  #longer: EventList | undefined
  #encoded: Uint8Array | undefined

  private constructor(before: EventList | undefined, last: Buffer) {
    this.#before = before
    this.last = last
    this.length = (before?.length ?? 0) + 1
  }

  static of(event: Buffer): EventList {
    return new EventList(undefined, event)
  }

  /** This list and one event more: the same list whenever it is the same event as the time before. */
  with(event: Buffer): EventList {
    if (this.#longer?.last !== event) this.#longer = new EventList(this, event)
    return this.#longer
  }

  all(): readonly Buffer[] {
    const events = [this.last]
    for (let list = this.#before; list !== undefined; list = list.#before) events.push(list.last)
    return events.reverse()
  }

  /** What `encode`, which must be the same each time, makes of the events. Nobody may change it. */
  encodedBy(encode: (events: readonly Buffer[]) => Uint8Array): Uint8Array {
    return (this.#encoded ??= encode(this.all()))
  }
}
