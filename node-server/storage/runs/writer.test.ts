import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RUN_SIZES, type RunSizes } from '../../limits.ts'
import type { Write } from '../../mvcc/backend.ts'
import { MemoryDisk } from '../testing/memory-disk.ts'
import { filesOf, type Manifest } from './manifest.ts'
import { packRows } from './rows.ts'
import { SMALL_SIZES } from './testing/small-sizes.ts'
import { runPath } from './store-directory.ts'
import { Writer } from './writer.ts'

const DIRECTORY = '/store'
/** Several steps of a merge. */
const MANY_ROWS = 5000

const VALUE = Buffer.alloc(20)

function rows(first: number, count: number): readonly Uint8Array[] {
  return packed(first, count, VALUE)
}

function packed(first: number, count: number, value: Uint8Array | undefined): readonly Uint8Array[] {
  const key = (number: number): Buffer => Buffer.from(`key ${number}`)
  const writes = Array.from({ length: count }, (_, i): Write => ({ table: 'current', key: key(first + i), value }))
  return [...packRows(writes)]
}

interface HeldWriter {
  readonly writer: Writer
  readonly installed: readonly Manifest[]
  /** Lets it do so many pieces of work more, one after the other, and waits until it has. */
  readonly allow: (pieces: number) => Promise<void>
}

/** A writer that after each piece of work waits until it is let go on; at first it is. */
async function openWriter(
  disk: MemoryDisk,
  sizes: RunSizes = SMALL_SIZES,
  mergeRoomBytes: () => number = () => Infinity,
): Promise<HeldWriter> {
  const installed: Manifest[] = []
  const permits = { left: Infinity }
  let goOn = (): void => undefined
  const giveWay = async (): Promise<void> => {
    while (permits.left <= 0) await new Promise<void>((resolve) => (goOn = resolve))
    permits.left--
  }
  const onInstalled = (manifest: Manifest): void => void installed.push(manifest)
  const writer = await Writer.open(disk, DIRECTORY, { giveWay, mergeRoomBytes, onInstalled }, sizes)
  const allow = async (pieces: number): Promise<void> => {
    permits.left = pieces
    goOn()
    await rest()
  }
  return { writer, installed, allow }
}

async function rest(): Promise<void> {
  for (let i = 0; i < 2000; i++) await Promise.resolve()
}

async function sizeOf(disk: MemoryDisk): Promise<number> {
  const names = await disk.list(DIRECTORY)
  return names.reduce((sum, name) => sum + (disk.peek(`${DIRECTORY}/${name}`)?.length ?? 0), 0)
}

const countsOf = ({ runs }: Manifest): readonly number[] =>
  runs.map((run) => run.reduce((sum, file) => sum + file.rows, 0))

test('what a merge of all would write while removals follow is left for after the last of them', async () => {
  const { writer, installed, allow } = await openWriter(new MemoryDisk())
  await writer.commit(rows(0, MANY_ROWS))
  for (const first of [0, 600, 1200]) await writer.commit(packed(first, 600, undefined), true)
  await rest()
  assert.equal(installed.map(countsOf).at(-1)?.at(-1), MANY_ROWS, 'what they are removed from is as it was')
  await writer.commit(packed(1800, 1, undefined))
  await allow(Infinity)
  assert.deepEqual(installed.map(countsOf).at(-1), [MANY_ROWS - 1801])
  await writer.close()
})

test('however large a file becomes, a sync has little to write: a log on the same disk waits for no more', async () => {
  const disk = new MemoryDisk()
  const { writer } = await openWriter(disk, { ...SMALL_SIZES, fileSizeBytes: RUN_SIZES.fileSizeBytes })
  await writer.commit(packed(0, MANY_ROWS, Buffer.alloc(100)))
  await writer.close()
  const [name = ''] = filesOf(writer.manifest).map(({ id }) => runPath(DIRECTORY, id))
  const done = disk.journal.filter((operation) => /^(write|sync) /.test(operation) && operation.includes(name))
  const writes = done.filter((operation) => operation.startsWith('write'))
  assert.ok(writes.length > 5, `${writes.length} writes`)
  assert.equal(done.length, 2 * writes.length, done.join('\n'))
})

test('a commit goes before the next step of a merge', async () => {
  const { writer, installed, allow } = await openWriter(new MemoryDisk())
  for (let i = 0; i < 2; i++) await writer.commit(rows(i * 10, MANY_ROWS))
  await allow(0)
  const defragmented = writer.defragment()
  await allow(2)
  const committed = writer.commit(rows(0, 1))
  await allow(1)
  await committed
  assert.deepEqual(installed.map(countsOf).at(-1), [1, MANY_ROWS, MANY_ROWS], 'the merge is not through')
  await allow(Infinity)
  await defragmented
  assert.deepEqual(countsOf(writer.manifest), [1, MANY_ROWS + 10])
  await writer.close()
})

