import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleChange, sampleCluster } from './objects.ts'

const METADATA = { name: 'demo', namespace: 'default', uid: 'u', resourceVersion: '1' }
const NOW = ['127.78.1.1', '127.78.1.2']

test('in another network the sample cluster gets certificates for its addresses there; what somebody added stays', () => {
  const before = sampleCluster(['127.77.1.1', '127.77.1.2', 'example.com'])
  const change = sampleChange({ ...before, metadata: METADATA }, NOW)
  assert.deepEqual(change, { spec: { tls: { client: { extraNames: ['example.com', ...NOW] } } } })
  assert.equal(sampleChange({ ...sampleCluster(NOW), metadata: METADATA }, NOW), undefined)
  assert.equal(sampleChange({ ...sampleCluster(undefined), metadata: METADATA }, NOW), undefined)
})
