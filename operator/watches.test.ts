import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectMeta, StoredObject } from './kube/object.ts'
import { changedCluster, ownerKeyOf } from './watches.ts'

const object = (metadata: Partial<ObjectMeta>, status?: unknown): StoredObject => ({
  apiVersion: 'v1',
  kind: 'Any',
  metadata: { name: 'db', namespace: 'ns', uid: 'u', resourceVersion: '1', ...metadata },
  status,
})

test('an object is about the RaftCluster of its label, in its own namespace', () => {
  assert.equal(ownerKeyOf(object({ name: 'db-0', labels: { 'raftkv.dev/cluster': 'db' } })), 'ns/db')
  assert.equal(ownerKeyOf(object({ labels: { other: 'x' } })), undefined)
  assert.equal(ownerKeyOf(object({})), undefined)
})

test('what people do to a RaftCluster is news; what the operator writes into its status is not', () => {
  const before = object({ generation: 1 }, { commitIndex: 5 })
  const updated = (metadata: Partial<ObjectMeta>, status?: unknown) =>
    changedCluster({ kind: 'updated', previous: before, object: object(metadata, status) })
  assert.equal(updated({ generation: 1, resourceVersion: '2' }, { commitIndex: 900 }), undefined)
  assert.equal(updated({ generation: 2 }), 'ns/db')
  assert.equal(updated({ generation: 1, deletionTimestamp: '2030-01-01T00:00:00Z' }), 'ns/db')
  assert.equal(updated({ generation: 1, annotations: { 'raftkv.dev/restartedAt': 'now' } }), 'ns/db')
  assert.equal(changedCluster({ kind: 'added', object: before }), 'ns/db')
  assert.equal(changedCluster({ kind: 'deleted', object: before }), 'ns/db')
})
