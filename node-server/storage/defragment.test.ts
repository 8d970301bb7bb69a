import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { StoreInDoubt } from '../mvcc/backend.ts'
import { hashState } from '../mvcc/hash.ts'
import { MemoryBackend } from '../mvcc/memory-backend.ts'
import { Store } from '../mvcc/store.ts'
import { compactTo, put } from '../mvcc/testing/requests.ts'
import { compactSlice } from '../mvcc/compaction.ts'
import { LmdbBackend, lmdbEngine } from './backend.ts'
import { applyUpTo } from './testing/backend-crash-writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'raftkv-defragment-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let runs = 0

function open(): { store: Store; path: string } {
  const path = join(folder, `store-${runs++}`)
  return { store: new Store(new LmdbBackend(path)), path }
}

/** A store whose file has far more free pages than used ones. */
async function fillAndCompact(store: Store): Promise<void> {
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 20; i++) put(store, `k${i}`, `${round} ${'x'.repeat(5000)}`)
    await store.commit()
  }
  compactTo(store, store.revision)
  let { cursor } = compactSlice(store, undefined)
  while (cursor !== undefined) ({ cursor } = compactSlice(store, cursor))
  await store.commit()
}

test('the file shrinks to what is in use, and has all that was there', async () => {
  const { store, path } = open()
  await fillAndCompact(store)
  const before = store.size()
  const state = hashState(store)
  await store.backend.defragment()
  const now = store.size()
  assert.ok(before.totalBytes > 10 * before.inUseBytes, `${before.totalBytes} with ${before.inUseBytes} in use`)
  assert.ok(now.totalBytes < 2 * now.inUseBytes + 65_536, `${now.totalBytes} with ${now.inUseBytes} in use`)
  assert.equal(hashState(store), state)
  put(store, 'later', 'v')
  await store.close()
  const again = new Store(new LmdbBackend(path))
  assert.equal(again.appliedIndex, store.appliedIndex, 'commits go to the new file')
  await again.close()
  assert.deepEqual(filesIn(path), ['1.mdb'], 'the file before is gone')
})

test('while it goes on entries are applied and read; a commit waits for it, and what it holds is in the new file', async () => {
  const { store, path } = open()
  await fillAndCompact(store)
  const defragmented = store.backend.defragment()
  put(store, 'meanwhile', 'v')
  const order: string[] = []
  const committed = store.commit().then(() => order.push('committed'))
  const applied = hashState(store)
  await defragmented.then(() => order.push('defragmented'))
  await committed
  assert.deepEqual(order.toSorted(), ['committed', 'defragmented'])
  assert.equal(hashState(store), applied)
  await store.close()
  const again = new Store(new LmdbBackend(path))
  assert.equal(hashState(again), applied)
  await again.close()
})

test('what is pinned of the file before is whole, also when it is being pinned still', async () => {
  const { store } = open()
  await fillAndCompact(store)
  const [pinned] = await Promise.all([store.backend.pin(), store.backend.defragment()])
  const copied = join(folder, 'copied')
  await lmdbEngine.receive(copied, pinned.read())
  await pinned.release()
  const copy = new Store(new LmdbBackend(copied))
  assert.equal(hashState(copy), hashState(store))
  await Promise.all([copy.close(), store.close()])
})

test('one that fails leaves the store as it was, and another one works', async () => {
  const { store, path } = open()
  await fillAndCompact(store)
  const state = hashState(store)
  mkdirSync(join(path, 'defragment-1.tmp', 'in the way'), { recursive: true })
  await assert.rejects(store.backend.defragment(), (error) => !(error instanceof StoreInDoubt))
  put(store, 'a', 'later')
  await store.commit()
  assert.notEqual(hashState(store), state)
  await store.backend.defragment()
  assert.equal(store.committedIndex, store.appliedIndex)
  await store.close()
  assert.deepEqual(filesIn(path), ['1.mdb'])
})

test('one that fails as the new file takes the place of the other leaves the store in doubt: nothing is committed', async () => {
  const { store, path } = open()
  await fillAndCompact(store)
  mkdirSync(join(path, '1.mdb', 'in the way'), { recursive: true })
  await assert.rejects(store.backend.defragment(), StoreInDoubt)
  assert.ok(hashState(store).length > 0, 'reads go on')
  put(store, 'a', 'later')
  await assert.rejects(store.commit(), StoreInDoubt)
  await store.backend.close()
})

test('a copy that is finished when the store is being closed stays unused', async () => {
  const { store, path } = open()
  await fillAndCompact(store)
  const defragmented = store.backend.defragment()
  await Promise.all([store.close(), defragmented])
  assert.deepEqual(filesIn(path), ['0.mdb'])
  const again = new Store(new LmdbBackend(path))
  assert.equal(again.appliedIndex, store.appliedIndex)
  await again.close()
})

test('killed at any moment, the store has every commit that was told durable', { timeout: 60_000 }, async () => {
  for (const delayMs of [0, 20, 60, 120]) {
    const path = join(mkdtempSync(join(folder, 'kill-')), 'store')
    const committed = await defragmentAndKill(path, delayMs)
    const store = new Store(new LmdbBackend(path))
    assert.equal(filesIn(path).length, 1, 'what was on its way is gone')
    assert.ok(store.appliedIndex >= committed, `told that ${committed} is durable, found ${store.appliedIndex}`)
    const fresh = new Store(new MemoryBackend())
    applyUpTo(fresh, store.appliedIndex)
    assert.equal(hashState(store), hashState(fresh))
    await store.close()
  }
})

/** What it had told. It is killed `delayMs` after its third defragmentation. */
async function defragmentAndKill(path: string, delayMs: number): Promise<number> {
  const script = join(import.meta.dirname, 'testing', 'backend-defragmenter.ts')
  const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  while (!output.includes('defragmented 3')) await once(child.stdout, 'data')
  await new Promise((resolve) => setTimeout(resolve, delayMs))
  child.kill('SIGKILL')
  await once(child, 'close')
  return Number([...output.matchAll(/^committed (\d+)\n/gm)].at(-1)?.[1] ?? 0)
}

function filesIn(path: string): readonly string[] {
  return readdirSync(path).filter((name) => !name.endsWith('-lock'))
}
