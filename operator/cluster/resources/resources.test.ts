import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRaftCluster, type RaftCluster } from '../../api/raft-cluster.ts'
import { contains } from '../contains.ts'
import { adminToken } from './admin-token.ts'
import { ordinalOf, podAdminUrl } from './names.ts'
import { podDisruptionBudget } from './pod-disruption-budget.ts'
import { serviceAccount } from './service-account.ts'
import { clientService, headlessService } from './services.ts'
import { imageOf, memberObjects, statefulSet, type StatefulSetOptions } from './stateful-set.ts'

function raftCluster(spec: object = {}): RaftCluster {
  const parsed = parseRaftCluster({ metadata: { name: 'kv', namespace: 'ns', uid: 'u', resourceVersion: '1' }, spec })
  assert(parsed.ok)
  return parsed.value
}

const OPTIONS: StatefulSetOptions = {
  pods: { start: 0, end: 3 },
  image: 'raftkv:1',
  form: memberObjects,
  formNumber: 1,
  claimTemplate: undefined,
}
const setOf = (spec?: object, options = OPTIONS): object => statefulSet(raftCluster(spec), options)

test('pods start in parallel, are replaced only on delete, and keep their volumes', () => {
  const wanted = {
    replicas: 3,
    ordinals: { start: 0 },
    serviceName: 'kv-headless',
    podManagementPolicy: 'Parallel',
    updateStrategy: { type: 'OnDelete' },
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
  }
  assert(contains(setOf(), { spec: wanted }))
})

test('members meet the restricted pod security standard', () => {
  const pod = {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
      },
    ],
  }
  assert(contains(setOf(), { spec: { template: { spec: pod } } }))
})

test('nothing about membership is in the pod: it starts waiting', () => {
  const text = JSON.stringify(setOf())
  assert(text.includes('--initial-cluster-state=wait'))
  assert(!/--initial-cluster=|cluster-token/.test(text))
})

test('options become flags, and only those that are set', () => {
  const text = JSON.stringify(setOf({ options: { quotaBytes: 8, heartbeatMs: 50 } }))
  assert(text.includes('--quota-backend-bytes=8') && text.includes('--heartbeat-interval=50'))
  assert(!text.includes('--snapshot-count'))
  assert(text.includes('http://$(POD_NAME).kv-headless.$(POD_NAMESPACE).svc.cluster.local:2380'))
})

test('a StatefulSet keeps the claim template it has: it cannot change', () => {
  const text = JSON.stringify(setOf({ storage: { size: '20Gi' } }))
  assert(text.includes('"storage":"20Gi"'))
  const claimTemplate = {
    metadata: { name: 'data', labels: { by: 'an earlier one' } },
    spec: { volumeMode: 'Filesystem' },
  }
  assert(contains(setOf({}, { ...OPTIONS, claimTemplate }), { spec: { volumeClaimTemplates: [claimTemplate] } }))
  const made = setOf({}, { ...OPTIONS, claimTemplate })
  assert(!JSON.stringify(made).includes('"storage":'))
})

test('every object but the volumes is owned by its RaftCluster', () => {
  const cluster = raftCluster()
  const objects = [
    serviceAccount(cluster),
    headlessService(cluster),
    clientService(cluster),
    podDisruptionBudget(cluster, 3),
    statefulSet(cluster, OPTIONS),
    adminToken(cluster, Buffer.alloc(32)),
  ]
  for (const { kind, metadata } of objects.filter((object) => object !== undefined)) {
    assert.deepEqual(
      metadata.ownerReferences?.map(({ uid, controller }) => [uid, controller]),
      [['u', true]],
      kind,
    )
  }
  assert(JSON.stringify(statefulSet(cluster, OPTIONS)).includes('"raftkv.dev/cluster-uid":"u"'))
})

test('the headless Service names members before they are ready; clients see ready ones only', () => {
  assert(contains(headlessService(raftCluster()), { spec: { clusterIP: 'None', publishNotReadyAddresses: true } }))
  assert(!JSON.stringify(clientService(raftCluster())).includes('publishNotReadyAddresses'))
})

test('a drain leaves the quorum of the larger of what is and what is to be', () => {
  const minAvailable = (replicas: number, voters: number): unknown =>
    Reflect.get(Object(podDisruptionBudget(raftCluster({ replicas }), voters)?.['spec']), 'minAvailable')
  assert.deepEqual(
    [minAvailable(3, 1), minAvailable(3, 3), minAvailable(3, 5), minAvailable(5, 3), minAvailable(1, 3)],
    [2, 2, 3, 3, 2],
  )
})

test('who is not ready never holds up a drain, nor does one member alone', () => {
  const budget = podDisruptionBudget(raftCluster(), 3)
  assert(contains(budget, { spec: { unhealthyPodEvictionPolicy: 'AlwaysAllow' } }))
  assert.equal(podDisruptionBudget(raftCluster({ replicas: 1 }), 1), undefined)
  assert.equal(podDisruptionBudget(raftCluster({ pdb: { enabled: false } }), 3), undefined)
})

test('an image is as it was where it is not named, in whole or in part', () => {
  const image = (spec: object, base = 'registry:5000/raftkv:1'): string => imageOf(raftCluster({ image: spec }), base)
  assert.equal(image({}), 'registry:5000/raftkv:1')
  assert.equal(image({ tag: '2' }), 'registry:5000/raftkv:2')
  assert.equal(image({ tag: '2' }, 'registry:5000/raftkv@sha256:00'), 'registry:5000/raftkv:2')
  assert.equal(image({ repository: 'other' }), 'other')
  assert.equal(image({ repository: 'other', tag: '2' }), 'other:2')
})

test('ordinals are read from names as a StatefulSet writes them', () => {
  assert.equal(ordinalOf('kv', 'kv-10'), 10)
  for (const name of ['kv', 'kv-', 'kv-01', 'kv-x', 'kv-1-2', 'other-1', 'kv2-1'])
    assert.equal(ordinalOf('kv', name), undefined)
})

test('an IPv6 address is bracketed', () => {
  assert.equal(podAdminUrl({ podName: '', hostName: '', podIP: 'fd00::1' }), 'http://[fd00::1]:8080')
})
