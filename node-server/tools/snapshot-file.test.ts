import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { readSnapshotFile, snapshotPieces } from './snapshot-file.ts'
import { temporary } from './testing/tool-run.ts'

const STORE = Buffer.alloc(3 * 1024 * 1024, 'pages')
const DIGEST = createHash('sha256').update(STORE).digest()

async function file(t: TestContext, ...parts: readonly Buffer[]): Promise<string> {
  const path = join(await temporary(t), 'snapshot.db')
  await writeFile(path, Buffer.concat(parts))
  return path
}

test('the store’s bytes are handed over in order, and the digest is checked', async (t) => {
  const path = await file(t, STORE, DIGEST)
  const pieces = await Array.fromAsync(snapshotPieces(path, { skipHashCheck: false }))
  assert.ok(Buffer.concat(pieces).equals(STORE))
  assert.deepEqual(await readSnapshotFile(path, { skipHashCheck: false }), { ok: true, value: STORE.length })
})

test('a byte that was changed is found, unless it is asked not to look', async (t) => {
  const changed = Buffer.from(STORE)
  changed[700_000] = 0
  const path = await file(t, changed, DIGEST)
  const read = await readSnapshotFile(path, { skipHashCheck: false })
  assert.ok(!read.ok)
  assert.match(read.error, new RegExp(`^expected sha256 ${DIGEST.toString('hex')}, got [0-9a-f]{64}`))
  assert.deepEqual(await readSnapshotFile(path, { skipHashCheck: true }), { ok: true, value: STORE.length })
})

test('a file without a digest is taken only when asked to (etcdutl)', async (t) => {
  const path = await file(t, STORE)
  const missing = { ok: false, error: 'snapshot missing hash but --skip-hash-check=false' }
  assert.deepEqual(await readSnapshotFile(path, { skipHashCheck: false }), missing)
  assert.deepEqual(await readSnapshotFile(path, { skipHashCheck: true }), { ok: true, value: STORE.length })
  const empty = await file(t, Buffer.alloc(32))
  assert.deepEqual(await readSnapshotFile(empty, { skipHashCheck: false }), {
    ok: false,
    error: 'the snapshot is empty',
  })
})

test('what is no file has a reason in words', async (t) => {
  const folder = await temporary(t)
  const gone = join(folder, 'gone')
  assert.deepEqual(await readSnapshotFile(gone, { skipHashCheck: true }), {
    ok: false,
    error: `open ${gone}: no such file or directory`,
  })
  const noStore = await readSnapshotFile(folder, { skipHashCheck: true })
  assert.ok(!noStore.ok && noStore.error.startsWith(`${folder} is not a store that can be read: `))
})
