import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../client/object.ts'
import { claimOwners, newClaims, newPod } from './build.ts'
import { statefulSetOf } from './model.ts'
import { chooseRevision, surplusRevisions } from './revision.ts'

const OBJECT: StoredObject = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 's', namespace: 'n', uid: 'set-uid', resourceVersion: '1' },
  spec: {
    serviceName: 'peers',
    selector: { matchLabels: { app: 'x' } },
    template: {
      metadata: { labels: { app: 'x', extra: 'y' } },
      spec: { containers: [{ name: 'c' }], volumes: [{ name: 'data', emptyDir: {} }, { name: 'other' }] },
    },
    volumeClaimTemplates: [
      { metadata: { name: 'data', labels: { own: 'z' } }, spec: { accessModes: ['ReadWriteOnce'] } },
    ],
  },
}
const set = statefulSetOf(OBJECT)

function revisionObject(object: { readonly metadata: { readonly name?: string } }, revision: number): StoredObject {
  const metadata = { name: object.metadata.name ?? '', uid: `r${revision}`, resourceVersion: '1' }
  return { ...object, apiVersion: 'apps/v1', kind: 'ControllerRevision', metadata, revision }
}

test('a pod has its name, ordinal, revision, host name, subdomain and owner', () => {
  const { metadata, spec } = newPod(set, set.spec.template, 'r1', 2)
  assert.equal(metadata.name, 's-2')
  assert.deepEqual(metadata.labels, {
    app: 'x',
    extra: 'y',
    'statefulset.kubernetes.io/pod-name': 's-2',
    'apps.kubernetes.io/pod-index': '2',
    'controller-revision-hash': 'r1',
  })
  assert.equal(metadata.ownerReferences?.[0]?.uid, 'set-uid')
  assert.deepEqual(spec, {
    containers: [{ name: 'c' }],
    hostname: 's-2',
    subdomain: 'peers',
    // The claim takes the place of a volume of its name.
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-s-2' } }, { name: 'other' }],
  })
})

test('a claim is called <template>-<pod>, has the selector’s labels, and no owner where volumes are retained', () => {
  const [claim] = newClaims(set, 0)
  assert.equal(claim?.metadata.name, 'data-s-0')
  assert.deepEqual(claim?.metadata.labels, { own: 'z', app: 'x' })
  assert.equal(claim?.metadata.ownerReferences, undefined)
})

test('owners of claims follow the retention policy', () => {
  const pod: StoredObject = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 's-4', uid: 'pod', resourceVersion: '1' },
  }
  const owners = (whenDeleted: string, whenScaled: string, condemned?: StoredObject): readonly string[] => {
    const spec = { ...(OBJECT['spec'] as object), persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled } }
    return claimOwners(statefulSetOf({ ...OBJECT, spec }), condemned).map(({ uid }) => uid)
  }
  assert.deepEqual(owners('Retain', 'Retain', pod), [])
  assert.deepEqual(owners('Delete', 'Retain', pod), ['set-uid'])
  assert.deepEqual(owners('Retain', 'Delete', pod), ['pod'])
  assert.deepEqual(owners('Retain', 'Delete'), [])
  assert.deepEqual(owners('Delete', 'Delete'), ['set-uid'])
})

test('the same template is the same revision; an older one becomes the newest again', () => {
  const first = chooseRevision(set, [])
  assert.ok(first.kind === 'create')
  const stored = revisionObject(first.object, 1)
  assert.deepEqual(chooseRevision(set, [stored]).kind, 'known')
  const changed = statefulSetOf({
    ...OBJECT,
    spec: { ...(OBJECT['spec'] as object), template: { spec: { containers: [{ name: 'd' }] } } },
  })
  const second = chooseRevision(changed, [stored])
  assert.ok(second.kind === 'create')
  assert.notEqual(second.object.metadata.name, first.object.metadata.name)
  assert.equal(second.object['revision'], 2)
  const back = chooseRevision(set, [stored, revisionObject(second.object, 2)])
  assert.ok(back.kind === 'renumber')
  assert.equal(back.revision, 3)
})

test('revisions beyond the limit go, the oldest first, those in use never', () => {
  const revisions = [3, 1, 2, 4].map((revision) => revisionObject({ metadata: { name: `r${revision}` } }, revision))
  const limited = statefulSetOf({ ...OBJECT, spec: { ...(OBJECT['spec'] as object), revisionHistoryLimit: 1 } })
  const surplus = surplusRevisions(limited, revisions, new Set(['r1', 'r4']))
  assert.deepEqual(
    surplus.map(({ metadata }) => metadata.name),
    ['r2'],
  )
})
