/** Fields that the two ends of a connection remember together (RFC 7541 §2.3.2), the newest first. Pure. */

/** What an entry counts beside its name and its value (RFC 7541 §4.1). */
export const ENTRY_OVERHEAD_BYTES = 32
/** RFC 7541 §6.5.2: what a decoder allows that has not said anything else. Ours never does. */
export const TABLE_BYTES = 4096
const MAX_ENTRIES = TABLE_BYTES / ENTRY_OVERHEAD_BYTES

export class DynamicTable {
  readonly #names: string[] = []
  readonly #values: string[] = []
  #maxBytes = TABLE_BYTES
  #bytes = 0
  /** Of all that was ever added; the place of an entry in the ring is its number. */
  #added = 0
  #count = 0

  /** `age` from 0, which is the newest. */
  name(age: number): string | undefined {
    return this.#has(age) ? this.#names[this.#place(age)] : undefined
  }

  value(age: number): string | undefined {
    return this.#has(age) ? this.#values[this.#place(age)] : undefined
  }

  #has(age: number): boolean {
    return age >= 0 && age < this.#count
  }

  /** Old entries make room; what is larger than the whole table empties it (RFC 7541 §4.4). */
  add(name: string, value: string): void {
    const bytes = name.length + value.length + ENTRY_OVERHEAD_BYTES
    this.#evict(this.#maxBytes - bytes)
    if (bytes > this.#maxBytes) return
    const place = this.#added % MAX_ENTRIES
    this.#names[place] = name
    this.#values[place] = value
    this.#added += 1
    this.#count += 1
    this.#bytes += bytes
  }

  /** At most TABLE_BYTES. */
  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes
    this.#evict(maxBytes)
  }

  #evict(toBytes: number): void {
    while (this.#count > 0 && this.#bytes > toBytes) {
      const place = this.#place(this.#count - 1)
      this.#bytes -= (this.#names[place]?.length ?? 0) + (this.#values[place]?.length ?? 0) + ENTRY_OVERHEAD_BYTES
      this.#names[place] = ''
      this.#values[place] = ''
      this.#count -= 1
    }
  }

  #place(age: number): number {
    return (this.#added - 1 - age) % MAX_ENTRIES
  }
}
