import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { ManualClock } from '../lib/testing/manual-clock.ts'
import { registerBackups } from './backup-metrics.ts'
import type { StoredObject } from './kube/object.ts'

const AGE_MS = 12_000

function schedule(name: string, spec: object, time?: string): StoredObject {
  const destination = { s3: { bucket: 'backups' } }
  return {
    apiVersion: 'raftkv.dev/v1alpha1',
    kind: 'ScheduledRaftBackup',
    metadata: { name, namespace: 'ns', uid: name, resourceVersion: '1', creationTimestamp: '2026-11-30T00:00:00Z' },
    spec: { clusterName: 'kv', destination, schedule: '@daily', ...spec },
    status: { changeStream: { place: 's3://backups/', ...(time !== undefined && { revision: 9, time }) } },
  }
}

test('how old what can be restored is, of each schedule that keeps changes, and how often some were lost', async () => {
  const clock = new ManualClock()
  const time = new Date(clock.wallMs() - AGE_MS).toISOString()
  const changeStream = { enabled: true }
  const registry = new Registry()
  const metrics = registerBackups(registry, {
    clock,
    backups: () => [],
    schedules: () => [
      schedule('kept', { changeStream }, time),
      schedule('begun', { changeStream }),
      schedule('suspended', { changeStream, suspend: true }, time),
      schedule('without', {}, time),
    ],
  })
  metrics.known({ namespace: 'ns', name: 'kv' })
  metrics.gap({ namespace: 'ns', name: 'kv' })
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('raftcluster_change_stream'))
  const labels = 'namespace="ns",name="kv"'
  assert.deepEqual(lines, [
    `raftcluster_change_stream_timestamp_seconds{${labels},schedule="kept"} ${Date.parse(time) / 1000}`,
    `raftcluster_change_stream_age_seconds{${labels},schedule="kept"} ${AGE_MS / 1000}`,
    `raftcluster_change_stream_revision{${labels},schedule="kept"} 9`,
    `raftcluster_change_stream_gaps_total{${labels}} 1`,
  ])
})
