import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { parseRaftCluster } from '../../api/raft-cluster.ts'
import { templateHash } from './template-hash.ts'

function hashOf(spec: object): string {
  const metadata = { name: 'kv', namespace: 'ns', uid: 'u', resourceVersion: '1' }
  const parsed = parseRaftCluster({ metadata, spec })
  assert(parsed.ok)
  return templateHash(parsed.value)
}

const shortened = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

test('a field that a later release adds is not in the hash while it has its default, so that it restarts nobody', () => {
  const first =
    '{"image":{"pullPolicy":"IfNotPresent","pullSecrets":[]},"options":{"electionTimeoutMs":1000,"heartbeatMs":100},"podTemplate":{},"resources":{}}'
  assert.equal(hashOf({}), shortened(first))
  assert.equal(hashOf({ options: { heartbeatMs: 100 }, image: { pullPolicy: 'IfNotPresent' } }), shortened(first))
})

test('the hash of a spec is the same in every release', () => {
  const spec = {
    image: { tag: '2' },
    resources: { limits: { memory: '1Gi', cpu: '2' } },
    podTemplate: { tolerations: [{ key: 'a', operator: 'Exists' }] },
    options: { heartbeatMs: 50, quotaBytes: 8 },
  }
  const text =
    '{"image":{"pullPolicy":"IfNotPresent","pullSecrets":[],"tag":"2"},"options":{"electionTimeoutMs":1000,"heartbeatMs":50,"quotaBytes":8},"podTemplate":{"tolerations":[{"key":"a","operator":"Exists"}]},"resources":{"limits":{"cpu":"2","memory":"1Gi"}}}'
  assert.equal(hashOf(spec), shortened(text))
})
