/** The last things that happened, for a person who looks at a failure. */
const KEPT = 400

export class EventLog {
  readonly #lines: string[] = []
  #next = 0
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  add(who: string, what: string): void {
    this.#lines[this.#next] = `${(this.#now() / 1000).toFixed(3).padStart(9)} s  ${who.padEnd(9)} ${what}`
    this.#next = (this.#next + 1) % KEPT
  }

  /** Oldest first. */
  last(count: number): readonly string[] {
    const lines = [...this.#lines.slice(this.#next), ...this.#lines.slice(0, this.#next)]
    return lines.slice(-count)
  }
}
