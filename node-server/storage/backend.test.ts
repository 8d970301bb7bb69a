import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { open } from 'lmdb'
import type { Write } from '../mvcc/backend.ts'
import { testBackend } from '../mvcc/testing/backend-conformance.ts'
import { checkAgainstTwin } from '../mvcc/testing/model-property.ts'
import { hashState } from '../mvcc/hash.ts'
import { MemoryBackend } from '../mvcc/memory-backend.ts'
import { Store } from '../mvcc/store.ts'
import { NotAStore } from './backend-header.ts'
import { LmdbBackend, readSnapshotMeta } from './backend.ts'
import { applyUpTo } from './testing/backend-crash-writer.ts'

testBackend('LMDB', () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-backend-'))
  const path = join(directory, 'store.lmdb')
  return {
    open: () => Promise.resolve(new LmdbBackend(path)),
    reopen: () => Promise.resolve(new LmdbBackend(path)),
    snapshotPath: () => join(directory, 'snapshot.lmdb'),
    openSnapshot: (snapshot) => Promise.resolve(new LmdbBackend(snapshot, { isReadOnly: true })),
    cleanUp: () => Promise.resolve(rmSync(directory, { recursive: true, force: true })),
  }
})

test('any history of commands gives the answers of the naive twin over LMDB too', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-model-'))
  let runs = 0
  await checkAgainstTwin(() => Promise.resolve(new LmdbBackend(join(directory, `${runs++}.lmdb`))), 40)
  rmSync(directory, { recursive: true, force: true })
})

test('killed at any moment, the tables are exactly those of the applied index', { timeout: 30_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-crash-'))
  const path = join(directory, 'store.lmdb')
  const replayed = new Store(new MemoryBackend())
  for (const delayMs of [5, 90, 30]) {
    const reported = await writeAndKill(path, delayMs)
    const store = new Store(new LmdbBackend(path))
    assert.ok(store.appliedIndex >= reported, `told that ${reported} is durable, found ${store.appliedIndex}`)
    assert.ok(store.appliedIndex > 0)
    applyUpTo(replayed, store.appliedIndex)
    assert.equal(hashState(store), hashState(replayed))
    await store.close()
  }
  rmSync(directory, { recursive: true, force: true })
})

/** The last applied index that the process was told is durable. It is killed `delayMs` after its first commit. */
async function writeAndKill(path: string, delayMs: number): Promise<number> {
  const script = join(import.meta.dirname, 'testing', 'backend-crash-writer.ts')
  const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  await once(child.stdout, 'data')
  await new Promise((resolve) => setTimeout(resolve, delayMs))
  child.kill('SIGKILL')
  await once(child, 'close')
  return Number(output.split('\n').at(-2))
}

test('a snapshot says which state it holds and takes the place of a store', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-snapshot-'))
  const source = new Store(new LmdbBackend(join(directory, 'source.lmdb')))
  applyUpTo(source, 120)
  await source.commit()
  const snapshot = join(directory, 'snapshot.lmdb')
  await source.backend.writeSnapshot(snapshot)
  assert.deepEqual(await readSnapshotMeta(snapshot), source.meta)

  const target = join(directory, 'target.lmdb')
  const behind = new Store(new LmdbBackend(target))
  applyUpTo(behind, 7)
  await behind.close()
  renameSync(snapshot, target)
  const installed = new Store(new LmdbBackend(target))
  assert.equal(hashState(installed), hashState(source))
  applyUpTo(installed, 130)
  await installed.close()
  const reopened = new Store(new LmdbBackend(target))
  assert.equal(reopened.appliedIndex, 130)
  await reopened.close()
  await source.close()
  rmSync(directory, { recursive: true, force: true })
})

test('a store from before a table was known is read as if that were empty, and gets it once it is written', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-tables-'))
  const path = join(directory, 'store.lmdb')
  const earlier = open<Uint8Array, Uint8Array>({ path, noSubdir: true, maxDbs: 12, encoding: 'binary' })
  await earlier.openDB('current', { encoding: 'binary', keyEncoding: 'binary' }).put(Buffer.from('a'), Buffer.from('1'))
  await earlier.close()
  const read = async (isReadOnly: boolean, write?: Write): Promise<(string | number | undefined)[]> => {
    const backend = new LmdbBackend(path, { isReadOnly })
    if (write !== undefined) await backend.commit([write])
    const id = Buffer.of(0, 1)
    const seen = [
      Buffer.from(backend.get('current', Buffer.from('a')) ?? []).toString(),
      backend.get('leases', id)?.length,
      [...backend.scan('leases', id, undefined)].length,
      [...backend.scan('leases', id, undefined, { isReverse: true })].length,
      backend.count('leases', id, undefined),
    ]
    assert.ok(backend.size().inUseBytes > 0)
    await backend.close()
    return seen
  }
  assert.deepEqual(await read(true), ['1', undefined, 0, 0, 0])
  assert.deepEqual(await read(false, { table: 'leases', key: Buffer.of(0, 1), value: Buffer.of(7) }), ['1', 1, 1, 1, 1])
  assert.deepEqual(await read(true), ['1', 1, 1, 1, 1])
  rmSync(directory, { recursive: true, force: true })
})

test('a file that is not a store, or whose header is damaged, is refused before the library sees it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-foreign-'))
  const path = join(directory, 'store.lmdb')
  await new LmdbBackend(path).close()
  const good = readFileSync(path)
  const damaged = (offset: number): Buffer => {
    const bytes = Buffer.from(good)
    bytes.writeUInt8(bytes.readUInt8(offset) ^ 0xff, offset)
    return bytes
  }
  const bad: Buffer[] = [Buffer.alloc(65_536), Buffer.from('short'), good.subarray(0, 4096)]
  for (const page of [0, 4096]) for (const offset of [18, 24, 28, 49]) bad.push(damaged(page + offset))
  for (const bytes of bad) {
    writeFileSync(path, bytes)
    assert.throws(() => new LmdbBackend(path), NotAStore)
  }
  writeFileSync(path, '')
  const fresh = new LmdbBackend(path)
  assert.equal(new Store(fresh).revision, 1)
  await fresh.close()
  rmSync(directory, { recursive: true, force: true })
})

test('a copy that was cut off anywhere is told before the library reads behind its end', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-cut-'))
  const [path, copy] = [join(directory, 'store.mdb'), join(directory, 'copy.mdb')]
  const store = new Store(new LmdbBackend(path))
  applyUpTo(store, 40)
  await store.commit()
  await store.backend.writeSnapshot(copy)
  await store.close()
  assert.equal((await readSnapshotMeta(copy)).appliedIndex, 40)
  const whole = readFileSync(copy)
  for (const sizeBytes of [1, 4096, 8192, whole.length >> 1, whole.length - 4096, whole.length - 1]) {
    writeFileSync(copy, whole.subarray(0, sizeBytes))
    await assert.rejects(readSnapshotMeta(copy), NotAStore)
  }
  rmSync(directory, { recursive: true, force: true })
})
