import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { etcdSnapshot, KEYS, STATUS } from '../etcd-file/testing/etcd-snapshot.ts'
import { openStore } from '../node/maintenance/snapshots.ts'
import { memberPaths } from '../storage/data-directory.ts'
import { realVolume } from '../storage/volume.ts'
import { temporary, tool } from './testing/tool-run.ts'

const DIGEST_SIZE_BYTES = 32

async function saved(t: TestContext, change: (snapshot: Buffer) => Buffer = (same) => same): Promise<string> {
  const path = join(await temporary(t), 'snapshot.db')
  await writeFile(path, change(etcdSnapshot()))
  return path
}

test('status: of a snapshot that etcd wrote, the numbers that etcdutl prints', async (t) => {
  const { code, out } = await tool('snapshot', 'status', await saved(t), '--write-out', 'json')
  assert.equal(code, 0)
  assert.deepEqual(JSON.parse(out), STATUS)
})

test('restore: a directory made from a snapshot of etcd is sound, and has its keys and revisions', async (t) => {
  const directory = join(await temporary(t), 'data')
  const restored = await tool('snapshot', 'restore', await saved(t), '--data-dir', directory)
  assert.deepEqual([restored.code, restored.err], [0, ''])
  assert.match(restored.out, new RegExp(`${STATUS.totalKey} keys, revision ${STATUS.revision}\\n`))
  const checked = await tool('check', directory)
  assert.deepEqual([checked.code, checked.err], [0, ''])
  const store = await openStore(realVolume, memberPaths(directory))
  assert.equal(store.revision, STATUS.revision)
  assert.equal(store.buffer.count('current', Buffer.of(0), undefined), KEYS.length)
  await store.close()
})

test('restore: revisions are raised when asked', async (t) => {
  const directory = join(await temporary(t), 'data')
  const flags = ['--bump-revision', '1000', '--mark-compacted', '--data-dir', directory]
  assert.equal((await tool('snapshot', 'restore', await saved(t), ...flags)).code, 0)
  const store = await openStore(realVolume, memberPaths(directory))
  assert.deepEqual([store.revision, store.compactedRevision], [STATUS.revision + 1000, STATUS.revision + 1000])
  await store.close()
})

const DAMAGED: readonly (readonly [string, (snapshot: Buffer) => Buffer, RegExp])[] = [
  ['cut off', (snapshot) => snapshot.subarray(0, 20_480), /snapshot missing hash/],
  ['changed', (snapshot) => Buffer.from(snapshot.fill(0x55, 30_000, 30_100)), /expected sha256 [0-9a-f]{64}, got/],
]

for (const [what, change, why] of DAMAGED) {
  test(`a snapshot that was ${what} is refused, and nothing is made of it`, async (t) => {
    const path = await saved(t, change)
    const folder = await temporary(t)
    const restored = await tool('snapshot', 'restore', path, '--data-dir', join(folder, 'data'))
    assert.equal(restored.code, 1)
    assert.match(restored.err, why)
    assert.deepEqual(await readdir(folder), [])
    assert.match((await tool('snapshot', 'status', path)).err, why)
  })
}

test('without its digest a damaged database is refused with the page', async (t) => {
  const withoutDigest = (snapshot: Buffer): Buffer => snapshot.subarray(0, -DIGEST_SIZE_BYTES)
  const wrongPage = await saved(t, (snapshot) => withoutDigest(snapshot.fill(0x55, 2 * 4096)))
  for (const path of [wrongPage, await saved(t, (snapshot) => snapshot.subarray(0, 8192))]) {
    const { code, err } = await tool('snapshot', 'status', path, '--skip-hash-check')
    assert.equal(code, 1)
    assert.match(err, /integrity check failed: (page \d+ calls itself|it ends after 8192 bytes)/)
  }
})
