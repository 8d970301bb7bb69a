/**
 * Key-values that were read lately, by their revision. The value of a revision never changes, so nothing here is ever
 * out of date; a compaction drops what it removes. A new entry replaces the one that shares its slot.
 */
interface Version {
  readonly modRevision: number
  readonly sub: number
}

interface Kept extends Version {
  readonly keyValue: Buffer
}

const SLOTS = 8192
/** Copying a larger one costs more than looking it up. With all slots taken that is 8 MiB. */
const MAX_VALUE_BYTES = 1024

export class ValueCache {
  // oxlint-disable-next-line unicorn/no-new-array -- Array.from takes ten times as long, and every store that is opened has a cache
  readonly #slots = new Array<Kept | undefined>(SLOTS).fill(undefined)

  /** Nobody may change it. */
  get({ modRevision, sub }: Version): Buffer | undefined {
    const kept = this.#slots[slotOf(modRevision, sub)]
    return kept?.modRevision === modRevision && kept.sub === sub ? kept.keyValue : undefined
  }

  keep({ modRevision, sub }: Version, keyValue: Buffer): void {
    if (keyValue.length > MAX_VALUE_BYTES) return
    this.#slots[slotOf(modRevision, sub)] = { modRevision, sub, keyValue: withMemoryOfItsOwn(keyValue) }
  }

  remove({ modRevision, sub }: Version): void {
    const slot = slotOf(modRevision, sub)
    const kept = this.#slots[slot]
    if (kept?.modRevision === modRevision && kept.sub === sub) this.#slots[slot] = undefined
  }
}

/** Revisions that follow one another share no slot, nor do the operations of a txn. */
function slotOf(modRevision: number, sub: number): number {
  return (modRevision + sub) % SLOTS
}

/** A part of something larger would keep all of that in memory. */
function withMemoryOfItsOwn(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength <= bytes.length + 1) return bytes
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
