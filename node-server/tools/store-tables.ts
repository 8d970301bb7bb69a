/**
 * Whether the tables of a store agree with one another, read whole and once. Pure over a backend.
 *
 * Every record of the key index names one revision and every revision is named by one record: keys that are live in
 * `current`, what they were before and their tombstones in `history` (see mvcc/key-index.ts). A tombstone also names the
 * put that its own txn made before it.
 */
import { MalformedBytes } from '../../lib/bytes.ts'
import { formatId } from '../../lib/ids.ts'
import type { Backend, Table, TableEntry } from '../mvcc/backend.ts'
import {
  decodeHistoryKey,
  decodeRecord,
  decodeRevisionKey,
  hiddenRevisionKey,
  historyKey,
  isTombstone,
  revisionKey,
  type IndexRecord,
} from '../mvcc/key-index.ts'
import { decodeStoredRevision, headOf } from '../mvcc/key-value.ts'
import { LEASE_ID_SIZE_BYTES, leaseKey } from '../mvcc/lease.ts'
import type { Meta } from '../mvcc/meta.ts'
import { KeyValue } from '../proto/generated/etcd/kv.ts'
import { quoteBytes } from './words.ts'

/** How many problems of a kind are printed; one damaged page can make thousands. */
const MAX_EXAMPLES = 5
const FIRST_KEY = Buffer.of(0)

/** The start of every row of a table; keys are never empty. */
export function rows(backend: Backend, table: Table): Iterable<TableEntry> {
  return backend.scan(table, FIRST_KEY, undefined)
}

export interface TableCounts {
  readonly keys: number
  readonly history: number
  readonly revisions: number
}

export interface TableCheck {
  readonly counts: TableCounts
  readonly problems: readonly string[]
}

/** Counts problems by kind and keeps the first of each. */
export class Problems {
  readonly #examples = new Map<string, string[]>()
  readonly #counts = new Map<string, number>()

  add(kind: string, example: string): void {
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    if (count === 1) this.#examples.set(kind, [example])
    else if (count <= MAX_EXAMPLES) this.#examples.get(kind)?.push(example)
  }

  /** Runs `read`; bytes that nobody can read become a problem. */
  reading(kind: string, where: string, read: () => void): void {
    try {
      read()
    } catch (error) {
      if (!(error instanceof Error)) throw error
      this.add(kind, `${where}: ${error.message}`)
    }
  }

  list(): readonly string[] {
    return [...this.#counts].map(([kind, count]) => {
      const examples = this.#examples.get(kind) ?? []
      const more = count > examples.length ? `; and ${count - examples.length} more` : ''
      return `${kind}: ${examples.join('; ')}${more}`
    })
  }
}

export function checkTables(backend: Backend, meta: Meta): TableCheck {
  const problems = new Problems()
  checkMeta(meta, problems)
  let keys = 0
  for (const { key, value } of rows(backend, 'current')) {
    keys += 1
    const where = quoteBytes(key)
    problems.reading('a record of the key index cannot be read', where, () => {
      const record = decodeRecord(value)
      if (isTombstone(record)) problems.add('a deleted key is listed as live', where)
      else {
        checkRecord(backend, meta, { key, record, where }, problems)
        checkLease(backend, key, record.lease, problems)
      }
    })
  }
  checkLeaseKeys(backend, problems)
  let history = 0
  let hidden = 0
  for (const entry of rows(backend, 'history')) {
    history += 1
    problems.reading('a record of the history cannot be read', quoteBytes(entry.key), () => {
      const { key, revision } = decodeHistoryKey(entry.key)
      const record = decodeRecord(entry.value)
      const where = `${quoteBytes(key)} at revision ${revision}`
      if (record.modRevision !== revision)
        problems.add('a record of the history stands under another revision', `${where} says ${record.modRevision}`)
      checkRecord(backend, meta, { key, record, where }, problems)
      const hiddenKey = hiddenRevisionKey(record)
      if (hiddenKey === undefined) return
      hidden += 1
      if (backend.get('revisions', hiddenKey) === undefined)
        problems.add('the key index names a revision that is not there', `${where}: the put that its txn deleted`)
    })
  }
  const { revisions, passedOver } = checkRevisions(backend, meta, problems)
  if (revisions !== keys + history + hidden + passedOver) {
    problems.add(
      'the numbers do not agree',
      `${revisions} revisions are stored, the key index names ${keys} live and ${history + hidden} superseded ones`,
    )
  }
  return { counts: { keys, history, revisions }, problems: problems.list() }
}

