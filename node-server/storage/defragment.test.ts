import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { hashState } from '../mvcc/hash.ts'
import { MemoryBackend } from '../mvcc/memory-backend.ts'
import { Store } from '../mvcc/store.ts'
import { compactTo, put } from '../mvcc/testing/requests.ts'
import { compactSlice } from '../mvcc/compaction.ts'
import { LmdbBackend } from './backend.ts'
import { applyUpTo } from './testing/backend-crash-writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'raftkv-defragment-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let runs = 0

function open(): { store: Store; from: string; temporary: string; to: string } {
  const at = (name: string): string => join(folder, `${runs}-${name}`)
  runs += 1
  const from = at('before.mdb')
  return { store: new Store(new LmdbBackend(from)), from, temporary: at('copy.db'), to: at('after.mdb') }
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
  const { store, temporary, to } = open()
  await fillAndCompact(store)
  const before = store.size()
  const state = hashState(store)
  await store.backend.defragment(temporary, () => to)
  const now = store.size()
  assert.ok(before.totalBytes > 10 * before.inUseBytes, `${before.totalBytes} with ${before.inUseBytes} in use`)
  assert.ok(now.totalBytes < 2 * now.inUseBytes + 65_536, `${now.totalBytes} with ${now.inUseBytes} in use`)
  assert.equal(hashState(store), state)
  put(store, 'later', 'v')
  await store.close()
  const again = new Store(new LmdbBackend(to))
  assert.equal(again.appliedIndex, store.appliedIndex, 'commits go to the new file')
  await again.close()
  assert.ok(!existsSync(temporary))
})

test('while it goes on entries are applied and read; a commit waits for it, and what it holds is in the new file', async () => {
  const { store, temporary, to } = open()
  await fillAndCompact(store)
  const defragmented = store.backend.defragment(temporary, () => to)
  put(store, 'meanwhile', 'v')
  const order: string[] = []
  const committed = store.commit().then(() => order.push('committed'))
  const applied = hashState(store)
  await defragmented.then(() => order.push('defragmented'))
  await committed
  assert.deepEqual(order.toSorted(), ['committed', 'defragmented'])
  assert.equal(hashState(store), applied)
  await store.close()
  const again = new Store(new LmdbBackend(to))
  assert.equal(hashState(again), applied)
  await again.close()
})

test('a copy that is being made of the file before is finished before that is closed', async () => {
  const { store, temporary, to } = open()
  await fillAndCompact(store)
  const copy = join(folder, 'copied.mdb')
  await Promise.all([store.backend.writeSnapshot(copy), store.backend.defragment(temporary, () => to)])
  const copied = new Store(new LmdbBackend(copy))
  assert.equal(hashState(copied), hashState(store))
  await Promise.all([copied.close(), store.close()])
})

test('a defragmentation that fails leaves the store as it was, and another one works', async () => {
  const { store, from, to, temporary } = open()
  await fillAndCompact(store)
  const state = hashState(store)
  const aFolder = join(folder, `${runs}-folder`)
  mkdirSync(aFolder)
  await assert.rejects(
    store.backend.defragment(aFolder, () => to),
    'the copy cannot be written',
  )
  await assert.rejects(
    store.backend.defragment(temporary, () => aFolder),
    'the copy cannot get its name',
  )
  put(store, 'a', 'later')
  await store.commit()
  assert.ok(existsSync(from))
  assert.notEqual(hashState(store), state)
  rmSync(temporary)
  await store.backend.defragment(temporary, () => to)
  assert.equal(store.committedIndex, store.appliedIndex)
  await store.close()
})

test('a copy that gets no path stays unused', async () => {
  const { store, from, temporary } = open()
  await fillAndCompact(store)
  await store.backend.defragment(temporary, () => undefined)
  put(store, 'a', 'later')
  await store.close()
  const again = new Store(new LmdbBackend(from))
  assert.equal(again.appliedIndex, store.appliedIndex, 'commits went on in the file before')
  await again.close()
})

test('closing waits for the end of it', async () => {
  const { store, temporary, to } = open()
  await fillAndCompact(store)
  const defragmented = store.backend.defragment(temporary, () => to)
  await Promise.all([store.close(), defragmented])
  const again = new Store(new LmdbBackend(to))
  assert.equal(again.appliedIndex, store.appliedIndex)
  await again.close()
})

test('killed at any moment, the newest file has every commit that was told durable', { timeout: 60_000 }, async () => {
  for (const delayMs of [0, 20, 60, 120]) {
    const directory = mkdtempSync(join(folder, 'kill-'))
    const { committed, moved } = await defragmentAndKill(directory, delayMs)
    const numbers = readdirSync(directory).flatMap((name) => /^store-(\d+)\.mdb$/.exec(name)?.[1] ?? [])
    const newest = Math.max(...numbers.map(Number))
    assert.ok(newest >= moved, `store-${moved} was told, store-${newest} is there`)
    const store = new Store(new LmdbBackend(join(directory, `store-${newest}.mdb`)))
    assert.ok(store.appliedIndex >= committed, `told that ${committed} is durable, found ${store.appliedIndex}`)
    const fresh = new Store(new MemoryBackend())
    applyUpTo(fresh, store.appliedIndex)
    assert.equal(hashState(store), hashState(fresh))
    await store.close()
  }
})

/** What it had told. It is killed `delayMs` after its third defragmentation. */
async function defragmentAndKill(directory: string, delayMs: number): Promise<{ committed: number; moved: number }> {
  const script = join(import.meta.dirname, 'testing', 'backend-defragmenter.ts')
  const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  while (!output.includes('moved store-3')) await once(child.stdout, 'data')
  await new Promise((resolve) => setTimeout(resolve, delayMs))
  child.kill('SIGKILL')
  await once(child, 'close')
  const last = (pattern: RegExp): number => Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0)
  return { committed: last(/^committed (\d+)\n/gm), moved: last(/^moved store-(\d+)\.mdb\n/gm) }
}
