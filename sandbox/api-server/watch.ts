/**
 * Watches: what happened to the objects of a type since a revision, as it happens. The events are the store's own; a watch
 * that starts in the past reads them back first. Nothing waits in a queue: what a slow client has not taken ends its
 * watch, and it starts again from where it was. Source: Kubernetes docs, API concepts (watch, bookmarks).
 */
import { assert } from '../../lib/assert.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import { metadataOf, type JsonObject, type KubeObject } from './object.ts'
import type { Predicate } from './selectors.ts'
import { expired } from './status-error.ts'
import type { ObjectEvent, ObjectStore } from './storage.ts'

const BOOKMARK_INTERVAL_MS = 60_000

export type WatchType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'

export interface WatchOptions {
  readonly start: string
  readonly end: string
  readonly matches: Predicate
  /** Events after it; undefined: what there is now, as additions, and what comes after. */
  readonly fromRevision: number | undefined
  readonly hasBookmarks: boolean
  /** What there is now comes first, and a bookmark says where it ends. */
  readonly sendsInitialEvents: boolean
  /** False: the client takes no more, and is let go. */
  readonly send: (type: WatchType, object: JsonObject) => boolean
  readonly onEnd: () => void
}

interface Watcher extends WatchOptions {
  /** The first event not sent yet. */
  next: number
}

export class WatchHub {
  readonly #store: ObjectStore
  readonly #clock: Clock
  readonly #watchers = new Set<Watcher>()
  readonly #unsubscribe: () => void
  /** All watchers have what is below. */
  #next: number
  #isScheduled = false
  #bookmarks: Timer

  constructor(store: ObjectStore, clock: Clock) {
    this.#store = store
    this.#clock = clock
    this.#next = store.revision + 1
    this.#unsubscribe = store.onWrite(() => this.#schedule())
    this.#bookmarks = this.#scheduleBookmarks()
  }

  /** Returns what ends it. */
  watch(options: WatchOptions): () => void {
    this.#deliver()
    const { fromRevision } = options
    const watcher: Watcher = { ...options, next: (fromRevision ?? this.#store.revision) + 1 }
    if (fromRevision !== undefined && !options.sendsInitialEvents && fromRevision < this.#store.compactedRevision) {
      options.send('ERROR', expired(tooOld(fromRevision, this.#store.compactedRevision)).toStatus())
      options.onEnd()
      return () => {}
    }
    this.#watchers.add(watcher)
    if (fromRevision === undefined || options.sendsInitialEvents) this.#sendInitial(watcher)
    else this.#catchUp(watcher)
    return () => this.#watchers.delete(watcher)
  }

  #sendInitial(watcher: Watcher): void {
    const { revision } = this.#store
    watcher.next = revision + 1
    for (const { object } of this.#store.list(watcher.start, watcher.end, revision)) {
      if (watcher.matches(object) && !this.#send(watcher, 'ADDED', object)) return
    }
    if (!watcher.sendsInitialEvents) return
    const annotations = { 'k8s.io/initial-events-end': 'true' }
    this.#send(watcher, 'BOOKMARK', { metadata: { resourceVersion: String(revision), annotations } })
  }

  #catchUp(watcher: Watcher): void {
    while (watcher.next < this.#next && this.#watchers.has(watcher)) {
      const page = this.#store.events(watcher.next)
      for (const event of page.events) this.#offer(watcher, event)
      watcher.next = page.nextRevision
    }
  }

  /** All writes of one turn of the event loop are read back at once. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#clock.soon(() => this.#deliver())
  }

  #deliver(): void {
    this.#isScheduled = false
    while (this.#next <= this.#store.revision) {
      const page = this.#store.events(this.#next)
      for (const event of page.events) for (const watcher of this.#watchers) this.#offer(watcher, event)
      this.#next = page.nextRevision
    }
  }

  #offer(watcher: Watcher, event: ObjectEvent): void {
    if (event.revision < watcher.next || event.key < watcher.start || event.key >= watcher.end) return
    const { object, previous } = event
    const is = object !== undefined && watcher.matches(object)
    const was = previous !== undefined && watcher.matches(previous)
    if (is) this.#send(watcher, was ? 'MODIFIED' : 'ADDED', object)
    else if (was) this.#send(watcher, 'DELETED', lastState(object ?? previous, previous, event.revision))
  }

  #send(watcher: Watcher, type: WatchType, object: JsonObject): boolean {
    if (!this.#watchers.has(watcher)) return false
    if (watcher.send(type, object)) return true
    this.#watchers.delete(watcher)
    watcher.onEnd()
    return false
  }

  #scheduleBookmarks(): Timer {
    return this.#clock.setTimer(BOOKMARK_INTERVAL_MS, () => {
      for (const watcher of this.#watchers) if (watcher.hasBookmarks) this.bookmark(watcher.send)
      this.#bookmarks = this.#scheduleBookmarks()
    })
  }

  /** Tells a client up to where it has seen everything. */
  bookmark(send: WatchOptions['send']): void {
    this.#deliver()
    send('BOOKMARK', { metadata: { resourceVersion: String(this.#store.revision) } })
  }

  close(): void {
    this.#unsubscribe()
    this.#bookmarks.cancel()
    for (const watcher of this.#watchers) watcher.onEnd()
    this.#watchers.clear()
  }
}

function tooOld(revision: number, compacted: number): string {
  return `too old resource version: ${revision} (${compacted})`
}

/** What was deleted, or stopped matching, under the revision at which it did. */
function lastState(object: KubeObject, previous: KubeObject | undefined, revision: number): KubeObject {
  const shown = previous ?? object
  assert(shown !== undefined, 'something was there')
  metadataOf(shown)['resourceVersion'] = String(revision)
  return shown
}