function checkMeta(meta: Meta, problems: Problems): void {
  const { revision, compactedRevision, purgedRevision, appliedIndex, configIndex } = meta
  const kind = 'the state record contradicts itself'
  if (compactedRevision > revision)
    problems.add(kind, `compacted to ${compactedRevision}, but the revision is ${revision}`)
  if (purgedRevision > compactedRevision)
    problems.add(kind, `purged to ${purgedRevision}, compacted to ${compactedRevision}`)
  if (configIndex > appliedIndex)
    problems.add(kind, `configuration of entry ${configIndex}, applied is ${appliedIndex}`)
}

function checkLease(backend: Backend, key: Uint8Array, lease: bigint, problems: Problems): void {
  if (lease === 0n) return
  const where = `${quoteBytes(key)} under lease ${formatId(BigInt.asUintN(64, lease))}`
  if (backend.get('leases', leaseKey(lease)) === undefined) problems.add('a key has a lease that is not there', where)
  if (backend.get('leaseKeys', leaseKey(lease, key)) === undefined)
    problems.add('a lease does not know of its key', where)
}

/** The other way round than `checkLease`: what a lease lists is live and has that lease. */
function checkLeaseKeys(backend: Backend, problems: Problems): void {
  for (const { key } of rows(backend, 'leaseKeys')) {
    problems.reading('a key of a lease cannot be read', quoteBytes(key), () => {
      const lease = Buffer.from(key).readBigInt64BE()
      const record = backend.get('current', key.subarray(LEASE_ID_SIZE_BYTES))
      if (record === undefined || decodeRecord(record).lease !== lease)
        problems.add('a lease lists a key that is not its own', quoteBytes(key.subarray(LEASE_ID_SIZE_BYTES)))
    })
  }
}

interface RevisionCounts {
  readonly revisions: number
  /** Tombstones of keys that their own txn has put again: the index names what the txn did last. */
  readonly passedOver: number
}

function checkRevisions(backend: Backend, meta: Meta, problems: Problems): RevisionCounts {
  let revisions = 0
  let passedOver = 0
  for (const { key, value } of rows(backend, 'revisions')) {
    revisions += 1
    problems.reading('a revision cannot be read', quoteBytes(key), () => {
      const place = decodeRevisionKey(key)
      const { revision, sub } = place
      if (revision > meta.revision)
        problems.add('a revision lies in the future', `${revision}/${sub}, the store is at ${meta.revision}`)
      const stored = decodeStoredRevision(value)
      if (stored.isTombstone && isPassedOver(backend, headOf(stored.keyValue).key, place)) passedOver += 1
    })
  }
  return { revisions, passedOver }
}

function isPassedOver(
  backend: Backend,
  key: Uint8Array,
  { revision, sub }: { readonly revision: number; readonly sub: number },
): boolean {
  const records = [backend.get('history', historyKey(key, revision)), backend.get('current', key)]
  const ofRevision = records
    .flatMap((bytes) => (bytes === undefined ? [] : [decodeRecord(bytes)]))
    .filter(({ modRevision }) => modRevision === revision)
  return ofRevision.length > 0 && ofRevision.every((record) => record.sub > sub)
}

function checkRecord(
  backend: Backend,
  meta: Meta,
  indexed: { readonly key: Uint8Array; readonly record: IndexRecord; readonly where: string },
  problems: Problems,
): void {
  const { key, record, where } = indexed
  if (record.modRevision > meta.revision)
    problems.add('the key index names a revision of the future', `${where}: ${record.modRevision} of ${meta.revision}`)
  const stored = backend.get('revisions', revisionKey(record.modRevision, record.sub))
  const revision = `${where}: revision ${record.modRevision}/${record.sub}`
  if (stored === undefined) return problems.add('the key index names a revision that is not there', revision)
  const { isTombstone: isDeleted, keyValue } = decodeStoredRevision(stored)
  if (isDeleted !== isTombstone(record)) return problems.add('index and revision disagree on a deletion', revision)
  const kv = KeyValue.decode(keyValue)
  if (!kv.key.equals(key))
    return problems.add('a revision is that of another key', `${revision} is of ${quoteBytes(kv.key)}`)
  if (isDeleted) return
  const isSame =
    kv.modRevision === BigInt(record.modRevision) &&
    kv.createRevision === BigInt(record.createRevision) &&
    kv.version === BigInt(record.version) &&
    kv.lease === record.lease
  if (!isSame) problems.add('index and revision disagree', revision)
}

/** For rows outside of the key index: each is given to `read`, which throws on what it cannot use. */
export function checkRows(backend: Backend, table: Table, read: (row: TableEntry) => void): readonly string[] {
  const problems = new Problems()
  for (const row of rows(backend, table)) {
    problems.reading(`a row of the table ${table} cannot be read`, quoteBytes(row.key), () => read(row))
  }
  return problems.list()
}

export function malformed(message: string): never {
  throw new MalformedBytes(message)
}
