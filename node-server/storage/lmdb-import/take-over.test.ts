import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { StoreDamaged, TABLES, type Backend } from '../../mvcc/backend.ts'
import { hashState } from '../../mvcc/testing/hash-state.ts'
import { readMeta } from '../../mvcc/meta.ts'
import { Store } from '../../mvcc/store.ts'
import { seeded } from '../../raft/testing/random.ts'
import { runsEngine, type RunsEngine } from '../runs/engine.ts'
import { SMALL_SIZES } from '../runs/testing/small-sizes.ts'
import { localWriter } from '../runs/writer-link.ts'
import { KEEP_ALL, KEEP_NOTHING, MemoryDisk, type Choose, type Fault } from '../testing/memory-disk.ts'
import { EXPECTED, FORMER_STORE, unpackFixture } from './testing/fixture.ts'
import { LmdbStore } from './testing/lmdb-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'raftkv-take-over-'))
after(() => rmSync(folder, { recursive: true, force: true }))
unpackFixture(folder)
const FORMER = join(folder, 'member', 'db', FORMER_STORE)
const BYTES = readFileSync(FORMER)

const onDisk = (disk: MemoryDisk): RunsEngine => runsEngine(disk, localWriter(disk, SMALL_SIZES), SMALL_SIZES)

function newFolder(): string {
  return mkdtempSync(join(folder, 'test-'))
}

const stateOf = (backend: Backend): string => hashState(new Store(backend))

async function assertTaken(stores: RunsEngine, path: string): Promise<void> {
  const store = await stores.open(path)
  assert.equal(stateOf(store), EXPECTED.hash, path)
  for (const table of TABLES) assert.equal(store.count(table, Buffer.of(0), undefined), EXPECTED.tables[table].rows)
  await store.close()
}

test('all that released versions made becomes stores in runs, with what they held, and nothing else stays', async () => {
  const directory = newFolder()
  const put = (...names: readonly string[]): void => {
    mkdirSync(join(directory, ...names.slice(0, -1)), { recursive: true })
    copyFileSync(FORMER, join(directory, ...names))
  }
  put('store-0.mdb')
  writeFileSync(join(directory, 'store-0.mdb-lock'), '')
  put('received-41.db')
  put('store-12.3', '7.mdb')
  writeFileSync(join(directory, 'store-12.3', '7.mdb-lock'), '')
  writeFileSync(join(directory, 'store-12.3', '6.mdb'), 'an older one, whatever it holds')
  put('received-64', 'received.mdb')
  const stores = runsEngine()
  const names = ['received-41', 'received-64', 'store-0', 'store-12.3']
  assert.deepEqual((await stores.former(directory)).toSorted(), [
    'received-41.db',
    'received-64',
    'store-0.mdb',
    'store-12.3',
  ])
  for (let start = 0; start < 2; start++) {
    await stores.takeOver(directory)
    assert.deepEqual(readdirSync(directory), names)
    assert.deepEqual(await stores.former(directory), [])
    for (const name of names) {
      assert.deepEqual(
        readdirSync(join(directory, name)).filter((file) => !/^(manifest|[0-9]+\.run)$/.test(file)),
        [],
      )
      await assertTaken(stores, join(directory, name))
    }
  }
  await stores.takeOver(join(directory, 'no such directory'))
})

/** Where versions before put the file of a store, the older ones first. */
const PLACES = ['/db/store-0.mdb', '/db/store-0/0.mdb']

async function lmdbDisk(fault?: Fault, place = PLACES[0] ?? ''): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  const folders = ['/db', dirname(place)]
  for (const folder of folders) await disk.makeDirectory(folder)
  await disk.open(`${place}-lock`, { create: true })
  const file = await disk.open(place, { create: true })
  await file.write(BYTES, 0)
  await file.sync()
  for (const folder of ['/', ...folders]) await disk.syncDirectory(folder)
  disk.fault = fault === undefined ? undefined : { ...fault, atOperation: disk.operations + fault.atOperation }
  return disk
}

test('crashed at any operation of the disk, the next start finds the one or the other, and takes it over', async () => {
  const undisturbed = await lmdbDisk()
  const before = undisturbed.operations
  await onDisk(undisturbed).takeOver('/db')
  const operations = undisturbed.operations - before
  assert.ok(operations > 15, `${operations}`)
  for (let atOperation = 1; atOperation <= operations; atOperation++) {
    const random = seeded(atOperation)
    for (const choose of [KEEP_NOTHING, KEEP_ALL, (count: number): number => random.below(count)] satisfies Choose[]) {
      const disk = await lmdbDisk({ atOperation, kind: 'crash' })
      await onDisk(disk)
        .takeOver('/db')
        .catch(() => undefined)
      const next = disk.crash(choose)
      const stores = onDisk(next)
      await stores.takeOver('/db')
      await assertTaken(stores, '/db/store-0')
      assert.deepEqual(await next.list('/db'), ['store-0'])
    }
  }
})

