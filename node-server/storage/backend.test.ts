import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { open } from 'lmdb'
import type { Write } from '../mvcc/backend.ts'
import { testBackend } from '../mvcc/testing/backend-conformance.ts'
import { checkAgainstTwin } from '../mvcc/testing/model-property.ts'
import { hashState } from '../mvcc/hash.ts'
import { MemoryBackend } from '../mvcc/memory-backend.ts'
import { readMeta } from '../mvcc/meta.ts'
import { Store } from '../mvcc/store.ts'
import { NotAStore } from './backend-header.ts'
import { LmdbBackend, lmdbEngine } from './backend.ts'
import { applyUpTo } from './testing/backend-crash-writer.ts'

testBackend('LMDB', () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-backend-'))
  const [path, received] = [join(directory, 'store'), join(directory, 'received')]
  return {
    open: () => Promise.resolve(new LmdbBackend(path)),
    reopen: () => Promise.resolve(new LmdbBackend(path)),
    receive: async (pieces) => {
      await lmdbEngine.receive(received, pieces)
      return new LmdbBackend(received)
    },
    remove: () => Promise.resolve(rmSync(path, { recursive: true })),
    cleanUp: () => Promise.resolve(rmSync(directory, { recursive: true, force: true })),
  }
})

test('any history of commands gives the answers of the naive twin over LMDB too', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-model-'))
  let runs = 0
  await checkAgainstTwin(() => Promise.resolve(new LmdbBackend(join(directory, `${runs++}`))), 40)
  rmSync(directory, { recursive: true, force: true })
})

test('killed at any moment, the tables are exactly those of the applied index', { timeout: 30_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-crash-'))
  const path = join(directory, 'store')
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

test('what was received says which state it holds, and takes the place of a store', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-snapshot-'))
  const source = new Store(new LmdbBackend(join(directory, 'source')))
  applyUpTo(source, 120)
  await source.commit()
  const received = join(directory, 'received')
  const pinned = await source.backend.pin()
  assert.deepEqual(pinned.meta, source.meta)
  assert.deepEqual(await lmdbEngine.receive(received, pinned.read()), source.meta)
  assert.deepEqual(await lmdbEngine.read(received, readMeta), source.meta)
  await pinned.release()

  const target = join(directory, 'target')
  const behind = new Store(new LmdbBackend(target))
  applyUpTo(behind, 7)
  await behind.close()
  rmSync(target, { recursive: true })
  renameSync(received, target)
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
  const store = join(directory, 'store')
  mkdirSync(store)
  const path = join(store, '0.mdb')
  const earlier = open<Uint8Array, Uint8Array>({ path, noSubdir: true, maxDbs: 12, encoding: 'binary' })
  await earlier.openDB('current', { encoding: 'binary', keyEncoding: 'binary' }).put(Buffer.from('a'), Buffer.from('1'))
  await earlier.close()
  const read = async (isReadOnly: boolean, write?: Write): Promise<(string | number | undefined)[]> => {
    const backend = new LmdbBackend(store, { isReadOnly })
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
  const store = join(directory, 'store')
  await new LmdbBackend(store).close()
  const path = join(store, '0.mdb')
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
    assert.throws(() => new LmdbBackend(store), NotAStore)
    await assert.rejects(lmdbEngine.read(store, readMeta), NotAStore)
  }
  writeFileSync(path, '')
  const fresh = new LmdbBackend(store)
  assert.equal(new Store(fresh).revision, 1)
  await fresh.close()
  rmSync(directory, { recursive: true, force: true })
})

async function* inPieces(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 5000) yield bytes.subarray(at, at + 5000)
}

/** The stream of a store at entry 40. */
async function stream(directory: string): Promise<Buffer> {
  const store = new Store(new LmdbBackend(join(directory, 'store')))
  applyUpTo(store, 40)
  await store.commit()
  const pinned = await store.backend.pin()
  const bytes = Buffer.concat(await Array.fromAsync(pinned.read()))
  await pinned.release()
  await store.close()
  return bytes
}

test('a stream that breaks off, or was cut off anywhere, leaves nothing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-cut-'))
  const whole = await stream(directory)
  const received = join(directory, 'received')
  for (const sizeBytes of [0, 1, 4096, 8192, whole.length >> 1, whole.length - 4096, whole.length - 1]) {
    await assert.rejects(lmdbEngine.receive(received, inPieces(whole.subarray(0, sizeBytes))), NotAStore)
  }
  const brokenOff = async function* (): AsyncIterable<Uint8Array> {
    yield* inPieces(whole)
    throw new Error('the digest does not match')
  }
  await assert.rejects(lmdbEngine.receive(received, brokenOff()), /the digest does not match/)
  assert.deepEqual(readdirSync(directory), ['store'])
  assert.equal((await lmdbEngine.receive(received, inPieces(whole))).appliedIndex, 40)
  await assert.rejects(lmdbEngine.receive(received, inPieces(whole)), { code: 'EEXIST' })
  assert.equal((await lmdbEngine.read(received, readMeta)).appliedIndex, 40, 'what was there is still there')
  rmSync(directory, { recursive: true, force: true })
})

test('who looks into a store, or into a file with its stream, changes nothing; what was cut off since is told', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-read-'))
  const whole = await stream(directory)
  const [received, saved] = [join(directory, 'received'), join(directory, 'saved.db')]
  await lmdbEngine.receive(received, inPieces(whole))
  writeFileSync(saved, Buffer.concat([whole, Buffer.alloc(32)]))
  const before = readdirSync(directory, { recursive: true })
  for (const path of [join(directory, 'store'), received, saved])
    assert.equal((await lmdbEngine.read(path, readMeta)).appliedIndex, 40)
  assert.deepEqual(readdirSync(directory, { recursive: true }), before)
  writeFileSync(join(received, 'received.mdb'), whole.subarray(0, -1))
  await assert.rejects(lmdbEngine.read(received, readMeta), NotAStore)
  mkdirSync(join(directory, 'empty'))
  await assert.rejects(lmdbEngine.read(join(directory, 'empty'), readMeta), NotAStore)
  rmSync(directory, { recursive: true, force: true })
})

test('files of the version before become the stores that they are', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-former-'))
  const whole = await stream(directory)
  rmSync(join(directory, 'store'), { recursive: true })
  for (const name of ['store-0.mdb', 'store-12.3.mdb', 'received-40.db']) writeFileSync(join(directory, name), whole)
  writeFileSync(join(directory, 'store-0.mdb-lock'), '')
  await lmdbEngine.takeOver(directory)
  assert.deepEqual(readdirSync(directory), ['received-40', 'store-0', 'store-0.mdb-lock', 'store-12.3'])
  await lmdbEngine.takeOver(directory)
  for (const name of ['store-0', 'store-12.3', 'received-40']) {
    const store = new Store(lmdbEngine.open(join(directory, name)))
    assert.equal(store.appliedIndex, 40)
    await store.close()
  }
  await lmdbEngine.takeOver(join(directory, 'no such directory'))
  rmSync(directory, { recursive: true, force: true })
})
