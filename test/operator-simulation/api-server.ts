/**
 * An API server in memory: objects with resourceVersion, generation and UID, server-side apply, preconditions,
 * finalizers, graceful deletion, and watches that resume from a version or are told that it is too old. It acts at once;
 * what is slow or fails on the way is the business of api-transport.ts.
 *
 * Source: the Kubernetes API conventions; only what the operator relies on.
 */
import { applied } from './apply.ts'
import { at, isEqual, type Json, numberAt } from './json.ts'

export const NAMESPACE = 'ns'

/** What the operator and the controllers of this world keep; all in one namespace. */
export interface StoredObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Meta
  readonly [field: string]: unknown
}

export interface Meta {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  readonly finalizers?: readonly string[]
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
}

export interface OwnerReference {
  readonly uid: string
  readonly [field: string]: unknown
}

export interface NewObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Partial<Meta> & { readonly name: string }
  readonly [field: string]: unknown
}

export type Answer =
  | { readonly ok: true; readonly object: StoredObject }
  | { readonly ok: false; readonly status: number; readonly reason: string; readonly message: string }

export interface WatchedEvent {
  readonly version: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: StoredObject
  /** The lines that watches send, of the whole object and of its metadata; made once for all watches. */
  line?: Buffer
  metadataLine?: Buffer
}

export interface Watcher {
  readonly kind: string
  readonly selector: Selector
  readonly onEvent: (event: WatchedEvent) => void
}

export type Selector = ReadonlyMap<string, string>

/** Events that are kept for watches that resume. */
const HISTORY = 500
const CACHE_LAG_MS = 2000

