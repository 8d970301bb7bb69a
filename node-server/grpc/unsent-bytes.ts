/**
 * What a stream has been given and HTTP/2 has not taken yet. The library counts responses, sixteen of them, whatever their
 * size; a client that does not read must not cost more memory because its responses are large.
 */
const MAX_UNSENT_BYTES = 64 * 1024
/** What a response costs beside its bytes, about. */
const RESPONSE_OVERHEAD_BYTES = 256

export class UnsentBytes {
  readonly #signal: AbortSignal
  #bytes = 0
  #waiters: (() => void)[] = []

  /** Once the signal aborts nobody waits any more. */
  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => this.#letGo(), { once: true })
  }

  add(responses: number, bytes: number): void {
    this.#bytes += bytes + responses * RESPONSE_OVERHEAD_BYTES
  }

  remove(responses: number, bytes: number): void {
    this.#bytes -= bytes + responses * RESPONSE_OVERHEAD_BYTES
    if (this.areFew) this.#letGo()
  }

  get areFew(): boolean {
    return this.#bytes < MAX_UNSENT_BYTES
  }

  /** At once as long as there are few; then the caller may hand over more. */
  async whenFew(): Promise<void> {
    if (this.areFew || this.#signal.aborted) return
    await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  #letGo(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const go of waiters) go()
  }
}
