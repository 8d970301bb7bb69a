/**
 * etcd's database file into an empty store: every revision that is in it, with leases and alarms; nothing of the members.
 * Revisions stay what they are. Beside the rows the store has a key index, which is made here as the changes themselves
 * would have made it, in the order of their revisions (mvcc/change.ts).
 */
import { assert } from '../../lib/assert.ts'
import { MalformedBytes } from '../../lib/bytes.ts'
import { Revision } from '../../lib/ids.ts'
import type { BoltReader, BoltRow } from '../bolt/reader.ts'
import { alarmKey } from '../mvcc/alarms.ts'
import {
  CONFIG_KEY,
  encodeConfig,
  encodeRole,
  encodeUser,
  MAX_NAME_SIZE_BYTES,
  roleKey,
  userKey,
} from '../mvcc/auth/rows.ts'
import type { Backend, Write } from '../mvcc/backend.ts'
import {
  decodeRecord,
  encodeRecord,
  historyKey,
  isKeyTooLong,
  MAX_KEY_SIZE_BYTES,
  revisionKey,
  tombstoneOf,
  type IndexRecord,
} from '../mvcc/key-index.ts'
import { decodeStoredRevision, encodePut, encodeTombstone, valueOf } from '../mvcc/key-value.ts'
import { encodeTtl, leaseKey, userKeyOf } from '../mvcc/lease.ts'
import { encodeMeta, META_KEY, NEW_STORE_META } from '../mvcc/meta.ts'
import { KeyValue } from '../proto/generated/etcd/kv.ts'
import { AlarmMember, AlarmType } from '../proto/generated/etcd/rpc.ts'
import { decodeConfig, decodeRole, decodeUser } from './auth-rows.ts'
import {
  decodeLease,
  decodeRevision,
  FINISHED_COMPACTION,
  SCHEDULED_COMPACTION,
  STORAGE_VERSION,
  type EtcdRevision,
} from './etcd-rows.ts'

/** The message says which row and why, for a person. */
export class EtcdFileRefused extends Error {
  override readonly name = 'EtcdFileRefused'
}

export interface Imported {
  readonly revision: number
  /** Keys that named a lease which is not in the file: they are kept, without one. */
  readonly keysWithoutTheirLease: number
}

/** What one commit takes. */
const BATCH_WRITES = 20_000
const BATCH_BYTES = 16 * 1024 * 1024
/** The newest minor version of etcd 3 whose files are known. */
const NEWEST_MINOR = 7

/** `store` is empty; everything is committed when it resolves. Throws {@link EtcdFileRefused} and `BoltDamaged`. */
export async function importEtcdFile(file: BoltReader, store: Backend): Promise<Imported> {
  if (!file.buckets.includes('key') || !file.buckets.includes('meta'))
    throw new EtcdFileRefused(`it is no database of etcd: its buckets are ${file.buckets.join(', ') || 'none'}`)
  const state = readState(file)
  const batch = new Batch(store)
  for (const row of file.rows('alarm')) reading('alarm', row, () => addAlarm(batch, row))
  addAuth(batch, file)
  const leases = new Set<bigint>()
  for (const row of file.rows('lease')) {
    reading('lease', row, () => {
      const lease = decodeLease(row.value)
      leases.add(lease.id)
      batch.put('leases', leaseKey(lease.id), encodeTtl(lease.ttlSeconds))
    })
  }
  const keys = new KeyIndexer(batch)
  for (const row of file.rows('key')) {
    reading('key', row, () => keys.add(row))
    if (batch.isFull) await batch.commit()
  }
  await batch.commit()
  const keysWithoutTheirLease = dropLostLeases(store, batch, leases)
  const compactedRevision = Math.max(state.scheduled, state.finished)
  const revision = Revision(Math.max(1, keys.revision, compactedRevision))
  const meta = { ...NEW_STORE_META, revision, compactedRevision, purgedRevision: state.finished }
  batch.put('meta', META_KEY, encodeMeta(meta))
  await batch.commit()
  return { revision, keysWithoutTheirLease }
}

/** What is wrong with a row is told with its bucket and key. */
function reading(bucket: string, { key }: BoltRow, read: () => void): void {
  try {
    read()
  } catch (error) {
    if (!(error instanceof MalformedBytes)) throw error
    throw new EtcdFileRefused(`bucket ${bucket}, row ${key.toString('hex')}: ${error.message}`)
  }
}

interface CompactionState {
  /** -1: never. */
  readonly scheduled: number
  readonly finished: number
}

