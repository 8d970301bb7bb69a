import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Backend, Write } from '../../mvcc/backend.ts'
import { checkAgainstTwin } from '../../mvcc/testing/model-property.ts'
import { testBackend } from '../../mvcc/testing/backend-conformance.ts'
import { seeded } from '../../raft/testing/random.ts'
import { realDisk, type Disk } from '../disk.ts'
import { MemoryDisk } from '../testing/memory-disk.ts'
import { runsEngine, type RunsEngine } from './engine.ts'
import type { RunsBackend } from './runs-backend.ts'
import { readManifest } from './store-directory.ts'
import { SMALL_SIZES } from './testing/small-sizes.ts'
import { localWriter } from './writer-link.ts'

function testRuns(name: string, engine: () => RunsEngine, root: () => string, cleanUp: (root: string) => void): void {
  testBackend(name, () => {
    const at = root()
    const stores = engine()
    return {
      open: () => stores.open(join(at, 'store')),
      reopen: () => stores.open(join(at, 'store')),
      receive: async (pieces) => {
        await stores.receive(join(at, 'copy'), pieces)
        return stores.open(join(at, 'copy'))
      },
      cleanUp: () => Promise.resolve(cleanUp(at)),
    }
  })
}

const simulated = (disk = new MemoryDisk()): RunsEngine => runsEngine(disk, localWriter(disk))

testRuns(
  'runs, with a thread',
  () => runsEngine(realDisk),
  () => mkdtempSync(join(tmpdir(), 'raftkv-runs-')),
  (root) => rmSync(root, { recursive: true }),
)
testRuns(
  'runs, on a simulated disk',
  simulated,
  () => '/',
  () => undefined,
)

test('any history of commands gives the answers of the naive twin over runs too', async () => {
  const stores = simulated()
  let count = 0
  await checkAgainstTwin(() => stores.open(`/${count++}`), 40)
})

test('a very large commit is one, and others have their turn while it is handed over', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-runs-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const store = await runsEngine().open(join(directory, 'store'))
  const KEYS = 40_000
  function* rows(value: Buffer | undefined): Iterable<Write> {
    for (let i = 0; i < KEYS; i++) yield { table: 'current', key: Buffer.from(String(i).padStart(8, '0')), value }
  }
  const seen = new Set<number>()
  const committed = { isThrough: false }
  const commit = store.commit(rows(Buffer.from('v'))).finally(() => (committed.isThrough = true))
  let turns = 0
  for (; !committed.isThrough; turns++) {
    seen.add(store.count('current', Buffer.of(0), undefined))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await commit
  assert.ok(turns > 10, `${turns} turns`)
  assert.deepEqual(
    [...seen].filter((count) => count !== 0 && count !== KEYS),
    [],
  )
  assert.equal(store.count('current', Buffer.of(0), undefined), KEYS)
  const closing = store.commit(rows(undefined)) // it is through before the store is closed
  await store.close()
  await closing
  const again = await runsEngine().open(join(directory, 'store'))
  assert.equal(again.count('current', Buffer.of(0), undefined), 0)
  await again.close()
})

test('a file that begins with an archive can be read as it is, on a simulated disk', async () => {
  const disk = new MemoryDisk()
  await readSaved(disk, simulated(disk), '/')
})

test('so it can on a real one', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'raftkv-runs-'))
  t.after(() => rmSync(directory, { recursive: true }))
  await readSaved(realDisk, runsEngine(realDisk), directory)
})

async function readSaved(disk: Disk, stores: RunsEngine, directory: string): Promise<void> {
  const [storePath, savedPath] = [join(directory, 'store'), join(directory, 'saved.db')]
  const store = await stores.open(storePath)
  const rows = Array.from({ length: 500 }, (_, i): Write => ({
    table: i % 2 === 0 ? 'revisions' : 'current',
    key: Buffer.from(`key ${i}`),
    value: Buffer.alloc(100, i),
  }))
  await store.commit(rows)
  const pinned = await store.pin()
  await store.close()
  const file = await disk.open(savedPath, { create: true })
  let sizeBytes = 0
  for await (const piece of pinned.read()) {
    await file.write(piece, sizeBytes)
    sizeBytes += piece.length
  }
  await file.write(Buffer.alloc(32, 'a digest of somebody else'), sizeBytes)
  await file.close()
  await pinned.release()
  const content = (from: Backend): Buffer[] => rows.map(({ table, key }) => Buffer.from(from.get(table, key) ?? []))
  assert.deepEqual(
    await stores.read(savedPath, content),
    rows.map(({ value }) => value),
  )
  assert.deepEqual(await stores.read(storePath, content), await stores.read(savedPath, content))
  await assert.rejects(stores.read(join(directory, 'nothing'), content))
}

