/**
 * Values by whole numbers below 2^32, for those that come and go by the thousand, as calls do. A Map is no place for them: when
 * its table is full, of removed entries too, V8 makes another one, to which the old one refers. Once one of them is in the
 * old generation of the heap, all that is put into the map afterwards is kept until a major collection, and moved there.
 *
 * A hash table with linear probing, at most half full; what is removed leaves no mark.
 */
import { assert } from './assert.ts'

const MIN_SLOTS = 8
/** 2^32 divided by the golden ratio, odd: numbers that follow one another lie apart. */
const SPREAD = 0x9e37_79b1

export class NumberTable<Value extends object> {
  #keys = new Uint32Array(MIN_SLOTS)
  #values: (Value | undefined)[] = emptySlots(MIN_SLOTS)
  #size = 0

  get size(): number {
    return this.#size
  }

  get(key: number): Value | undefined {
    return this.#values[this.#slotOf(key)]
  }

  /** There is none with that key. */
  add(key: number, value: Value): void {
    if (2 * (this.#size + 1) > this.#keys.length) this.#resize(2 * this.#keys.length)
    const slot = this.#slotOf(key)
    assert(this.#values[slot] === undefined, () => `there is a ${key} already`)
    this.#keys[slot] = key
    this.#values[slot] = value
    this.#size += 1
  }

  /** What was there. */
  delete(key: number): Value | undefined {
    const slot = this.#slotOf(key)
    const value = this.#values[slot]
    if (value === undefined) return undefined
    this.#empty(slot)
    this.#size -= 1
    if (this.#keys.length > MIN_SLOTS && 8 * this.#size < this.#keys.length) this.#resize(this.#keys.length / 2)
    return value
  }

  /** In no order. */
  values(): Value[] {
    return this.#values.filter((value) => value !== undefined)
  }

  /** Where it is, or would be. */
  #slotOf(key: number): number {
    let slot = this.#home(key)
    while (this.#values[slot] !== undefined && this.#keys[slot] !== key) slot = this.#next(slot)
    return slot
  }

  #home(key: number): number {
    return Math.imul(key, SPREAD) >>> (Math.clz32(this.#keys.length) + 1)
  }

  #next(slot: number): number {
    return (slot + 1) & (this.#keys.length - 1)
  }

  /** Those behind it that a search would not reach any more move up. */
  #empty(slot: number): void {
    const mask = this.#keys.length - 1
    let free = slot
    for (let at = this.#next(slot); this.#values[at] !== undefined; at = this.#next(at)) {
      const key = this.#keys[at] ?? 0
      const isReached = ((at - this.#home(key)) & mask) < ((at - free) & mask)
      if (isReached) continue
      this.#keys[free] = key
      this.#values[free] = this.#values[at]
      free = at
    }
    this.#values[free] = undefined
  }

  #resize(slots: number): void {
    const [keys, values] = [this.#keys, this.#values]
    this.#keys = new Uint32Array(slots)
    this.#values = emptySlots(slots)
    for (const [i, value] of values.entries()) {
      if (value === undefined) continue
      const slot = this.#slotOf(keys[i] ?? 0)
      this.#keys[slot] = keys[i] ?? 0
      this.#values[slot] = value
    }
  }
}

function emptySlots<Value>(slots: number): (Value | undefined)[] {
  return Array.from({ length: slots }, () => undefined)
}
