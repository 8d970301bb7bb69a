/** Which watchers an event is for: single keys by a map, ranges by a tree of the distinct ones. */
import { IntervalTree } from './interval-tree.ts'

/** One key, or a range whose `end` may be open. Texts of one character a byte (mvcc/byte-text.ts). */
export type WatchedKeys =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'range'; readonly start: string; readonly end: string | undefined }

export interface Watching {
  readonly keys: WatchedKeys
}

export class WatcherGroup<Watcher extends Watching> {
  readonly #all = new Set<Watcher>()
  readonly #byKey = new Map<string, Set<Watcher>>()
  readonly #byRange = new IntervalTree<Set<Watcher>>()

  get size(): number {
    return this.#all.size
  }

  /** A copy, which later changes do not touch. */
  all(): readonly Watcher[] {
    return [...this.#all]
  }

  /** At most so many of them, in a copy. */
  first(count: number): readonly Watcher[] {
    const found: Watcher[] = []
    for (const watcher of this.#all) if (found.push(watcher) >= count) break
    return found
  }

  /** The watcher must not be in it yet. */
  add(watcher: Watcher): void {
    this.#all.add(watcher)
    const { keys } = watcher
    const same = this.#sameKeys(keys)
    if (same !== undefined) same.add(watcher)
    else if (keys.kind === 'key') this.#byKey.set(keys.key, new Set([watcher]))
    else this.#byRange.insert(keys.start, keys.end, new Set([watcher]))
  }

  delete(watcher: Watcher): void {
    if (!this.#all.delete(watcher)) return
    const { keys } = watcher
    const same = this.#sameKeys(keys)
    same?.delete(watcher)
    if (same?.size !== 0) return
    if (keys.kind === 'key') this.#byKey.delete(keys.key)
    else this.#byRange.remove(keys.start, keys.end)
  }

  #sameKeys(keys: WatchedKeys): Set<Watcher> | undefined {
    return keys.kind === 'key' ? this.#byKey.get(keys.key) : this.#byRange.get(keys.start, keys.end)
  }

  forEachMatching(key: string, visit: (watcher: Watcher) => void): void {
    const visitAll = (watchers: ReadonlySet<Watcher>): void => watchers.forEach((watcher) => visit(watcher))
    const exact = this.#byKey.get(key)
    if (exact !== undefined) visitAll(exact)
    this.#byRange.forEachContaining(key, visitAll)
  }
}
