import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MalformedBytes } from '../../../lib/bytes.ts'
import { StoreDamaged, type Write } from '../../mvcc/backend.ts'
import { KEEP_ALL, MemoryDisk } from '../testing/memory-disk.ts'
import { receiveArchive } from './archive.ts'
import { RunsBackend } from './runs-backend.ts'
import { makeStore } from './testing/flips.ts'
import { SMALL_SIZES } from './testing/small-sizes.ts'
import { hostWriter, type WriterHost } from './writer-host.ts'
import { localWriter } from './writer-link.ts'

const STRIDE = 101
const DIRECTORY = '/store'

const open = (disk: MemoryDisk): Promise<RunsBackend> =>
  RunsBackend.open(disk, DIRECTORY, localWriter(disk, SMALL_SIZES), SMALL_SIZES)

const writesOf = (commit: number, keys = 100): readonly Write[] =>
  Array.from({ length: keys }, (_, i) => ({
    table: 'current',
    key: Buffer.from(`key ${i}`),
    value: Buffer.alloc(100, commit),
  }))

const flip = (disk: MemoryDisk, path: string, offset: number): void =>
  disk.damage(path, (bytes) => {
    bytes.writeUInt8(bytes.readUInt8(offset) ^ 4, offset)
    return bytes
  })

const runFiles = async (disk: MemoryDisk): Promise<readonly string[]> =>
  (await disk.list(DIRECTORY)).filter((name) => name.endsWith('.run')).map((name) => `${DIRECTORY}/${name}`)

test('a flipped bit anywhere in a store is told by a read, and no read gives anything wrong', async () => {
  const store = await makeStore()
  let flipped = 0
  for (const { path, sizeBytes } of store.files) {
    for (let offset = 0; offset < sizeBytes; offset += offset < sizeBytes - 200 ? STRIDE : 7) {
      await store.flip(path, offset, 1 << (offset % 8))
      flipped++
    }
  }
  assert.ok(flipped > 300, `${flipped} flips`)
})

test('a file or the manifest that is cut off, or is missing, is told when the store is opened', async () => {
  const disk = new MemoryDisk()
  const store = await open(disk)
  await store.commit(writesOf(1))
  await store.close()
  for (const path of [`${DIRECTORY}/manifest`, ...(await runFiles(disk))]) {
    for (const sizeBytes of [0, 1, 50, 75]) {
      const cut = disk.survivor(KEEP_ALL)
      cut.damage(path, (bytes) => bytes.subarray(0, sizeBytes))
      await assert.rejects(open(cut), StoreDamaged)
    }
    const without = disk.survivor(KEEP_ALL)
    await without.remove(path)
    await assert.rejects(open(without), StoreDamaged)
  }
})

test('damage that a merge meets is told by the next commit, and takes nothing with it', async () => {
  const disk = new MemoryDisk()
  const store = await open(disk)
  await store.commit(writesOf(1))
  const [path = ''] = await runFiles(disk)
  flip(disk, path, 1000)
  await store.commit(writesOf(2, 10))
  await assert.rejects(store.defragment(), StoreDamaged)
  await assert.rejects(store.commit(writesOf(3)), StoreDamaged)
  assert.ok((await runFiles(disk)).includes(path))
  await store.close()
})

/** Each block, filter page and footer of each file in turn has a flipped bit; the process may have read it before. */
test('scrubbing finds damage in what nobody reads, and the next read or commit fails with it', async () => {
  const disk = new MemoryDisk()
  const store = await open(disk)
  await store.commit(writesOf(1))
  await store.close()
  for (const path of await runFiles(disk)) {
    const sizeBytes = disk.peek(path)?.length ?? 0
    for (let offset = 0; offset < sizeBytes; offset += 997) {
      const damaged = disk.survivor(KEEP_ALL)
      const { looked, opened } = await openWithScrub(damaged)
      assert.equal(await looked(), true)
      flip(damaged, path, offset)
      assert.equal(await looked(), true)
      const where = (error: unknown): boolean => error instanceof StoreDamaged && error.where.startsWith(path)
      assert.throws(() => opened.get('current', Buffer.from('any key')), where)
      assert.throws(() => opened.count('current', Buffer.of(0), undefined), where)
      await assert.rejects(opened.commit(writesOf(2)), where)
      await opened.close()
    }
  }
})

test('all of a sound store is looked at in a round, whatever is merged meanwhile', async () => {
  const disk = new MemoryDisk()
  const { looked, opened } = await openWithScrub(disk)
  for (let commit = 1; commit < 12; commit++) {
    const round = looked()
    await opened.commit(writesOf(commit))
    assert.equal(await round, true)
  }
  await opened.defragment()
  const last = looked()
  await opened.close()
  assert.equal(await last, true)
})

/** `looked`: a whole round of looking for damage is through. */
async function openWithScrub(
  disk: MemoryDisk,
): Promise<{ readonly looked: () => Promise<boolean>; readonly opened: RunsBackend }> {
  let host: WriterHost | undefined
  const giveWay = (): Promise<void> => Promise.resolve()
  const opened = await RunsBackend.open(
    disk,
    DIRECTORY,
    (directory, hear) => {
      const started = hostWriter(disk, directory, SMALL_SIZES, { giveWay }, hear)
      host = started
      return { send: started.receive, giveWay, end: giveWay }
    },
    SMALL_SIZES,
  )
  const looked = async (): Promise<boolean> => {
    while ((await host?.scrub()) === false);
    return true
  }
  return { looked, opened }
}

test('nothing damaged is sent', async () => {
  const disk = new MemoryDisk()
  const store = await open(disk)
  await store.commit(writesOf(1))
  const pinned = await store.pin()
  const [path = ''] = await runFiles(disk)
  flip(disk, path, 1000)
  await assert.rejects(Array.fromAsync(pinned.read()), StoreDamaged)
  await pinned.release()
  await store.close()
})

test('an archive that is cut off anywhere, has a flipped bit or something behind it becomes no store', async () => {
  const disk = new MemoryDisk()
  const store = await open(disk)
  await store.commit(writesOf(1))
  const pinned = await store.pin()
  const archive = Buffer.concat(await Array.fromAsync(pinned.read()))
  await pinned.release()
  await store.close()
  const receive = async (bytes: Buffer): Promise<void> => {
    const target = new MemoryDisk()
    const isRefused = (error: unknown): boolean => error instanceof MalformedBytes || error instanceof StoreDamaged
    await assert.rejects(
      receiveArchive(
        target,
        DIRECTORY,
        (async function* () {
          yield bytes.subarray(0, 1000)
          yield bytes.subarray(1000)
        })(),
      ),
      isRefused,
    )
    assert.deepEqual(await target.list('/'), [])
  }
  for (let size = 0; size < archive.length; size += 37) await receive(archive.subarray(0, size))
  for (let offset = 0; offset < archive.length; offset += 37) {
    const flipped = Buffer.from(archive)
    flipped.writeUInt8(flipped.readUInt8(offset) ^ 1, offset)
    await receive(flipped)
  }
  await receive(Buffer.concat([archive, Buffer.of(0)]))
})
