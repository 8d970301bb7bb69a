import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { MalformedBytes } from '../../../lib/bytes.ts'
import { LogIndex, MemberId, Term } from '../../../lib/ids.ts'
import { ok, type Result } from '../../../lib/result.ts'
import { MAX_CLIENT_SNAPSHOTS } from '../../limits.ts'
import { StoreInDoubt, type Backend } from '../../mvcc/backend.ts'
import { Store } from '../../mvcc/store.ts'
import { put } from '../../mvcc/testing/requests.ts'
import { EMPTY_CONFIGURATION } from '../../raft/membership.ts'
import { memberPaths, type MemberPaths } from '../../storage/data-directory.ts'
import { realDisk } from '../../storage/disk.ts'
import { realVolume, type Volume } from '../../storage/volume.ts'
import type { IncomingSnapshot, PeerTransport, SnapshotSource } from '../../transport/transport.ts'
import { DiskRoom } from './disk-room.ts'
import { hasReceived, installSnapshot, removeAllBut } from './snapshots.ts'
import { StoreFiles } from './store-files.ts'
import { FIRST_STORE, newestStore, storePath } from './store-name.ts'

interface Incoming {
  /** Of the volume under it. */
  readonly space: { freeBytes: number; readonly totalBytes: number }
  readonly paths: MemberPaths
  readonly files: StoreFiles
  /** The stream of the snapshot. */
  readonly snapshot: Buffer
  readonly backend: Backend
}

/** An empty member, to which a snapshot of entry 2 (term 1) has just come in. What is done with its store waits for `mayGoOn`. */
async function incoming(
  t: TestContext,
  mayGoOn: Promise<void> = Promise.resolve(),
  onFatal: (error: unknown) => void = (error) => assert.fail(String(error)),
  volume: Volume = realVolume,
): Promise<Incoming> {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-snapshots-'))
  t.after(() => rm(directory, { recursive: true }))
  const paths = memberPaths(directory)
  for (const folder of [paths.db, paths.snapshots]) await mkdir(folder, { recursive: true })
  const source = new Store(await realVolume.stores.open(join(directory, 'source')))
  put(source, 'a', '1')
  put(source, 'b', '2')
  await source.commit()
  const pinned = await source.backend.pin()
  const snapshot = Buffer.concat(await Array.fromAsync(pinned.read()))
  await pinned.release()
  await source.close()
  const backend = goingOnLater(await realVolume.stores.open(storePath(paths, FIRST_STORE)), mayGoOn)
  const space = { freeBytes: 2 ** 40, totalBytes: 2 ** 40 }
  const files = new StoreFiles({
    volume,
    room: new DiskRoom({ storeSpace: () => space, logSpace: () => space }),
    paths,
    name: FIRST_STORE,
    store: new Store(backend),
    onFatal,
    onDefragmented: () => undefined,
  })
  return { space, paths, files, snapshot, backend }
}

function goingOnLater(backend: Backend, mayGoOn: Promise<void>): Backend {
  const pin = backend.pin.bind(backend)
  const defragment = backend.defragment.bind(backend)
  const close = backend.close.bind(backend)
  const underWay = new Set<Promise<unknown>>()
  const later = <Value>(work: Promise<Value>): Promise<Value> => {
    const done = Promise.all([work, mayGoOn]).then(([value]) => value)
    underWay.add(done)
    return done
  }
  return Object.assign(backend, {
    pin: () => later(pin()),
    defragment: () => later(defragment()),
    close: async () => {
      await Promise.allSettled(underWay)
      await close()
    },
  })
}

async function namesIn({ db, snapshots }: MemberPaths): Promise<readonly (readonly string[])[]> {
  return [await readdir(db), await readdir(snapshots)]
}

async function* inPieces(bytes: Buffer): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000)
}

function received(bytes: Buffer, index: number, term: number): IncomingSnapshot {
  const snapshot = {
    index: LogIndex(index),
    term: Term(term),
    configIndex: LogIndex(1),
    configuration: EMPTY_CONFIGURATION,
  }
  const message = { kind: 'snapshot-request', from: MemberId(2n), to: MemberId(1n), term: Term(3), snapshot } as const
  return { message, sizeBytes: bytes.length, pieces: inPieces(bytes) }
}

