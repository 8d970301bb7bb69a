import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSettings } from './settings.ts'

test('without settings a cluster is brought up here; with both, the given one is used', () => {
  const box = { ok: true, settings: { root: '/r', cache: '/r/.cache/e2e', target: { kind: 'box' } } }
  assert.deepEqual(parseSettings({}, '/r'), box)
  assert.deepEqual(parseSettings({ KUBECONFIG: '/k' }, '/r'), box)
  assert.deepEqual(parseSettings({ KUBECONFIG: '/k', RAFTKV_E2E_IMAGE: 'i:1', RAFTKV_E2E_CACHE: '/c' }, '/r'), {
    ok: true,
    settings: { root: '/r', cache: '/c', target: { kind: 'given', kubeconfig: '/k', image: 'i:1' } },
  })
})

test('an image without a cluster is refused with what to do', () => {
  const parsed = parseSettings({ RAFTKV_E2E_IMAGE: 'i:1' }, '/r')
  assert.match(parsed.ok ? '' : parsed.problem, /set both/)
})
