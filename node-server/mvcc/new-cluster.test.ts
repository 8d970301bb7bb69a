import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, MemberId } from '../../lib/ids.ts'
import { listMembers, putMember, recordOperation, removeMember, setConfiguration } from './members.ts'
import { MemoryBackend } from './memory-backend.ts'
import { prepareForNewCluster } from './new-cluster.ts'
import { range } from './range.ts'
import { advanceApplied, Store } from './store.ts'
import { deleteRange, nextPosition, put, rangeRequest } from './testing/requests.ts'

async function oldStore(): Promise<MemoryBackend> {
  const backend = new MemoryBackend()
  const store = new Store(backend)
  put(store, 'kept', 'value')
  put(store, 'gone', '')
  deleteRange(store, 'gone')
  const attributes = { name: 'old', peerURLs: ['http://a:1'], clientURLs: [], isLearner: false }
  putMember(store, { id: MemberId(1n), ...attributes })
  removeMember(store, MemberId(2n))
  recordOperation(store, LogIndex(4), 'grow', Buffer.from('{}'))
  setConfiguration(store, { configIndex: LogIndex(4), configuration: Buffer.from('{}'), historyRow: Buffer.from('{}') })
  advanceApplied(store, nextPosition(store))
  await store.commit()
  return backend
}

test('keys stay with their revisions; members, operations and configurations of the old cluster are gone', async () => {
  const backend = await oldStore()
  const before = new Store(backend)
  await prepareForNewCluster(backend, { bumpRevisions: 0 })
  const store = new Store(backend)
  assert.deepEqual(store.meta, {
    ...before.meta,
    appliedIndex: 0,
    appliedTerm: 0,
    configIndex: 0,
    configuration: Buffer.alloc(0),
  })
  assert.equal(store.revision, 4)
  assert.deepEqual(listMembers(store), [])
  for (const table of ['members', 'operations', 'operationOrder', 'configHistory'] as const)
    assert.equal(backend.count(table, Buffer.of(0), undefined), 0)
  const kept = range(store, rangeRequest('kept'))
  assert.ok(kept.ok && kept.value.count === 1)
  assert.ok(range(store, rangeRequest('gone', '', { revision: 3n })).ok)
})

test('with a bump the next revision is beyond all that clients have seen, and what was before is compacted', async () => {
  const backend = await oldStore()
  await prepareForNewCluster(backend, { bumpRevisions: 1000 })
  const store = new Store(backend)
  assert.deepEqual([store.revision, store.compactedRevision], [1004, 1004])
  assert.deepEqual(range(store, rangeRequest('kept', '', { revision: 4n })), {
    ok: false,
    error: { kind: 'compacted', revision: 1004 },
  })
  assert.ok(range(store, rangeRequest('kept', '', { revision: 1004n })).ok)
  assert.ok(put(store, 'next', '').ok)
  assert.equal(store.revision, 1005)
})
