/**
 * A process to be killed: applies a log that follows from the index alone, commits as fast as it can, and prints the
 * applied index of each commit that it was told is durable. Its one argument is the store's path.
 */
import { LogIndex, Term } from '../../../../lib/ids.ts'
import { apply } from '../../../mvcc/apply.ts'
import type { StoreCommand } from '../../../mvcc/command.ts'
import { compactSlice } from '../../../mvcc/compaction.ts'
import { Store } from '../../../mvcc/store.ts'
import { CompactionRequest, DeleteRangeRequest, PutRequest } from '../../../proto/generated/etcd/rpc.ts'
import { runsEngine } from '../engine.ts'

/** The entry at an index, in every process. */
export function entryAt(index: number): StoreCommand {
  const key = Buffer.from(`key ${(index * 7919) % 97}`)
  if (index % 50 === 0) {
    const revision = BigInt(Math.max(0, Math.floor(index / 2) - 20))
    return { kind: 'compact', requestId: 0n, request: CompactionRequest.encode({ revision, physical: false }).finish() }
  }
  if (index % 7 === 0) {
    const request = DeleteRangeRequest.encode({ key, rangeEnd: Buffer.alloc(0), prevKv: false }).finish()
    return { kind: 'delete-range', requestId: 0n, request }
  }
  const value = Buffer.alloc(100 + (index % 900), index % 251)
  const request = { key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false }
  return { kind: 'put', requestId: 0n, request: PutRequest.encode(request).finish() }
}

export function applyUpTo(store: Store, index: number): void {
  for (let next = store.appliedIndex + 1; next <= index; next++) {
    apply(store, { index: LogIndex(next), term: Term(1) }, entryAt(next))
  }
}

async function writeUntilKilled(path: string): Promise<never> {
  const store = new Store(await runsEngine().open(path))
  for (;;) {
    applyUpTo(store, store.appliedIndex + 1 + (store.appliedIndex % 13))
    const { cursor } = compactSlice(store, undefined)
    if (cursor !== undefined) compactSlice(store, cursor)
    await store.commit()
    process.stdout.write(`committed ${store.committedIndex}\n`)
  }
}

const [, script, path] = process.argv
if (script === import.meta.filename && path !== undefined) await writeUntilKilled(path)