test('a merge of newer runs goes before the larger one under way', async () => {
  const { writer, installed, allow } = await openWriter(new MemoryDisk())
  for (let i = 0; i < 2; i++) await writer.commit(rows(i * 10, MANY_ROWS))
  await allow(0)
  const defragmented = writer.defragment()
  await allow(2)
  for (let i = 0; i < 4; i++) {
    const committed = writer.commit(rows(i, 5))
    await allow(1)
    await committed
  }
  await allow(Infinity)
  await defragmented
  await writer.close()
  const counts = installed.map(({ runs }) => runs.length)
  assert.deepEqual(counts.slice(-3), [6, 3, 2], 'four became one, and then the two beneath them')
})

test('commits wait while there are too many runs, and go on when a merge cannot be made', async () => {
  const { writer, installed } = await openWriter(new MemoryDisk(), { ...SMALL_SIZES, maxMerges: 0 })
  for (let i = 0; i < SMALL_SIZES.maxRuns; i++) await writer.commit(rows(i, 5))
  let isThrough = false
  const waiting = writer.commit(rows(0, 1)).then(() => (isThrough = true))
  await rest()
  assert.equal(isThrough, false)
  await writer.defragment()
  await waiting
  assert.equal(Math.max(...installed.map(({ runs }) => runs.length)), SMALL_SIZES.maxRuns)
  await writer.close()
})

test('no merge is begun for which there is no room; commits do not wait for one, and it is made when there is', async () => {
  const room = { bytes: 0 }
  const { writer } = await openWriter(new MemoryDisk(), SMALL_SIZES, () => room.bytes)
  for (let i = 0; i < 3 * SMALL_SIZES.maxRuns; i++) await writer.commit(rows(i, 50))
  assert.equal(writer.manifest.runs.length, 3 * SMALL_SIZES.maxRuns)
  room.bytes = Infinity
  await writer.commit(rows(0, 1))
  await rest()
  assert.ok(writer.manifest.runs.length < SMALL_SIZES.maxRuns, `${writer.manifest.runs.length} runs`)
  await writer.close()
})

test('a merge for which there is no room changes nothing, and after the next commit it is made', async () => {
  const COMMITS = 8
  /** How many of the commits were taken when that operation finds no room. */
  const live = async (disk: MemoryDisk, atOperation: number): Promise<number> => {
    disk.fault = { atOperation, kind: 'ENOSPC' }
    const { writer } = await openWriter(disk)
    let taken = 0
    for (; taken < COMMITS; taken++) {
      const isTaken = await writer.commit(rows(taken, 50)).then(
        () => true,
        () => false,
      )
      if (!isTaken) break
      await rest()
    }
    if (taken === COMMITS) assert.ok(writer.manifest.runs.length <= 2, 'as without the fault')
    await writer.close()
    return taken
  }
  const undisturbed = new MemoryDisk()
  assert.equal(await live(undisturbed, Infinity), COMMITS)
  const made = undisturbed.journal.flatMap((operation, i) => (/^create .*\.run$/.test(operation) ? i + 1 : []))
  const taken = await Promise.all(made.slice(0, -2).map((operation) => live(new MemoryDisk(), operation)))
  assert.equal(
    taken.filter((count) => count === COMMITS).length,
    made.length - 2 - (COMMITS - 1),
    'those that merges make',
  )
})

test('a defragmentation gives the space of what was removed back', async () => {
  const disk = new MemoryDisk()
  const { writer } = await openWriter(disk)
  await writer.commit(rows(0, MANY_ROWS))
  const full = await sizeOf(disk)
  await writer.commit(packed(10, MANY_ROWS - 10, undefined))
  await writer.defragment()
  writer.noteOpened(writer.manifest.number)
  await rest()
  assert.ok((await sizeOf(disk)) < full / 50)
  await writer.close()
})

test('no file is removed before the reader has let go of it', async () => {
  const disk = new MemoryDisk()
  const { writer } = await openWriter(disk)
  for (let i = 0; i < 2; i++) await writer.commit(rows(i, 50))
  await writer.defragment()
  await rest()
  const removed = (): readonly string[] => disk.journal.filter((operation) => /^remove .*\.run$/.test(operation))
  assert.deepEqual(removed(), [])
  writer.noteOpened(writer.manifest.number - 1)
  await rest()
  assert.deepEqual(removed(), [])
  writer.noteOpened(writer.manifest.number)
  await rest()
  assert.equal(removed().length, 2)
  await writer.close()
})
