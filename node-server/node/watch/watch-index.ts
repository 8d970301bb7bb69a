/** Which watches an event is for: single keys by a map, ranges by a tree of the distinct ones. */
import { RangeTree } from './range-tree.ts'

/** One key, or a range whose `end` may be open. Texts of one character a byte (mvcc/byte-text.ts). */
export type WatchedKeys =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'range'; readonly start: string; readonly end: string | undefined }

export interface Watching {
  readonly keys: WatchedKeys
}

export class WatchIndex<Watch extends Watching> {
  readonly #all = new Set<Watch>()
  readonly #byKey = new Map<string, Set<Watch>>()
  readonly #byRange = new RangeTree<Set<Watch>>()

  get size(): number {
    return this.#all.size
  }

  /** A copy, which later changes do not touch. */
  all(): readonly Watch[] {
    return [...this.#all]
  }

  /** The watch must not be in it yet. */
  add(watch: Watch): void {
    this.#all.add(watch)
    const { keys } = watch
    const same = this.#sameKeys(keys)
    if (same !== undefined) same.add(watch)
    else if (keys.kind === 'key') this.#byKey.set(keys.key, new Set([watch]))
    else this.#byRange.insert(keys.start, keys.end, new Set([watch]))
  }

  delete(watch: Watch): void {
    if (!this.#all.delete(watch)) return
    const { keys } = watch
    const same = this.#sameKeys(keys)
    same?.delete(watch)
    if (same?.size !== 0) return
    if (keys.kind === 'key') this.#byKey.delete(keys.key)
    else this.#byRange.remove(keys.start, keys.end)
  }

  #sameKeys(keys: WatchedKeys): Set<Watch> | undefined {
    return keys.kind === 'key' ? this.#byKey.get(keys.key) : this.#byRange.get(keys.start, keys.end)
  }

  forEachMatching(key: string, visit: (watch: Watch) => void): void {
    const visitAll = (watches: ReadonlySet<Watch>): void => watches.forEach((watch) => visit(watch))
    const exact = this.#byKey.get(key)
    if (exact !== undefined) visitAll(exact)
    this.#byRange.forEachContaining(key, visitAll)
  }
}
