import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatId } from '../../lib/ids.ts'
import { deriveClusterId, deriveMemberId } from './member-ids.ts'

test('IDs are those of etcd: a single member with all defaults', () => {
  const id = deriveMemberId(['http://localhost:2380'], 'etcd-cluster')
  assert.equal(formatId(id), '8e9e05c52164694d')
  assert.equal(formatId(deriveClusterId([id])), 'cdf818194e3a8c32')
})

test('IDs are those of etcd: three members', () => {
  const ids = [12380, 22380, 32380].map((port) => deriveMemberId([`http://127.0.0.1:${port}`], 'etcd-cluster-1'))
  assert.deepEqual(ids.map(formatId), ['8211f1d0f64f3269', '91bc3c398fb3c146', 'fd422379fda50e48'])
  assert.equal(formatId(deriveClusterId(ids)), 'ef37ad9dc622a7c4')
  assert.equal(deriveClusterId(ids.toReversed()), deriveClusterId(ids))
})

test('neither the order of URLs nor anything but URLs, token and time counts', () => {
  const urls = ['http://a:1', 'http://b:1']
  assert.equal(deriveMemberId(urls, 't'), deriveMemberId(urls.toReversed(), 't'))
  assert.notEqual(deriveMemberId(urls, 't'), deriveMemberId(urls, 'u'))
  assert.notEqual(deriveMemberId(urls, 't'), deriveMemberId(urls, 't', 1_700_000_000))
})