test('until it is told that something goes, the version before finds all that it needs, whenever the crash comes', async () => {
  for (const place of PLACES) {
    const undisturbed = await lmdbDisk(undefined, place)
    const before = undisturbed.operations
    let toldAt = 0
    await onDisk(undisturbed).takeOver('/db', async () => void (toldAt ||= undisturbed.operations - before))
    const operations = undisturbed.operations - before
    assert.ok(toldAt > 0 && toldAt < operations)
    for (let atOperation = 1; atOperation <= operations; atOperation++)
      for (const choose of [KEEP_NOTHING, KEEP_ALL]) {
        const disk = await lmdbDisk({ atOperation, kind: 'crash' }, place)
        let isTold = false
        await onDisk(disk)
          .takeOver('/db', async () => void (isTold = true))
          .catch(() => undefined)
        if (!isTold) assert.deepEqual(await disk.crash(choose).readFile(place), BYTES)
      }
  }
})

test('nothing goes when that it goes cannot be told', async () => {
  for (const place of PLACES) {
    const disk = await lmdbDisk(undefined, place)
    await assert.rejects(
      onDisk(disk).takeOver('/db', () => Promise.reject(new Error('no room'))),
      /no room/,
    )
    assert.deepEqual(await disk.readFile(place), BYTES)
    await onDisk(disk).takeOver('/db')
    await assertTaken(onDisk(disk), '/db/store-0')
  }
})

test('when the disk is full or fails, that is told, and the store is as it was', async () => {
  for (let atOperation = 1; ; atOperation += 3) {
    const disk = await lmdbDisk({ atOperation, kind: atOperation % 2 === 0 ? 'EIO' : 'ENOSPC' })
    const stores = onDisk(disk)
    const failure = await stores.takeOver('/db').then(
      () => undefined,
      (error: unknown) => error,
    )
    if (failure === undefined) break
    assert.ok(failure instanceof Error && !(failure instanceof StoreDamaged))
    disk.fault = undefined
    await stores.takeOver('/db')
    await assertTaken(stores, '/db/store-0')
  }
})

test('one that is damaged stays where it is, and who opens it or looks into it hears of it', async () => {
  const disk = await lmdbDisk()
  disk.damage('/db/store-0.mdb', (bytes) => bytes.fill(0x5a, 2 * 4096))
  const stores = onDisk(disk)
  for (let start = 0; start < 2; start++) {
    await stores.takeOver('/db')
    assert.deepEqual(await stores.former('/db'), ['store-0.mdb'])
    for (const use of [stores.open('/db/store-0'), stores.read('/db/store-0', readMeta)])
      await assert.rejects(use, (error) => error instanceof StoreDamaged && /store-0\.mdb, page \d+/.test(error.where))
  }
})

test('a table that this version does not know is told, and nothing is thrown away', async () => {
  const disk = await lmdbDisk()
  disk.damage('/db/store-0.mdb', (bytes) =>
    Buffer.from(bytes.toString('latin1').replaceAll('leaseKeys', 'leaseKeyz'), 'latin1'),
  )
  await assert.rejects(onDisk(disk).takeOver('/db'), /tables that this version does not know: leaseKeyz/)
  assert.deepEqual((await onDisk(disk).former('/db')).length, 1)
})

async function* inPieces(bytes: Buffer, sizeBytes: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes)
}

test('a snapshot of the version before is received, and a saved one is looked into, with nothing written beside it', async () => {
  const directory = newFolder()
  const former = join(newFolder(), 'store')
  mkdirSync(former)
  copyFileSync(FORMER, join(former, '0.mdb'))
  const lmdb = new LmdbStore(former)
  await lmdb.copyTo(join(former, 'copy'))
  await lmdb.close()
  const snapshot = readFileSync(join(former, 'copy'))
  const stores = runsEngine()
  const received = join(directory, 'received')
  const meta = await stores.receive(received, inPieces(snapshot, 50))
  assert.equal(meta.appliedIndex, EXPECTED.appliedIndex)
  await assertTaken(stores, received)
  const saved = join(directory, 'saved.db')
  writeFileSync(saved, Buffer.concat([snapshot, Buffer.alloc(32)]))
  const names = readdirSync(directory)
  assert.deepEqual(await stores.read(saved, readMeta), meta)
  const cutOff = stores.receive(join(directory, 'cut'), inPieces(snapshot.subarray(0, snapshot.length >> 1), 1000))
  await assert.rejects(cutOff, StoreDamaged)
  assert.deepEqual(readdirSync(directory), names)
})
