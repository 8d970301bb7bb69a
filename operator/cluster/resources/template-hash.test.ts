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

test('what has its default is not in the hash: a field that a later release adds restarts nobody', () => {
  const nothing = createHash('sha256').update('{}').digest('hex').slice(0, 16)
  assert.equal(hashOf({}), nothing)
  assert.equal(
    hashOf({ options: { heartbeatMs: 100 }, image: { pullPolicy: 'IfNotPresent', pullSecrets: [] } }),
    nothing,
  )
})

test('the hash of a spec is the same in every release', () => {
  const spec = {
    image: { tag: '2' },
    resources: { limits: { memory: '1Gi', cpu: '2' } },
    podTemplate: { tolerations: [{ key: 'a', operator: 'Exists' }] },
    options: { heartbeatMs: 50 },
  }
  const text =
    '{"image":{"tag":"2"},"options":{"heartbeatMs":50},"podTemplate":{"tolerations":[{"key":"a","operator":"Exists"}]},"resources":{"limits":{"cpu":"2","memory":"1Gi"}}}'
  assert.equal(hashOf(spec), createHash('sha256').update(text).digest('hex').slice(0, 16))
})
