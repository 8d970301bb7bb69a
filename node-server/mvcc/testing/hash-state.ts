/** A digest of the replicated state, equal on members that applied the same entries, however far each one's disk is. */
import { createHash, type Hash } from 'node:crypto'
import { ByteWriter } from '../../../lib/bytes.ts'
import type { Table } from '../backend.ts'
import { revisionKey } from '../key-index.ts'
import { readKeyValue, scanAt } from '../read.ts'
import type { Store } from '../store.ts'

const FIRST_KEY = Buffer.of(0)
/** The rest of the tables that are equal everywhere. */
const ADMINISTRATION: readonly Table[] = [
  'members',
  'operations',
  'operationOrder',
  'configHistory',
  'alarms',
  'leases',
  'leaseKeys',
  'auth',
]

/**
 * Covers what any allowed read can see: the keys at the compacted revision, every change since, the administration, the
 * applied index. Reads the whole store: for tests, and for comparing members that stand still.
 */
export function hashState(store: Store): string {
  const hash = createHash('sha256')
  const { appliedIndex, appliedTerm, revision, compactedRevision, configIndex, configuration } = store.meta
  for (const number of [appliedIndex, appliedTerm, revision, compactedRevision, configIndex]) add(hash, String(number))
  add(hash, configuration)
  const base = Math.max(compactedRevision, 1)
  for (const { record } of scanAt(store, { start: FIRST_KEY, end: undefined }, base))
    add(hash, readKeyValue(store, record))
  for (const { key, value } of store.buffer.scan('revisions', revisionKey(base + 1, 0), undefined)) {
    add(hash, key)
    add(hash, value)
  }
  for (const table of ADMINISTRATION) {
    // A table that came later counts from its first row on: without users the digest is that of earlier versions.
    if (table === 'auth' && store.buffer.count(table, FIRST_KEY, undefined) === 0) continue
    add(hash, table)
    for (const { key, value } of store.buffer.scan(table, FIRST_KEY, undefined)) {
      add(hash, key)
      add(hash, value)
    }
  }
  return hash.digest('hex')
}

/** With its length, so that two lists of parts never give the same bytes. */
function add(hash: Hash, part: Uint8Array | string): void {
  hash.update(new ByteWriter(part.length + 8).bytes(typeof part === 'string' ? Buffer.from(part) : part).finish())
}
