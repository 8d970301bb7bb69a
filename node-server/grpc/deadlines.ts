/**
 * Calls with a deadline, in the slots of a wheel that turns: one timer for all of them, and none while there are none.
 * Most calls end long before their deadline, so coming and going is what must cost nothing. A deadline is kept to within a
 * slot: the client has one of its own.
 */
const SLOT_MS = 20
const SLOTS = 512

export interface Expiring {
  /** 0: none, or no more. */
  deadlineMs: number
  /** The wheel's own: its neighbours in a slot. */
  nextExpiring: Expiring | undefined
  previousExpiring: Expiring | undefined
  /** Once, unless it was removed before. */
  onDeadline(): void
}

export class Deadlines {
  readonly #now: () => number
  readonly #slots: (Expiring | undefined)[] = Array.from({ length: SLOTS }, () => undefined)
  #count = 0
  #turnedToMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(now: () => number) {
    this.#now = now
  }

  add(call: Expiring): void {
    if (this.#count === 0) this.#start()
    this.#count += 1
    const slot = slotOf(call)
    const first = this.#slots[slot]
    call.nextExpiring = first
    call.previousExpiring = undefined
    if (first !== undefined) first.previousExpiring = call
    this.#slots[slot] = call
  }

  remove(call: Expiring): void {
    if (call.deadlineMs === 0) return
    const { nextExpiring: next, previousExpiring: previous } = call
    if (previous === undefined) this.#slots[slotOf(call)] = next
    else previous.nextExpiring = next
    if (next !== undefined) next.previousExpiring = previous
    call.deadlineMs = 0
    call.nextExpiring = undefined
    call.previousExpiring = undefined
    this.#count -= 1
    if (this.#count === 0) clearInterval(this.#timer)
  }

  #start(): void {
    this.#turnedToMs = this.#now()
    this.#timer = setInterval(() => this.turn(), SLOT_MS)
    this.#timer.unref()
  }

  /** Called by the timer. */
  turn(): void {
    const nowMs = this.#now()
    const slots = Math.min(Math.floor(nowMs / SLOT_MS) - Math.floor(this.#turnedToMs / SLOT_MS) + 1, SLOTS)
    const due: Expiring[] = []
    for (let i = 0; i < slots; i++) {
      const slot = Math.floor(this.#turnedToMs / SLOT_MS + i) % SLOTS
      // What is far away shares the slot with what is due.
      for (let call = this.#slots[slot]; call !== undefined; call = call.nextExpiring)
        if (call.deadlineMs <= nowMs) due.push(call)
    }
    this.#turnedToMs = nowMs
    for (const call of due) {
      if (call.deadlineMs === 0) continue // what was due before it has ended it
      this.remove(call)
      call.onDeadline()
    }
  }
}

function slotOf({ deadlineMs }: Expiring): number {
  return Math.floor(deadlineMs / SLOT_MS) % SLOTS
}
