import assert from 'node:assert/strict'
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { MalformedBytes } from '../../../lib/bytes.ts'
import { LogIndex, MemberId, Term } from '../../../lib/ids.ts'
import { Store } from '../../mvcc/store.ts'
import { put } from '../../mvcc/testing/requests.ts'
import { EMPTY_CONFIGURATION } from '../../raft/membership.ts'
import { LmdbBackend } from '../../storage/backend.ts'
import { memberPaths, type MemberPaths } from '../../storage/data-directory.ts'
import { realDisk } from '../../storage/disk.ts'
import { realVolume } from '../../storage/volume.ts'
import type { PeerTransport, ReceivedSnapshot } from '../../transport/transport.ts'
import { DiskRoom } from './disk-room.ts'
import { hasReceived, installSnapshot, removeAllBut } from './snapshots.ts'
import { StoreFiles } from './store-files.ts'
import { FIRST_STORE, newestStore, receivedPath, storePath } from './store-name.ts'

interface Incoming {
  /** Of the volume under it. */
  readonly space: { freeBytes: number; readonly totalBytes: number }
  readonly paths: MemberPaths
  readonly files: StoreFiles
  /** Of the snapshot. */
  readonly path: string
}

/** An empty member, to which a snapshot of entry 2 (term 1) has just come in. Copies of its store wait for `mayCopy`. */
async function incoming(
  t: TestContext,
  mayCopy: Promise<void> = Promise.resolve(),
  onFatal: (error: unknown) => void = (error) => assert.fail(String(error)),
): Promise<Incoming> {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-snapshots-'))
  t.after(() => rm(directory, { recursive: true }))
  const paths = memberPaths(directory)
  for (const folder of [paths.db, paths.snapshots]) await mkdir(folder, { recursive: true })
  const source = new Store(new LmdbBackend(join(directory, 'source.mdb')))
  put(source, 'a', '1')
  put(source, 'b', '2')
  await source.commit()
  const path = join(paths.snapshots, 'incoming-1.tmp')
  await source.backend.writeSnapshot(path)
  await source.close()
  const space = { freeBytes: 2 ** 40, totalBytes: 2 ** 40 }
  const files = new StoreFiles({
    volume: realVolume,
    room: new DiskRoom({ storeSpace: () => space, logSpace: () => space }),
    paths,
    file: FIRST_STORE,
    store: new Store(copyingLater(new LmdbBackend(storePath(paths, FIRST_STORE)), mayCopy)),
    onFatal,
    onDefragmented: () => undefined,
  })
  return { space, paths, files, path }
}

function copyingLater(backend: LmdbBackend, mayCopy: Promise<void>): LmdbBackend {
  const writeSnapshot = backend.writeSnapshot.bind(backend)
  return Object.assign(backend, {
    writeSnapshot: async (path: string): Promise<void> => {
      const copied = writeSnapshot(path) // the library has begun, and would not be interrupted
      await mayCopy
      await copied
    },
  })
}

async function storesAndSnapshots({ db }: MemberPaths): Promise<readonly string[]> {
  return (await readdir(db)).filter((name) => !name.endsWith('-lock'))
}

function received(path: string, index: number, term: number): ReceivedSnapshot {
  const snapshot = {
    index: LogIndex(index),
    term: Term(term),
    configIndex: LogIndex(1),
    configuration: EMPTY_CONFIGURATION,
  }
  return { path, message: { kind: 'snapshot-request', from: MemberId(2n), to: MemberId(1n), term: Term(3), snapshot } }
}

test('a snapshot that holds what its message says is kept under its index, and becomes the store', async (t) => {
  const { paths, files, path } = await incoming(t)
  await files.keep(received(path, 2, 1))
  assert.deepEqual(await readdir(paths.snapshots), [])
  assert.deepEqual(await storesAndSnapshots(paths), ['received-2.db', 'store-0.mdb'])
  const isThere = (index: number): Promise<boolean> => hasReceived(realVolume, paths, LogIndex(index))
  assert.deepEqual([await isThere(2), await isThere(3)], [true, false])
  const replaced: Store[] = []
  await files.install(LogIndex(2), (store) => replaced.push(store))
  assert.deepEqual(
    replaced.map(({ appliedIndex, revision }) => [appliedIndex, revision]),
    [[2, 3]],
  )
  await files.close()
  assert.deepEqual(await storesAndSnapshots(paths), ['store-2.mdb'])
})

test('one that holds something else, or is no store, is refused before anything rests on it', async (t) => {
  const { paths, files, path } = await incoming(t)
  for (const [index, term] of [
    [3, 1],
    [2, 2],
  ] as const) {
    await assert.rejects(files.keep(received(path, index, term)), MalformedBytes)
  }
  await writeFile(path, 'no store')
  await assert.rejects(files.keep(received(path, 2, 1)), { name: 'NotAStore' })
  assert.deepEqual(await readdir(paths.snapshots), ['incoming-1.tmp'])
  assert.equal(await hasReceived(realVolume, paths, LogIndex(2)), false)
  await files.close()
})

