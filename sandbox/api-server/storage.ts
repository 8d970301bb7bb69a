/**
 * Objects in our own store, laid out as the real API server lays them out in etcd: JSON under
 * `/registry/<group>/<resource>/[<namespace>/]<name>`; a resourceVersion is the revision of the store.
 *
 *   - Every write is one revision and one event; what a watch sees are the store's own events (`mvcc/events.ts`).
 *   - Reads and writes are synchronous: what happens between two awaits is atomic. A write is answered after `durable()`.
 *   - Compaction forgets what is older than the interval; reads from there on are refused as expired.
 *
 * One process, one copy: there is no log to replay, so a commit of the store is the durability (`LogPosition` counts on).
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from '../../lib/assert.ts'
import { LogIndex, Term } from '../../lib/ids.ts'
import { systemClock } from '../../lib/system-clock.ts'
import { compactSlice, compact, type CompactionCursor } from '../../node-server/mvcc/compaction.ts'
import { beginChange, deleteOne, endChange, putKey } from '../../node-server/mvcc/change.ts'
import { readEvents, readPrevious } from '../../node-server/mvcc/events.ts'
import { valueOf } from '../../node-server/mvcc/key-value.ts'
import { MemoryBackend } from '../../node-server/mvcc/memory-backend.ts'
import { readAt, readCurrent, readKeyValue, scanAt, scanCurrent, type IndexedKey } from '../../node-server/mvcc/read.ts'
import { advanceApplied, Store } from '../../node-server/mvcc/store.ts'
import { DeleteRangeRequest, PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { lockDirectory } from '../../node-server/storage/lock.ts'
import { realVolume } from '../../node-server/storage/volume.ts'
import { isObject, metadataOf, type Json, type KubeObject } from './object.ts'

const DATABASE = 'objects'
/** Events that one page of a watch that lags behind holds, about. */
const PAGE_SIZE_BYTES = 1024 * 1024

export interface StoredObject {
  readonly key: string
  /** With its resourceVersion. */
  readonly object: KubeObject
}

export interface ObjectEvent {
  readonly revision: number
  readonly key: string
  /** Undefined of a deletion. */
  readonly object: KubeObject | undefined
  /** What it replaced or removed; undefined when there was none. */
  readonly previous: KubeObject | undefined
}

export interface ObjectEventPage {
  readonly events: readonly ObjectEvent[]
  readonly nextRevision: number
}

interface Shown {
  readonly modRevision: number
  readonly object: KubeObject
}

/** The revision asked for is not there any more, or not yet. */
export type RevisionProblem = { readonly kind: 'compacted' } | { readonly kind: 'future' }

export class ObjectStore {
  readonly #store: Store
  readonly #release: () => Promise<void>
  readonly #listeners = new Set<() => void>()
  #cursor: CompactionCursor | undefined
  /** What lists have shown, by key: one entry an object that is there. */
  readonly #shown = new Map<string, Shown>()
  #isClosed = false

  /** `release` is called once the store is closed. */
  constructor(store: Store, release: () => Promise<void>) {
    this.#store = store
    this.#release = release
  }

  get revision(): number {
    return this.#store.revision
  }

  get compactedRevision(): number {
    return this.#store.compactedRevision
  }

