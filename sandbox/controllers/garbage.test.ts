import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Metadata, OwnerReference, StoredObject } from '../client/object.ts'
import { judge, type Verdict } from './garbage.ts'

function object(name: string, metadata: Partial<Metadata> = {}): StoredObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, uid: name, resourceVersion: '1', ...metadata } }
}

function owner(name: string, blockOwnerDeletion = false): OwnerReference {
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', name, uid: name, controller: true, blockOwnerDeletion }
}

function judged(
  subject: StoredObject,
  owners: readonly StoredObject[],
  dependents: readonly StoredObject[] = [],
): Verdict {
  const ownerOf = ({ uid }: OwnerReference): StoredObject | undefined =>
    owners.find(({ metadata }) => metadata.uid === uid)
  return judge(subject, { ownerOf, dependents })
}

const deleting = { deletionTimestamp: '2026-01-01T00:00:00Z' }
const foreground = { ...deleting, finalizers: ['foregroundDeletion'] }

test('without owners it stays', () => assert.equal(judged(object('a'), []).kind, 'keep'))

test('with an owner it stays, without one left it goes', () => {
  const owned = object('a', { ownerReferences: [owner('o')] })
  assert.equal(judged(owned, [object('o')]).kind, 'keep')
  assert.deepEqual(judged(owned, []), { kind: 'delete', propagationPolicy: 'Background' })
})

test('of two owners one may go: its reference goes too', () => {
  const owned = object('a', { ownerReferences: [owner('o'), owner('p')] })
  assert.deepEqual(judged(owned, [object('p')]), { kind: 'set-owners', owners: [owner('p')] })
})

test('an owner that is deleted in the background keeps its dependents until it is gone', () => {
  const owned = object('a', { ownerReferences: [owner('o', true)] })
  assert.equal(judged(owned, [object('o', deleting)]).kind, 'keep')
})

test('an owner that is deleted in the foreground waits for those that block it, so they go', () => {
  const waiting = object('o', foreground)
  const blocking = object('a', { ownerReferences: [owner('o', true)] })
  assert.equal(judged(blocking, [waiting]).kind, 'delete')
  assert.equal(judged(object('a', { ownerReferences: [owner('o')] }), [waiting]).kind, 'keep')
  assert.equal(judged(waiting, [], [blocking]).kind, 'keep')
  assert.deepEqual(judged(waiting, []), { kind: 'remove-finalizer', finalizer: 'foregroundDeletion' })
})

test('an owner that orphans lets its dependents go first', () => {
  const orphaning = object('o', { ...deleting, finalizers: ['orphan'] })
  const dependent = object('a', { ownerReferences: [owner('o')] })
  assert.deepEqual(judged(orphaning, [], [dependent]), { kind: 'orphan-dependents', dependents: [dependent] })
  assert.deepEqual(judged(orphaning, []), { kind: 'remove-finalizer', finalizer: 'orphan' })
})

test('what is being deleted already is not deleted again', () => {
  assert.equal(judged(object('a', { ...deleting, ownerReferences: [owner('o')] }), []).kind, 'keep')
})