test('one that comes when the store has passed it is not kept', async (t) => {
  const { paths, files, path } = await incoming(t)
  await copyFile(path, `${path}.again`)
  await files.keep(received(path, 2, 1))
  await files.install(LogIndex(2), () => undefined)
  await files.keep(received(`${path}.again`, 2, 1))
  await files.close()
  assert.deepEqual([await storesAndSnapshots(paths), await readdir(paths.snapshots)], [['store-2.mdb'], []])
})

test('a start installs it under the newest name, whatever unreadable store is there', async (t) => {
  const { paths, files, path } = await incoming(t)
  await files.close()
  await rename(path, receivedPath(paths, LogIndex(2)))
  const damaged = { beganAt: 2, generation: 1 }
  await writeFile(storePath(paths, damaged), 'no store')
  const { store, file } = await installSnapshot(realVolume, paths, LogIndex(2), damaged)
  assert.equal(store.appliedIndex, 2)
  await store.close()
  assert.deepEqual(await newestStore(realDisk, paths), file, 'the next start finds it')
  await removeAllBut(realDisk, paths, file)
  assert.deepEqual(await storesAndSnapshots(paths), ['store-2.2.mdb'])
})

test('a snapshot becomes the store while the one before is defragmented: the copy is thrown away', async (t) => {
  const { promise: mayCopy, resolve: goOn } = Promise.withResolvers<void>()
  const { paths, files, path } = await incoming(t, mayCopy)
  let isDefragmented = false
  const defragmented = files.defragment().then(() => (isDefragmented = true))
  await files.keep(received(path, 2, 1))
  await files.install(LogIndex(2), (store) => assert.equal(store.appliedIndex, 2))
  assert.deepEqual([isDefragmented, files.isDefragmenting], [false, true])
  goOn()
  await defragmented
  await files.close()
  assert.deepEqual([await storesAndSnapshots(paths), await readdir(paths.snapshots)], [['store-2.mdb'], []])
})

test('a copy of the store before is whole although a snapshot took its place meanwhile', async (t) => {
  const { promise: mayCopy, resolve: goOn } = Promise.withResolvers<void>()
  const { paths, files, path } = await incoming(t, mayCopy)
  const copied = files.copy()
  await files.keep(received(path, 2, 1))
  await files.install(LogIndex(2), () => undefined)
  goOn()
  const copy = await copied
  assert.ok(copy.ok)
  assert.deepEqual(await readdir(paths.snapshots), [], 'it has no name')
  const bytes = await copy.value.read(copy.value.sizeBytes)
  assert.deepEqual([bytes.length, (await copy.value.read(1)).length], [copy.value.sizeBytes, 0])
  const again = join(paths.snapshots, 'read.db')
  await writeFile(again, bytes)
  assert.equal((await realVolume.readSnapshotMeta(again)).appliedIndex, 0)
  await copy.value.close()
  await files.close()
})

test('once it is closed, copies, defragmentations and snapshots are refused', async (t) => {
  const { files, path } = await incoming(t)
  await files.close()
  assert.deepEqual(await files.copy(), { ok: false, error: 'stopped' })
  for (const refused of [files.defragment(), files.keep(received(path, 2, 1))])
    await assert.rejects(refused, { message: 'this member stops' })
})

test('a defragmentation that fails before its copy is moved harms nothing; one that fails then ends the process', async (t) => {
  const fatal: unknown[] = []
  const { paths, files } = await incoming(t, Promise.resolve(), (error) => fatal.push(error))
  const inTheWay = (path: string): Promise<unknown> => mkdir(join(path, 'x'), { recursive: true })
  await inTheWay(join(paths.snapshots, 'defragment-1.db'))
  await assert.rejects(files.defragment())
  assert.deepEqual(fatal, [])
  await inTheWay(storePath(paths, { beganAt: 0, generation: 1 }))
  await assert.rejects(files.defragment())
  assert.equal(fatal.length, 1)
  await files.close()
})

test('without room on the disk no copy is begun, for whomever it would be, and the store goes on', async (t) => {
  const { space, paths, files } = await incoming(t)
  space.freeBytes = 1000
  assert.deepEqual(await files.copy(), { ok: false, error: 'no-room' })
  const message = received('', 1, 1).message
  let sent = 0
  const transport = { sendSnapshot: async () => void (sent += 1) } as unknown as PeerTransport
  await assert.rejects(files.send(transport, message), { name: 'NoRoom' })
  await assert.rejects(files.defragment(), { name: 'NoRoom' })
  assert.deepEqual(
    [sent, await readdir(paths.snapshots), await newestStore(realDisk, paths)],
    [0, ['incoming-1.tmp'], FIRST_STORE],
  )
  space.freeBytes = 2 ** 40
  await files.defragment()
  const copy = await files.copy()
  assert.ok(copy.ok)
  await copy.value.close()
  await files.close()
})
