import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../lib/testing/manual-clock.ts'
import type { StoredObject } from './kube/object.ts'
import { createMetrics } from './metrics.ts'

const CLUSTER: StoredObject = {
  apiVersion: 'raftkv.dev/v1alpha1',
  kind: 'RaftCluster',
  metadata: { name: 'db', namespace: 'shop', uid: 'u', resourceVersion: '1' },
  spec: { paused: true },
  status: {
    conditions: [
      { type: 'Ready', status: 'True', reason: 'Ready', lastTransitionTime: '2030-01-01T00:00:00Z' },
      { type: 'QuorumLost', status: 'Unknown', reason: 'NotObserved', lastTransitionTime: '2030-01-01T00:00:00Z' },
    ],
    maintenance: {
      defragmentation: {
        schedule: '@daily UTC',
        dueAfter: '2030-01-01T00:00:00Z',
        run: {
          scheduledAt: '2030-01-01T00:00:00Z',
          startedAt: '2030-01-01T00:00:00Z',
          endedAt: '2030-01-01T00:00:05Z',
          result: 'Succeeded',
        },
      },
    },
    tls: {
      peer: { phase: 'Required', notAfter: '2030-01-01T00:00:10Z', authorityNotAfter: '2030-01-01T00:01:00Z' },
      client: { phase: 'Disabled' },
    },
  },
}

test('a cluster is told by its conditions and the ends of its certificates, and is gone when it is deleted', async () => {
  let clusters: readonly StoredObject[] = [CLUSTER]
  const { registry } = createMetrics({
    clock: new ManualClock(),
    controllers: [],
    clusters: () => clusters,
    lease: undefined,
  })
  const series = async (): Promise<readonly string[]> =>
    (await registry.metrics())
      .split('\n')
      .filter((line) => /^raftcluster_(?:ready|paused|condition|certificate|defragmentation)/.test(line))
  const own = 'namespace="shop",name="db"'
  const endMs = Date.parse('2030-01-01T00:00:00Z') / 1000
  assert.deepEqual((await series()).toSorted(), [
    `raftcluster_certificate_expiry_timestamp_seconds{${own},side="peer",certificate="ca"} ${endMs + 60}`,
    `raftcluster_certificate_expiry_timestamp_seconds{${own},side="peer",certificate="leaf"} ${endMs + 10}`,
    `raftcluster_condition{${own},type="QuorumLost"} -1`,
    `raftcluster_condition{${own},type="Ready"} 1`,
    `raftcluster_defragmentation_timestamp_seconds{${own},result="Succeeded"} ${endMs + 5}`,
    `raftcluster_paused{${own}} 1`,
    `raftcluster_ready{${own}} 1`,
  ])
  clusters = []
  assert.deepEqual(await series(), [])
})

test('a copy that waits for the Lease tells of no cluster: with two copies each would count twice', async () => {
  let isLeader = false
  const lease = { name: 'raftkv-operator', isLeader: () => isLeader }
  const { registry } = createMetrics({ clock: new ManualClock(), controllers: [], clusters: () => [CLUSTER], lease })
  const told = async (): Promise<boolean> => (await registry.metrics()).includes('raftcluster_ready{namespace="shop"')
  assert.equal(await told(), false)
  isLeader = true
  assert.equal(await told(), true)
  isLeader = false
  assert.equal(await told(), false)
})
