/**
 * What the page knows: the last look at each cluster, its history and its events, as the reconciles bring them along. Nothing is
 * asked for the page's sake: a look costs it a reference, and what is shown is made when somebody is there to see it.
 *
 * Which clusters there are is the cache's word. One that is made again under its name is another one, by its UID.
 */
import type { Look } from '../cluster/look.ts'
import type { EventType, KubeObject } from '../cluster/ports.ts'
import { History, type HistoryView } from './history.ts'
import { MAX_MESSAGE_LENGTH, RECENT_EVENTS } from './limits.ts'
import { type ClusterView, type EventView, unseen, viewOf } from './view.ts'

export interface KnownCluster {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string }
}

interface Entry {
  readonly uid: string
  readonly history: History
  look: Look | undefined
  /** The oldest first. */
  events: readonly EventView[]
}

export interface Changes {
  readonly clusters: readonly ClusterView[]
  /** Keys of those that there are no more. */
  readonly gone: readonly string[]
}

export class Board {
  readonly #known: () => Iterable<KnownCluster>
  readonly #nowMs: () => number
  readonly #entries = new Map<string, Entry>()
  readonly #changed = new Set<string>()
  #told = new Set<string>()

  /** `nowMs`: the wall clock. */
  constructor(known: () => Iterable<KnownCluster>, nowMs: () => number) {
    this.#known = known
    this.#nowMs = nowMs
  }

  looked(look: Look): void {
    const entry = this.#entry(keyOf(look), look.uid)
    entry.look = look
    const { commitIndex, term, leader } = look.status
    if (look.status.configIndex > 0) entry.history.add({ atMs: look.atMs, commitIndex, term, leader })
  }

  happened({ metadata }: KubeObject, type: EventType, reason: string, text: string): void {
    const { namespace = '', name, uid = '' } = metadata
    const entry = this.#entry(keyOf({ namespace, name }), uid)
    const message = text.slice(0, MAX_MESSAGE_LENGTH)
    const same = entry.events.find((one) => one.type === type && one.reason === reason && one.message === message)
    const event = { type, reason, message, count: (same?.count ?? 0) + 1, atMs: this.#nowMs() }
    entry.events = [...entry.events.filter((one) => one !== same), event].slice(-RECENT_EVENTS)
  }

  all(): readonly ClusterView[] {
    return [...this.#known()].map((cluster) => this.#view(cluster)).toSorted(byName)
  }

  /** Since the last call. */
  changes(): Changes {
    const known = new Map([...this.#known()].map((cluster) => [keyOf(named(cluster)), cluster]))
    const gone = [...this.#told].filter((key) => !known.has(key))
    const news = [...known].filter(([key]) => this.#changed.has(key) || !this.#told.has(key))
    this.#changed.clear()
    this.#told = new Set(known.keys())
    return { clusters: news.map(([, cluster]) => this.#view(cluster)), gone }
  }

  /** Undefined: nobody has looked at such a cluster. */
  history(key: string): HistoryView | undefined {
    return this.#entries.get(key)?.history.view()
  }

  #view(cluster: KnownCluster): ClusterView {
    const { namespace, name } = named(cluster)
    const entry = this.#entries.get(keyOf({ namespace, name }))
    if (entry?.look === undefined || entry.uid !== cluster.metadata.uid) return unseen(namespace, name)
    return viewOf(entry.look, entry.events.toReversed())
  }

  #entry(key: string, uid: string): Entry {
    this.#changed.add(key)
    const present = this.#entries.get(key)
    if (present?.uid === uid) return present
    // Whenever there is a new one: so there are never more than clusters, and those that went since the last came.
    const known = new Set([...this.#known()].map((cluster) => keyOf(named(cluster))))
    for (const other of this.#entries.keys()) {
      if (known.has(other)) continue
      this.#entries.delete(other)
      this.#changed.delete(other)
    }
    const entry: Entry = { uid, history: new History(), look: undefined, events: [] }
    this.#entries.set(key, entry)
    return entry
  }
}

function named({ metadata }: KnownCluster): { readonly namespace: string; readonly name: string } {
  return { namespace: metadata.namespace ?? '', name: metadata.name }
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`
}

function byName(a: ClusterView, b: ClusterView): number {
  return keyOf(a) < keyOf(b) ? -1 : 1
}
