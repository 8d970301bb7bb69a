import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { KubeConfig } from '@kubernetes/client-node'
import { ManualClock } from '../../lib/testing/manual-clock.ts'
import { KubeConfigConnection } from './connection.ts'

/** A configuration as in a pod: CA and token are files that somebody replaces while we run. */
function mounted(t: { after: (fn: () => void) => void }) {
  const folder = mkdtempSync(join(tmpdir(), 'kube-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const caFile = join(folder, 'ca.crt')
  const tokenFile = join(folder, 'token')
  writeFileSync(caFile, 'CA one')
  writeFileSync(tokenFile, 'token-one\n')
  const load = (): KubeConfig => {
    const config = new KubeConfig()
    config.loadFromClusterAndUser(
      { name: 'c', server: 'https://127.0.0.1:1/prefix/', caFile, skipTLSVerify: false },
      { name: 'u', authProvider: { name: 'tokenFile', config: { tokenFile } } },
    )
    return config
  }
  return { caFile, tokenFile, load }
}

test('the same endpoint while nothing changes: one dispatcher for all calls', async (t) => {
  const { load } = mounted(t)
  const clock = new ManualClock()
  const connection = new KubeConfigConnection(clock, load)
  const [first, second] = await Promise.all([connection.endpoint(), connection.endpoint()])
  assert.equal(first, second)
  assert.equal(first.baseUrl, 'https://127.0.0.1:1/prefix')
  assert.equal(first.headers['authorization'], 'Bearer token-one')
  await clock.advance(11_000)
  assert.equal((await connection.endpoint()).dispatcher, first.dispatcher)
  await connection.close()
})

test('a rotated CA is noticed within seconds, and gets a new dispatcher', async (t) => {
  const { load, caFile } = mounted(t)
  const clock = new ManualClock()
  const connection = new KubeConfigConnection(clock, load)
  const before = await connection.endpoint()
  writeFileSync(caFile, 'CA two')
  await clock.advance(11_000)
  const after = await connection.endpoint()
  assert.notEqual(after.dispatcher, before.dispatcher)
  await connection.close()
})

test('a token that was refused is read afresh at once, on the same connections', async (t) => {
  const { load, tokenFile } = mounted(t)
  const connection = new KubeConfigConnection(new ManualClock(), load)
  const before = await connection.endpoint()
  writeFileSync(tokenFile, 'token-two')
  connection.invalidate()
  const after = await connection.endpoint()
  assert.equal(after.headers['authorization'], 'Bearer token-two')
  assert.equal(after.dispatcher, before.dispatcher)
  await connection.close()
})

test('a configuration that cannot be read for a moment leaves the old one in use', async (t) => {
  const { load } = mounted(t)
  let isThere = true
  const connection = new KubeConfigConnection(new ManualClock(), () => {
    if (!isThere) throw new Error('ENOENT')
    return load()
  })
  isThere = false
  connection.invalidate()
  assert.equal((await connection.endpoint()).headers['authorization'], 'Bearer token-one')
  await connection.close()
})