export class ApiServer {
  readonly #objects = new Map<string, StoredObject>()
  /** What each object was before its last change. */
  readonly #cache = new Map<string, { readonly object: StoredObject | undefined; readonly changedMs: number }>()
  readonly #lastApplied = new Map<string, Json>()
  readonly #watchers = new Set<Watcher>()
  #history: WatchedEvent[] = []
  #version = 1000
  #uids = 0
  /** Below it no watch can start. */
  #compacted = 1000
  readonly #wallMs: () => number
  /** After every change, also of those by this world's controllers. */
  onChange: (before: StoredObject | undefined, after: StoredObject | undefined) => void = () => undefined

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs
  }

  get version(): number {
    return this.#version
  }

  get(kind: string, name: string): StoredObject | undefined {
    return this.#objects.get(`${kind}/${name}`)
  }

  /** As a watch cache that lags behind tells it. */
  cached(kind: string, name: string): StoredObject | undefined {
    const before = this.#cache.get(`${kind}/${name}`)
    if (before !== undefined && this.#wallMs() - before.changedMs < CACHE_LAG_MS) return before.object
    return this.get(kind, name)
  }

  /** In order of names, as from etcd. */
  list(kind: string, selector: Selector = new Map()): readonly StoredObject[] {
    const found: StoredObject[] = []
    for (const object of this.#objects.values())
      if (object.kind === kind && matches(object, selector)) found.push(object)
    return found.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  }

  all(): IterableIterator<StoredObject> {
    return this.#objects.values()
  }

  /** Undefined when that version is too old. */
  watch(watcher: Watcher, fromVersion: number): (() => void) | undefined {
    if (fromVersion < this.#compacted) return undefined
    for (const event of this.#history) if (event.version > fromVersion) tell(watcher, event)
    this.#watchers.add(watcher)
    return () => void this.#watchers.delete(watcher)
  }

  /** What a watch missed until now cannot be read any more. */
  compact(): void {
    this.#history = []
    this.#compacted = this.#version
  }

  create(object: NewObject): Answer {
    const { kind, metadata } = object
    if (this.get(kind, metadata.name) !== undefined) return failed(409, 'AlreadyExists', `${metadata.name} exists`)
    const identity = {
      ...metadata,
      namespace: NAMESPACE,
      uid: `uid-${++this.#uids}`,
      generation: 1,
      creationTimestamp: this.#now(),
    }
    return { ok: true, object: this.#store(undefined, { ...object, metadata: { ...identity, resourceVersion: '' } }) }
  }

  apply(object: NewObject, manager: string): Answer {
    const { kind, metadata } = object
    const present = this.get(kind, metadata.name)
    const key = `${kind}/${metadata.name}/${manager}`
    if (present === undefined) {
      const { resourceVersion: _, ...rest } = metadata
      this.#lastApplied.set(key, object)
      return metadata.resourceVersion === undefined
        ? this.create({ ...object, metadata: { ...rest, name: metadata.name } })
        : failed(409, 'Conflict', 'it is gone')
    }
    if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== present.metadata.resourceVersion)
      return failed(409, 'Conflict', 'the object has been modified')
    const { metadata: meta, ...fields } = object
    const { metadata: own, ...rest } = present
    const before = this.#lastApplied.get(key)
    const { metadata: _, ...fieldsBefore } = before ?? {}
    const next = applied(rest, before === undefined ? undefined : fieldsBefore, fields)
    const labels = { ...own.labels, ...meta.labels }
    const annotations = meta.annotations === undefined ? own.annotations : { ...own.annotations, ...meta.annotations }
    const ownerReferences = meta.ownerReferences ?? own.ownerReferences
    this.#lastApplied.set(key, object)
    return this.#update(present, {
      ...next,
      apiVersion: present.apiVersion,
      kind,
      metadata: {
        ...own,
        labels,
        ...(annotations !== undefined && { annotations }),
        ...(ownerReferences !== undefined && { ownerReferences }),
      },
    })
  }

  /** A JSON merge patch that removes no field. */
  merge(object: NewObject): Answer {
    const { metadata, ...changes } = object
    const present = this.get(object.kind, metadata.name)
    if (present === undefined) return failed(404, 'NotFound', `${metadata.name} is not there`)
    const { metadata: own, ...fields } = present
    if (metadata.uid !== undefined && metadata.uid !== own.uid)
      return failed(409, 'Conflict', 'the object has another UID')
    const { annotations: more, ...meta } = metadata
    const annotations = more === undefined ? own.annotations : { ...own.annotations, ...more }
    return this.replace({
      ...applied(fields, undefined, changes),
      apiVersion: present.apiVersion,
      kind: present.kind,
      metadata: { ...meta, ...(annotations !== undefined && { annotations }) },
    })
  }

  applyStatus(object: NewObject): Answer {
    const present = this.get(object.kind, object.metadata.name)
    if (present === undefined) return failed(404, 'NotFound', `${object.metadata.name} is not there`)
    const { resourceVersion } = object.metadata
    if (resourceVersion !== undefined && resourceVersion !== present.metadata.resourceVersion)
      return failed(409, 'Conflict', 'the object has been modified')
    return this.#update(present, { ...present, status: object['status'] })
  }

  /** Everything but status; the version must be that of the object, when one is given. */
  replace(object: NewObject): Answer {
    const present = this.get(object.kind, object.metadata.name)
    if (present === undefined) return failed(404, 'NotFound', `${object.metadata.name} is not there`)
    const { resourceVersion } = object.metadata
    if (resourceVersion !== undefined && resourceVersion !== present.metadata.resourceVersion)
      return failed(409, 'Conflict', 'the object has been modified')
    return this.#update(present, { ...present, ...object, metadata: { ...present.metadata, ...object.metadata } })
  }

  /** By uid, when one is given; success also when it is not there. */
  delete(kind: string, name: string, uid?: string): Answer {
    const present = this.get(kind, name)
    if (present === undefined) return failed(404, 'NotFound', `${name} is not there`)
    if (uid !== undefined && uid !== present.metadata.uid) return failed(409, 'Conflict', 'another UID')
    const isGraceful = ['Pod', 'PersistentVolumeClaim'].includes(kind) || (present.metadata.finalizers ?? []).length > 0
    if (!isGraceful) return { ok: true, object: this.#remove(present) }
    if (present.metadata.deletionTimestamp !== undefined) return { ok: true, object: present }
    const metadata = { ...present.metadata, deletionTimestamp: this.#now() }
    return { ok: true, object: this.#store(present, { ...present, metadata }) }
  }

  /** At once, whatever stands in its way. */
  remove(object: StoredObject): void {
    const present = this.get(object.kind, object.metadata.name)
    if (present !== undefined && present.metadata.uid === object.metadata.uid) this.#remove(present)
  }

  #update(present: StoredObject, next: StoredObject): Answer {
    if (isEqual(present, next)) return { ok: true, object: present }
    const isWish = !isEqual(present['spec'], next['spec'])
    const generation = present.metadata.generation + Number(isWish)
    const stored = { ...next, metadata: { ...next.metadata, generation, uid: present.metadata.uid } }
    const isFree = next.metadata.deletionTimestamp !== undefined && (next.metadata.finalizers ?? []).length === 0
    if (isFree && present.kind === 'RaftCluster') return { ok: true, object: this.#remove(stored) }
    return { ok: true, object: this.#store(present, stored) }
  }

  #store(before: StoredObject | undefined, object: StoredObject): StoredObject {
    this.#cache.set(`${object.kind}/${object.metadata.name}`, { object: before, changedMs: this.#wallMs() })
    const version = ++this.#version
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } }
    this.#objects.set(`${object.kind}/${object.metadata.name}`, stored)
    this.#tell({ version, type: before === undefined ? 'ADDED' : 'MODIFIED', object: stored })
    this.onChange(before, stored)
    return stored
  }

  #remove(object: StoredObject): StoredObject {
    const version = ++this.#version
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } }
    this.#objects.delete(`${object.kind}/${object.metadata.name}`)
    for (const key of this.#lastApplied.keys())
      if (key.startsWith(`${object.kind}/${object.metadata.name}/`)) this.#lastApplied.delete(key)
    this.#tell({ version, type: 'DELETED', object: last })
    this.onChange(object, undefined)
    return last
  }

  #tell(event: WatchedEvent): void {
    this.#history.push(event)
    if (this.#history.length > 2 * HISTORY) {
      this.#history = this.#history.slice(-HISTORY)
      this.#compacted = (this.#history[0]?.version ?? this.#version) - 1
    }
    for (const watcher of this.#watchers) tell(watcher, event)
  }

  #now(): string {
    return new Date(this.#wallMs()).toISOString().replace(/\.\d+Z$/, 'Z')
  }
}

function tell({ kind, selector, onEvent }: Watcher, event: WatchedEvent): void {
  if (event.object.kind === kind && matches(event.object, selector)) onEvent(event)
}

function matches(object: StoredObject, selector: Selector): boolean {
  for (const [name, value] of selector) if (object.metadata.labels?.[name] !== value) return false
  return true
}

export function parseSelector(text: string | undefined): Selector {
  const pairs = (text ?? '').split(',').filter((part) => part !== '')
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
}

function failed(status: number, reason: string, message: string): Answer {
  return { ok: false, status, reason, message }
}

export function replicasOf(object: StoredObject | undefined): number {
  return numberAt(at(object, 'spec'), 'replicas')
}