test('a snapshot that holds what its message says is kept under its index, and becomes the store', async (t) => {
  const { paths, files, snapshot } = await incoming(t)
  await files.keep(received(snapshot, 2, 1))
  assert.deepEqual(await namesIn(paths), [['received-2', 'store-0'], []])
  const isThere = (index: number): Promise<boolean> => hasReceived(realVolume, paths, LogIndex(index))
  assert.deepEqual([await isThere(2), await isThere(3)], [true, false])
  const replaced: Store[] = []
  await files.install(LogIndex(2), (store) => replaced.push(store))
  assert.deepEqual(
    replaced.map(({ appliedIndex, revision }) => [appliedIndex, revision]),
    [[2, 3]],
  )
  await files.close()
  assert.deepEqual(await namesIn(paths), [['store-2'], []])
})

test('one that holds something else, is no store, or breaks off, is refused before anything rests on it', async (t) => {
  const { paths, files, snapshot } = await incoming(t)
  for (const [index, term] of [
    [3, 1],
    [2, 2],
  ] as const) {
    await assert.rejects(files.keep(received(snapshot, index, term)), MalformedBytes)
  }
  await assert.rejects(files.keep(received(Buffer.from('no store'), 2, 1)), MalformedBytes)
  const brokenOff = async function* (): AsyncIterable<Uint8Array> {
    yield snapshot
    throw new Error('the stream broke off')
  }
  await assert.rejects(files.keep({ ...received(snapshot, 2, 1), pieces: brokenOff() }), /the stream broke off/)
  assert.deepEqual(await namesIn(paths), [['store-0'], []])
  assert.equal(await hasReceived(realVolume, paths, LogIndex(2)), false)
  await files.close()
})

test('one that comes when the store has passed it is not kept; of two of one entry the first', async (t) => {
  const { paths, files, snapshot } = await incoming(t)
  await Promise.all([files.keep(received(snapshot, 2, 1)), files.keep(received(snapshot, 2, 1))])
  assert.deepEqual(await namesIn(paths), [['received-2', 'store-0'], []])
  await files.install(LogIndex(2), () => undefined)
  await files.keep(received(snapshot, 2, 1))
  await files.close()
  assert.deepEqual(await namesIn(paths), [['store-2'], []])
})

test('a start installs it under the newest name, whatever unreadable store is there', async (t) => {
  const { paths, files, snapshot } = await incoming(t)
  await files.keep(received(snapshot, 2, 1))
  await files.close()
  const damaged = { beganAt: 2, generation: 1 }
  await writeFile(storePath(paths, damaged), 'no store')
  const { store, name } = await installSnapshot(realVolume, paths, LogIndex(2), damaged)
  assert.equal(store.appliedIndex, 2)
  await store.close()
  assert.deepEqual(await newestStore(realDisk, paths), name, 'the next start finds it')
  await removeAllBut(realDisk, paths, name)
  assert.deepEqual(await namesIn(paths), [['store-2.2'], []])
})

test('a snapshot becomes the store while the one before is defragmented, and waits for nothing', async (t) => {
  const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>()
  const { paths, files, snapshot } = await incoming(t, mayGoOn)
  let isDefragmented = false
  const defragmented = files.defragment().then(() => (isDefragmented = true))
  await files.keep(received(snapshot, 2, 1))
  await files.install(LogIndex(2), (store) => assert.equal(store.appliedIndex, 2))
  assert.deepEqual([isDefragmented, files.isDefragmenting], [false, true])
  goOn()
  await defragmented
  await files.close()
  assert.deepEqual(await namesIn(paths), [['store-2'], []])
})

test('what is pinned of the store before is whole although a snapshot took its place meanwhile', async (t) => {
  const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>()
  const { paths, files, snapshot } = await incoming(t, mayGoOn)
  const pinning = files.pin()
  await files.keep(received(snapshot, 2, 1))
  await files.install(LogIndex(2), () => undefined)
  goOn()
  const pinned = await pinning
  assert.ok(pinned.ok)
  await files.close()
  assert.deepEqual(await namesIn(paths), [['store-2'], []])
  const again = join(paths.snapshots, 'again')
  assert.equal((await realVolume.stores.receive(again, pinned.value.read())).appliedIndex, 0)
  await pinned.value.release()
})

