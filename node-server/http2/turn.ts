/** Work that is put off to the end of the event loop's turn, so that all answers of a turn leave in one write a connection. */
export interface Flushable {
  flush(): void
}

export class Turn {
  #waiting: Flushable[] = []
  readonly #run = (): void => {
    const waiting = this.#waiting
    this.#waiting = []
    for (const flushable of waiting) flushable.flush()
  }

  /** Not twice before it was flushed. */
  add(flushable: Flushable): void {
    if (this.#waiting.push(flushable) === 1) setImmediate(this.#run)
  }
}