function readState(file: BoltReader): CompactionState {
  let scheduled = -1
  let finished = -1
  for (const row of file.rows('meta')) {
    const name = row.key.toString('utf8')
    reading('meta', row, () => {
      if (name === SCHEDULED_COMPACTION) scheduled = decodeRevision(row.value).revision
      else if (name === FINISHED_COMPACTION) finished = decodeRevision(row.value).revision
      else if (name === STORAGE_VERSION) checkVersion(row.value.toString('utf8'))
    })
  }
  return { scheduled, finished }
}

function checkVersion(version: string): void {
  const [, minor] = /^3\.(\d{1,4})\./.exec(version) ?? []
  if (version === '' || (minor !== undefined && Number(minor) <= NEWEST_MINOR)) return
  throw new EtcdFileRefused(`it is of etcd ${version}; files up to 3.${NEWEST_MINOR} are known: downgrade etcd first`)
}

function addAlarm(batch: Batch, { key }: BoltRow): void {
  const { memberID, alarm } = decoded(() => AlarmMember.decode(key))
  if (alarm === AlarmType.NOSPACE || alarm === AlarmType.CORRUPT)
    batch.put('alarms', alarmKey({ memberID, alarm }), Buffer.alloc(0))
}

/** Who could do what in etcd can do it here: without these rows everybody could do everything. */
function addAuth(batch: Batch, file: BoltReader): void {
  const config = decodeConfig(file.rows('auth'))
  if (config !== undefined) batch.put('auth', CONFIG_KEY, encodeConfig(config))
  for (const row of file.rows('authUsers'))
    reading('authUsers', row, () => {
      const user = decoded(() => decodeUser(row))
      batch.put('auth', namedKey(userKey(user.name)), encodeUser(user))
    })
  for (const row of file.rows('authRoles'))
    reading('authRoles', row, () => {
      const role = decoded(() => decodeRole(row))
      batch.put('auth', namedKey(roleKey(role.name)), encodeRole(role))
    })
}

function namedKey(key: Buffer): Buffer {
  if (key.length <= MAX_NAME_SIZE_BYTES + 1) return key
  throw new MalformedBytes(`the name is longer than ${MAX_NAME_SIZE_BYTES} bytes`)
}

function decoded<Value>(decode: () => Value): Value {
  try {
    return decode()
  } catch (error) {
    throw new MalformedBytes(`not the message that belongs there: ${String(error)}`)
  }
}

/** Rows of the bucket `key`, in the order of their revisions. */
class KeyIndexer {
  readonly #batch: Batch
  /** Of the last row. */
  revision = 0

  constructor(batch: Batch) {
    this.#batch = batch
  }

  add(row: BoltRow): void {
    const place = decodeRevision(row.key)
    const { revision } = place
    if (revision < this.revision || revision === 0)
      throw new MalformedBytes(`revision ${revision} after ${this.revision}`)
    this.revision = revision
    const keyValue = decoded(() => KeyValue.decode(Buffer.from(row.value)))
    // A restore that raised the revision (etcdutl --bump-revision) has left a row without a key there.
    if (keyValue.key.length === 0) return
    if (isKeyTooLong(keyValue.key))
      throw new EtcdFileRefused(
        `a key of ${keyValue.key.length} bytes at revision ${revision}: at most ${MAX_KEY_SIZE_BYTES} fit`,
      )
    if (place.isTombstone) this.#delete(place, keyValue.key)
    else this.#put(place, keyValue)
  }

  #put({ revision, sub }: EtcdRevision, keyValue: KeyValue): void {
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

  #delete({ revision, sub }: EtcdRevision, key: Uint8Array): void {
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

/** Of live keys only: what a key once was may name a lease that has ended since. How many there are. */
function dropLostLeases(store: Backend, batch: Batch, leases: ReadonlySet<bigint>): number {
  let lost = 0
  for (const { key: row } of store.scan('leaseKeys', Buffer.of(0), undefined)) {
    const lease = Buffer.from(row).readBigInt64BE()
    if (leases.has(lease)) continue
    lost += 1
    const key = Buffer.from(userKeyOf(row))
    const record = batch.current(key)
    assert(record?.lease === lease, 'a key that a lease holds names it')
    const place = revisionKey(record.modRevision, record.sub)
    const stored = store.get('revisions', place)
    assert(stored !== undefined, 'a live key has its revision')
    batch.remove('leaseKeys', Buffer.from(row))
    batch.setCurrent(key, { ...record, lease: 0n })
    batch.put(
      'revisions',
      place,
      encodePut({ ...record, lease: 0n, key, value: valueOf(decodeStoredRevision(stored).keyValue) }),
    )
  }
  return lost
}

/** Writes of one commit to come, and what they make of the keys. */
class Batch {
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