test('clients pin as many stores as limits.ts says, and another when one is released', async (t) => {
  const { files } = await incoming(t)
  const pinned = await Promise.all(Array.from({ length: MAX_CLIENT_SNAPSHOTS }, () => files.pin()))
  assert.deepEqual(await files.pin(), { ok: false, error: 'too-many-requests' })
  const [first, ...others] = pinned.flatMap((pin) => (pin.ok ? [pin.value] : []))
  await first?.release()
  const another = await files.pin()
  assert.ok(another.ok)
  await Promise.all([another.value, ...others].map((pin) => pin.release()))
  await files.close()
})

test('once it is closed, pins, defragmentations and snapshots are refused', async (t) => {
  const { files, snapshot } = await incoming(t)
  await files.close()
  assert.deepEqual(await files.pin(), { ok: false, error: 'stopped' })
  for (const refused of [files.defragment(), files.keep(received(snapshot, 2, 1))])
    await assert.rejects(refused, { message: 'this member stops' })
})

test('a defragmentation that fails harms nothing, unless it leaves the store in doubt: then the process ends', async (t) => {
  const fatal: unknown[] = []
  const { files, backend } = await incoming(t, Promise.resolve(), (error) => fatal.push(error))
  const failWith = (error: Error): unknown =>
    Object.assign(backend, { defragment: () => Promise.reject<undefined>(error) })
  failWith(new Error('ENOSPC'))
  await assert.rejects(files.defragment(), /ENOSPC/)
  assert.deepEqual(fatal, [])
  failWith(new StoreInDoubt('which file?'))
  await assert.rejects(files.defragment(), StoreInDoubt)
  assert.equal(fatal.length, 1)
  await files.close()
})

test('who sends a store to a peer hears how much there is, and how much of it is sent', async (t) => {
  const { files, snapshot } = await incoming(t)
  const { message } = received(snapshot, 1, 1)
  const heard: number[] = []
  let takenBytes = 0
  const sendSnapshot = async (_: unknown, source: SnapshotSource): Promise<Result<void, string>> => {
    for await (const piece of source.read()) {
      assert.equal(heard.at(-1) ?? 0, takenBytes, 'what is still being sent does not count')
      takenBytes += piece.length
    }
    return ok(undefined)
  }
  let totalBytes = 0
  await files.send({ sendSnapshot } as unknown as PeerTransport, message, {
    onPinned: (_, sizeBytes) => (totalBytes = sizeBytes),
    onSent: (sentBytes) => heard.push(sentBytes),
  })
  assert.ok(totalBytes > 0)
  assert.deepEqual([takenBytes, heard.at(-1)], [totalBytes, totalBytes])
  await files.close()
})

test('without room on the disk no copy is begun, for whomever it would be, and the store goes on', async (t) => {
  const copying = { ...realVolume, stores: { ...realVolume.stores, copiesToPin: true } }
  const { space, paths, files, snapshot } = await incoming(t, undefined, undefined, copying)
  space.freeBytes = 1000
  assert.deepEqual(await files.pin(), { ok: false, error: 'no-room' })
  const { message } = received(snapshot, 1, 1)
  let sent = 0
  const transport = { sendSnapshot: async () => void (sent += 1) } as unknown as PeerTransport
  await assert.rejects(files.send(transport, message), { name: 'NoRoom' })
  await assert.rejects(files.defragment(), { name: 'NoRoom' })
  let read = 0
  const pieces = async function* (): AsyncIterable<Uint8Array> {
    read += 1
    yield snapshot
  }
  await assert.rejects(files.keep({ ...received(snapshot, 2, 1), pieces: pieces() }), { name: 'NoRoom' })
  assert.deepEqual([sent, read, await namesIn(paths)], [0, 0, [['store-0'], []]])
  space.freeBytes = 2 ** 40
  await files.defragment()
  const pinned = await files.pin()
  assert.ok(pinned.ok)
  await pinned.value.release()
  await files.keep(received(snapshot, 2, 1))
  await files.close()
})

test('a database that needs no copy is pinned without room, for clients and peers', async (t) => {
  const { space, files, snapshot } = await incoming(t)
  space.freeBytes = 0
  const pinned = await files.pin()
  assert.ok(pinned.ok)
  await pinned.value.release()
  const { message } = received(snapshot, 1, 1)
  const transport = { sendSnapshot: async () => ok(undefined) } as unknown as PeerTransport
  assert.deepEqual(await files.send(transport, message), ok(undefined))
  await files.close()
})
