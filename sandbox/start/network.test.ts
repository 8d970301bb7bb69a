import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { claimNetwork } from './network.ts'

const options = { skip: process.platform === 'linux' ? false : 'needs loopback addresses beyond 127.0.0.1' }

test('two sandboxes at once get two networks; each gets its own again when it is free', options, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox-network-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const [one, two] = await Promise.all(['one', 'two'].map(async (name) => claimNetwork(join(directory, name))))
  assert.ok(one?.ok === true && two?.ok === true)
  assert.notEqual(one.value.network.octet, two.value.network.octet)
  const { octet } = two.value.network
  await Promise.all(
    [one, two].map(async ({ value }) => new Promise<void>((resolve) => value.server.close(() => resolve()))),
  )
  const again = await claimNetwork(join(directory, 'two'))
  assert.ok(again.ok)
  again.value.server.close()
  assert.equal(again.value.network.octet, octet)
})
