/**
 * How changes that are read from a file become the rows of a store: as the changes themselves would have made them
 * (mvcc/change.ts), many at a time.
 */
import { MalformedBytes } from '../../lib/bytes.ts'
import type { Backend, Write } from '../mvcc/backend.ts'
import {
  decodeRecord,
  encodeRecord,
  historyKey,
  revisionKey,
  tombstoneOf,
  type IndexRecord,
} from '../mvcc/key-index.ts'
import { encodePut, encodeTombstone } from '../mvcc/key-value.ts'
import { leaseKey } from '../mvcc/lease.ts'
import type { KeyValue } from '../proto/generated/etcd/kv.ts'

/** What one commit takes. */
const BATCH_WRITES = 20_000
const BATCH_BYTES = 16 * 1024 * 1024

export interface ChangePlace {
  readonly revision: number
  readonly sub: number
  readonly isTombstone: boolean
}

/** Changes in the order in which they were made, into a store that has what was before them. */
export class KeyIndexer {
  readonly #batch: Batch
  /** Of the last change. */
  revision: number

  constructor(batch: Batch, revision = 0) {
    this.#batch = batch
    this.revision = revision
  }

  /** Throws `MalformedBytes` for what cannot be. */
  add(place: ChangePlace, keyValue: KeyValue): void {
    this.skipTo(place.revision)
    if (place.isTombstone) this.#delete(place, keyValue.key)
    else this.#put(place, keyValue)
  }

  /** There is nothing before that revision any more. */
  skipTo(revision: number): void {
    if (revision < this.revision || revision === 0)
      throw new MalformedBytes(`revision ${revision} after ${this.revision}`)
    this.revision = revision
  }

  #put({ revision, sub }: ChangePlace, keyValue: KeyValue): void {
    if (Number(keyValue.modRevision) !== revision)
      throw new MalformedBytes(`its KeyValue says revision ${keyValue.modRevision}`)
    const { key, value, lease } = keyValue
    const record: IndexRecord = {
      modRevision: revision,
      sub,
      createRevision: Number(keyValue.createRevision),
      version: Number(keyValue.version),
      lease,
    }
    if (record.version < 1 || record.createRevision < 1 || record.createRevision > revision)
      throw new MalformedBytes(`version ${record.version}, created at ${record.createRevision}`)
    const previous = this.#batch.current(key)
    this.#supersede(key, previous)
    this.#batch.put('revisions', revisionKey(revision, sub), encodePut({ ...record, key, value }))
    this.#batch.setCurrent(key, record)
    this.#moveKey(key, previous?.lease ?? 0n, lease)
  }

  #delete({ revision, sub }: ChangePlace, key: Uint8Array): void {
    const previous = this.#batch.current(key)
    const isOfThisRevision = previous?.modRevision === revision
    if (!isOfThisRevision) this.#supersede(key, previous)
    const tombstone = tombstoneOf(revision, sub, isOfThisRevision ? previous : undefined)
    this.#batch.put('revisions', revisionKey(revision, sub), encodeTombstone(key, revision))
    this.#batch.put('history', historyKey(key, revision), encodeRecord(tombstone))
    if (previous === undefined) return
    this.#batch.setCurrent(key, undefined)
    this.#moveKey(key, previous.lease, 0n)
  }

  #supersede(key: Uint8Array, previous: IndexRecord | undefined): void {
    if (previous !== undefined)
      this.#batch.put('history', historyKey(key, previous.modRevision), encodeRecord(previous))
  }

  #moveKey(key: Uint8Array, from: bigint, to: bigint): void {
    if (from === to) return
    if (from !== 0n) this.#batch.remove('leaseKeys', leaseKey(from, key))
    if (to !== 0n) this.#batch.put('leaseKeys', leaseKey(to, key), Buffer.alloc(0))
  }
}

/** Writes of one commit to come, and what they make of the keys. */
export class Batch {
  readonly #store: Backend
  #writes: Write[] = []
  #sizeBytes = 0
  /** By the key's bytes. */
  readonly #current = new Map<string, IndexRecord | undefined>()

  constructor(store: Backend) {
    this.#store = store
  }

  get isFull(): boolean {
    return this.#writes.length >= BATCH_WRITES || this.#sizeBytes >= BATCH_BYTES
  }

  put(table: Write['table'], key: Uint8Array, value: Uint8Array): void {
    this.#writes.push({ table, key, value })
    this.#sizeBytes += key.length + value.length
  }

  remove(table: Write['table'], key: Uint8Array): void {
    this.#writes.push({ table, key, value: undefined })
  }

  current(key: Uint8Array): IndexRecord | undefined {
    const name = Buffer.from(key).toString('latin1')
    if (this.#current.has(name)) return this.#current.get(name)
    const stored = this.#store.get('current', key)
    return stored === undefined ? undefined : decodeRecord(stored)
  }

  setCurrent(key: Uint8Array, record: IndexRecord | undefined): void {
    this.#current.set(Buffer.from(key).toString('latin1'), record)
    if (record === undefined) this.remove('current', key)
    else this.put('current', key, encodeRecord(record))
  }

  async commit(): Promise<void> {
    await this.#store.commit(this.#writes)
    this.#writes = []
    this.#sizeBytes = 0
    this.#current.clear()
  }
}
