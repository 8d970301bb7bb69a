/** Virtual time: what happens next, the earliest first, and in the order of asking among equals. */
export class Schedule {
  #now = 0
  #sequence = 0
  readonly #heap: { readonly at: number; readonly sequence: number; readonly run: () => void }[] = []

  get now(): number {
    return this.#now
  }

  after(delay: number, run: () => void): void {
    const heap = this.#heap
    const event = { at: this.#now + delay, sequence: this.#sequence++, run }
    let child = heap.length
    heap.push(event)
    while (child > 0) {
      const parent = (child - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(event, above)) break
      heap[child] = above
      child = parent
    }
    heap[child] = event
  }

  /** Runs everything up to that time. */
  runUntil(time: number): void {
    for (let first = this.#heap[0]; first !== undefined && first.at <= time; first = this.#heap[0]) {
      this.#removeFirst()
      this.#now = first.at
      first.run()
    }
    this.#now = time
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let parent = 0
    for (;;) {
      let child = parent * 2 + 1
      let smallest = heap[child]
      const right = heap[child + 1]
      if (smallest === undefined) break
      if (right !== undefined && isBefore(right, smallest)) {
        child += 1
        smallest = right
      }
      if (!isBefore(smallest, last)) break
      heap[parent] = smallest
      parent = child
    }
    heap[parent] = last
  }
}

interface Timed {
  readonly at: number
  readonly sequence: number
}

function isBefore(a: Timed, b: Timed): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence)
}