  /** Called after every write. */
  onWrite(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get(key: string): KubeObject | undefined {
    const record = readCurrent(this.#store, Buffer.from(key))
    return record === undefined ? undefined : decode(readKeyValue(this.#store, record), record.modRevision)
  }

  /**
   * In key order, from `start` on and below `end`, as of `revision`; at most `limit`. The objects are frozen: every list that
   * has the same version of one shares it.
   */
  list(start: string, end: string, revision: number, limit = Infinity): readonly StoredObject[] {
    const range = { start: Buffer.from(start), end: Buffer.from(end) }
    const isCurrent = revision >= this.revision
    const keys = isCurrent ? scanCurrent(this.#store, range) : scanAt(this.#store, range, revision)
    const found: StoredObject[] = []
    for (const { key, record } of keys) {
      if (found.length >= limit) break
      const name = Buffer.from(key).toString()
      found.push({ key: name, object: this.#show(name, record, isCurrent) })
    }
    return found
  }

  /** Decoded once a version: a list with a selector looks at many objects for the few that it returns. */
  #show(key: string, record: IndexedKey['record'], isCurrent: boolean): KubeObject {
    const known = this.#shown.get(key)
    if (known?.modRevision === record.modRevision) return known.object
    const object = frozen(decode(readKeyValue(this.#store, record), record.modRevision))
    if (isCurrent) this.#shown.set(key, { modRevision: record.modRevision, object })
    return object
  }

  count(start: string, end: string): number {
    let count = 0
    for (const _ of scanCurrent(this.#store, { start: Buffer.from(start), end: Buffer.from(end) })) count++
    return count
  }

  /** Whether a read at that revision can be answered. */
  refuse(revision: number): RevisionProblem | undefined {
    if (revision > this.revision) return { kind: 'future' }
    return revision < this.compactedRevision ? { kind: 'compacted' } : undefined
  }

  /** Sets the object's resourceVersion to the revision of the write. */
  put(key: string, object: KubeObject): void {
    const metadata = metadataOf(object)
    delete metadata['resourceVersion']
    const value = Buffer.from(JSON.stringify(object))
    this.#write(() => {
      const change = beginChange(this.#store)
      putKey(this.#store, change, PutRequest.create({ key: Buffer.from(key), value }))
      endChange(this.#store, change)
    })
    metadata['resourceVersion'] = String(this.revision)
  }

  /** Returns the revision of the deletion. */
  remove(key: string): number {
    this.#write(() => {
      const change = beginChange(this.#store)
      const { deleted } = deleteOne(this.#store, change, DeleteRangeRequest.create({ key: Buffer.from(key) }))
      assert(deleted === 1, `${key} is removed once`)
      endChange(this.#store, change)
    })
    this.#shown.delete(key)
    return this.revision
  }

  #write(change: () => void): void {
    assert(!this.#isClosed, 'the store is open')
    change()
    this.#advance()
    for (const listener of this.#listeners) listener()
  }

  #advance(): void {
    advanceApplied(this.#store, { index: LogIndex(this.#store.appliedIndex + 1), term: Term(1) })
  }

  /** Resolves once everything written so far survives the end of the process. */
  async durable(): Promise<void> {
    await this.#store.commit()
  }

  /** Events from `fromRevision` on, oldest first; only what is not compacted. */
  events(fromRevision: number): ObjectEventPage {
    const page = readEvents(this.#store, { revision: fromRevision, sub: 0 }, PAGE_SIZE_BYTES)
    const events = page.events.map((event): ObjectEvent => {
      const previous = readPrevious(this.#store, event, Math.max(this.compactedRevision, 0))
      return {
        revision: event.revision,
        key: Buffer.from(event.key, 'latin1').toString(),
        object: event.isDelete ? undefined : decode(event.keyValue, event.revision),
        previous: previous === undefined ? undefined : decode(previous, event.revision - 1),
      }
    })
    assert(page.next.sub === 0, 'each write here is a revision of its own')
    return { events, nextRevision: page.next.revision }
  }

  /** The object as it was at a revision that is not compacted. */
  getAt(key: string, revision: number): KubeObject | undefined {
    const record = readAt(this.#store, Buffer.from(key), revision)
    return record === undefined ? undefined : decode(readKeyValue(this.#store, record), record.modRevision)
  }

  /** Forgets what was replaced at or before `revision`; nothing when that was done already. */
  compact(revision: number): void {
    if (revision <= this.compactedRevision || revision > this.revision) return
    const result = compact(this.#store, revision)
    assert(result.ok, 'a revision that is there and not compacted yet can be compacted')
    this.#advance()
    this.#sweep()
  }

  /** The physical half, a slice at a time, between requests. */
  #sweep(): void {
    if (this.#isClosed) return
    if (!this.#store.isSaturated) this.#cursor = compactSlice(this.#store, this.#cursor).cursor
    if (this.#cursor !== undefined) systemClock.soon(() => this.#sweep())
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#store.close()
    await this.#release()
  }
}

function decode(keyValue: Buffer, modRevision: number): KubeObject {
  const object: unknown = JSON.parse(valueOf(keyValue).toString())
  assert(isObject(object), 'what is stored is an object')
  metadataOf(object)['resourceVersion'] = String(modRevision)
  return object
}

function frozen<Value extends Json>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value
  for (const inner of Object.values(value)) frozen(inner)
  return Object.freeze(value)
}

/** In the directory, or in memory when there is none. Throws when another process uses the directory. */
export async function openObjectStore(directory: string | undefined): Promise<ObjectStore> {
  if (directory === undefined) return new ObjectStore(new Store(new MemoryBackend()), () => Promise.resolve())
  const lock = await lockDirectory(directory)
  if (!lock.ok) throw new Error(lock.error)
  await realVolume.stores.takeOver(directory)
  const store = new Store(await realVolume.stores.open(join(directory, DATABASE)))
  return new ObjectStore(store, () => lock.value.release())
}

/** Throws away what {@link openObjectStore} keeps there; nobody may have it open. */
export async function removeObjectStore(directory: string): Promise<void> {
  for (const name of [DATABASE, `${DATABASE}.db`]) await rm(join(directory, name), { recursive: true, force: true })
}

/** The end of the range of all keys that begin so. */
export function endOfPrefix(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1)
  return prefix.slice(0, -1) + String.fromCharCode(last + 1)
}
