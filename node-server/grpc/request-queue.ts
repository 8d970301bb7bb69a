/** The requests of a stream: read from the connection only when the handler asks for the next one. */
export class RequestQueue implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  readonly #readNext: () => void
  #received: Uint8Array | undefined
  #hasEnded = false
  #waiting: ((result: IteratorResult<Uint8Array, undefined>) => void) | undefined

  /** `readNext` leads to one `push` or to `end`. */
  constructor(readNext: () => void) {
    this.#readNext = readNext
  }

  push(request: Uint8Array): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting === undefined) this.#received = request
    else waiting({ done: false, value: request })
  }

  end(): void {
    this.#hasEnded = true
    this.#waiting?.({ done: true, value: undefined })
    this.#waiting = undefined
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const value = this.#received
    this.#received = undefined
    if (value !== undefined) return Promise.resolve({ done: false, value })
    if (this.#hasEnded) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => {
      this.#waiting = resolve
      this.#readNext()
    })
  }
}
