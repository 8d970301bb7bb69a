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
import type { Backend } from '../mvcc/backend.ts'
import { revisionKey } from '../mvcc/key-index.ts'
import { decodeStoredRevision, encodePut, valueOf } from '../mvcc/key-value.ts'
import { encodeTtl, leaseKey, userKeyOf } from '../mvcc/lease.ts'
import { encodeMeta, META_KEY, NEW_STORE_META } from '../mvcc/meta.ts'
import { KeyValue } from '../proto/generated/etcd/kv.ts'
import { AlarmMember, AlarmType } from '../proto/generated/etcd/rpc.ts'
import { decodeConfig, decodeRole, decodeUser } from './auth-rows.ts'
import { decodeLease, decodeRevision, FINISHED_COMPACTION, SCHEDULED_COMPACTION, STORAGE_VERSION } from './etcd-rows.ts'
import { Batch, KeyIndexer } from './key-indexer.ts'

/** The message says which row and why, for a person. */
export class EtcdFileRefused extends Error {
  override readonly name = 'EtcdFileRefused'
}

export interface Imported {
  readonly revision: number
  /** Keys that named a lease which is not in the file: they are kept, without one. */
  readonly keysWithoutTheirLease: number
}

/** The newest minor version of etcd 3 whose files are known. */
const NEWEST_MINOR = 7

/** `store` is empty; everything is committed when it resolves. Throws {@link EtcdFileRefused} and `BoltDamaged`. */
export async function importEtcdFile(file: BoltReader, store: Backend): Promise<Imported> {
  if (!file.buckets.includes('key') || !file.buckets.includes('meta'))
    throw new EtcdFileRefused(`it is not a database of etcd: its buckets are ${file.buckets.join(', ') || 'none'}`)
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
    reading('key', row, () => addRow(keys, row))
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

/** What is wrong with a row is reported with its bucket and key. */
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

/** Of the bucket `key`, in the order of their revisions. */
function addRow(keys: KeyIndexer, row: BoltRow): void {
  const place = decodeRevision(row.key)
  const keyValue = decoded(() => KeyValue.decode(Buffer.from(row.value)))
  // A restore that raised the revision (etcdutl --bump-revision) has left a row without a key there.
  if (keyValue.key.length === 0) keys.skipTo(place.revision)
  else keys.add(place, keyValue)
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
