/** A store's way into another cluster: keys, leases and alarms stay, what belonged to the old cluster's members goes. */
import { assert } from '../../lib/assert.ts'
import { LogIndex, Revision, Term } from '../../lib/ids.ts'
import type { Backend, Table, Write } from './backend.ts'
import { encodeMeta, META_KEY, readMeta, type Meta } from './meta.ts'

/** Members (the removed ones too), results of operations, configurations: all named by the old cluster's IDs and indexes. */
const OF_THE_OLD_CLUSTER: readonly Table[] = ['members', 'operations', 'operationOrder', 'configHistory']
const FIRST_KEY = Buffer.of(0)

/** Revisions are safe integers, and the store needs room to count on. */
export const MAX_BUMP_REVISIONS = 2 ** 52

export interface NewClusterOptions {
  /** Added to the revision; everything up to the new one counts as compacted then. 0: nothing of that. */
  readonly bumpRevisions: number
}

/**
 * Afterwards the store is before its first entry: the log of the new cluster begins at index 1. With a bump no revision
 * of the new cluster is one that a client of the old one may have seen and that meant something else; old watchers learn
 * by the compaction that they must read again (etcdutl: `--bump-revision`, `--mark-compacted`).
 */
export async function prepareForNewCluster(backend: Backend, { bumpRevisions }: NewClusterOptions): Promise<void> {
  assert(bumpRevisions >= 0 && bumpRevisions <= MAX_BUMP_REVISIONS, () => `a bump by ${bumpRevisions} revisions`)
  const removals = OF_THE_OLD_CLUSTER.flatMap((table) =>
    Array.from(backend.scan(table, FIRST_KEY, undefined), ({ key }): Write => ({ table, key, value: undefined })),
  )
  const before = readMeta(backend)
  const revision = Revision(before.revision + bumpRevisions)
  const meta: Meta = {
    ...before,
    appliedIndex: LogIndex(0),
    appliedTerm: Term(0),
    revision,
    compactedRevision: bumpRevisions > 0 ? revision : before.compactedRevision,
    configIndex: LogIndex(0),
    configuration: Buffer.alloc(0),
  }
  await backend.commit([...removals, { table: 'meta', key: META_KEY, value: encodeMeta(meta) }])
}