test('blocks of a single run are counted by their index', async () => {
  const disk = new MemoryDisk()
  const store = await runsEngine(disk, localWriter(disk, SMALL_SIZES), SMALL_SIZES).open('/store')
  const ROWS = 6000
  const keyOf = (number: number): Buffer => Buffer.from(`key ${String(number).padStart(5, '0')}`)
  // Blocks without removals, and some with.
  const isRemoval = (number: number): boolean => number % 2000 > 1500 && number % 7 === 0
  const value = Buffer.alloc(30)
  const numbers = Array.from({ length: ROWS }, (_, number) => number)
  await store.commit(
    numbers.map((number) => ({ table: 'current', key: keyOf(number), value: isRemoval(number) ? undefined : value })),
  )
  assert.equal(store.runCount, 1)
  const random = seeded(5)
  for (let i = 0; i < 300; i++) {
    const [start, end] = [random.below(ROWS), random.below(ROWS + 200)]
    const expected = numbers.slice(start, Math.max(start, end)).filter((number) => !isRemoval(number)).length
    assert.equal(store.count('current', keyOf(start), keyOf(end)), expected)
  }
  assert.equal(store.count('current', Buffer.of(0), undefined), numbers.filter((number) => !isRemoval(number)).length)
  await store.close()
})

test('a manifest keeps the beginnings of long keys, and a store that is opened knows the keys', async () => {
  const disk = new MemoryDisk()
  const open = (): Promise<RunsBackend> => runsEngine(disk, localWriter(disk, SMALL_SIZES), SMALL_SIZES).open('/store')
  const beginning = 'k'.repeat(5000)
  const keys = Array.from({ length: 400 }, (_, i) => Buffer.from(`${beginning}${1000 + i}`))
  const value = Buffer.alloc(1000, 'v')
  let store = await open()
  for (const step of [2, 3, 1]) {
    const written = keys.filter((_, i) => i % step === 0)
    await store.commit(written.map((key) => ({ table: 'current', key, value })))
  }
  for (let opened = 0; opened < 2; opened++) {
    await store.defragment()
    await store.close()
    assert.ok((await readManifest(disk, '/store'))?.runs.flat().every(({ last }) => last.length < 3000))
    store = await open()
    assert.deepEqual(
      Array.from(store.scan('current', Buffer.of(0), undefined), ({ key }) => Buffer.from(key)),
      keys,
    )
    for (const key of keys) assert.deepEqual(store.get('current', key), value)
    assert.equal(store.get('current', Buffer.from(`${beginning}0`)), undefined)
    assert.equal(store.get('current', Buffer.from(`${beginning}9`)), undefined)
    assert.equal(store.count('current', keys[100] ?? value, keys[300]), 200)
    await store.commit([{ table: 'current', key: keys[399] ?? value, value }])
  }
  await store.close()
})

test('keys and values may be of any size', async () => {
  const store = await simulated().open('/store')
  const keys = [1, 2].map((last) => Buffer.from(`${'k'.repeat(200_000)}${last}`))
  const value = Buffer.alloc(3_000_000, 'v')
  await store.commit([...keys, Buffer.from('k'), Buffer.from('l')].map((key) => ({ table: 'current', key, value })))
  for (const key of keys) assert.deepEqual(store.get('current', key), value)
  assert.equal(store.get('current', Buffer.from('k'.repeat(200_000))), undefined)
  assert.deepEqual(
    Array.from(store.scan('current', Buffer.from('k'), undefined), ({ key }) => key.length),
    [1, 200_001, 200_001, 1],
  )
  await store.close()
})
