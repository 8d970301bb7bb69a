import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterId, LogIndex, MemberId, NOBODY, Term } from '../../lib/ids.ts'
import { QUICK_SYNC } from '../limits.ts'
import type { Entry, HardState } from '../raft/message.ts'
import type { Disk } from './disk.ts'
import { Crashed, KEEP_ALL, KEEP_NOTHING, MemoryDisk, type Choose } from './testing/memory-disk.ts'
import { StorageFailed, Wal, type WalOptions, type WalState } from './wal.ts'
import { replay, type WalContents } from './wal-replay.ts'

const FOLDER = '/data/wal'
const identity = { clusterId: ClusterId(0xc1n), memberId: MemberId(0xa1n), incarnation: 7n }
const NEW: WalState = {
  identity,
  base: { index: LogIndex(1), term: Term(1) },
  hardState: { term: Term(1), vote: NOBODY, commit: LogIndex(1) },
}
const entry = (index: number, term = 1, size = 40): Entry => ({
  term: Term(term),
  index: LogIndex(index),
  kind: 'normal',
  data: Buffer.alloc(size, index),
})
const hardState = (term: number, commit: number): HardState => ({
  term: Term(term),
  vote: MemberId(0xa1n),
  commit: LogIndex(commit),
})
const options = (segmentSizeBytes = 1 << 20): WalOptions => ({
  segmentSizeBytes,
  preparedSizeBytes: 1024,
  onSync: () => undefined,
})

async function create(disk: Disk, segmentSizeBytes?: number): Promise<Wal> {
  const wal = await Wal.create(disk, FOLDER, NEW, options(segmentSizeBytes))
  for (const folder of ['/', '/data']) await disk.syncDirectory(folder)
  return wal
}

async function read(disk: Disk): Promise<WalContents> {
  const found = await replay(disk, FOLDER)
  assert.ok(found.ok, found.ok ? '' : found.error)
  return found.value
}

const indexes = (found: WalContents): string => found.entries.map(({ index, term }) => `${index}/${term}`).join(' ')

test('what an append resolved for is there after a crash that keeps nothing else', async () => {
  const disk = new MemoryDisk()
  const wal = await create(disk)
  await wal.append(hardState(2, 1), [entry(2, 2), entry(3, 2)], true)
  const found = await read(disk.crash(KEEP_NOTHING))
  assert.equal(indexes(found), '2/2 3/2')
  assert.deepEqual(found.state.hardState, hardState(2, 1))
  assert.deepEqual(found.state.identity, identity)
  assert.deepEqual(Buffer.from(found.entries[0]?.data ?? []), entry(2).data)
})

test('an entry replaces the one with its index and all behind it (Raft §5.3)', async () => {
  const disk = new MemoryDisk()
  const wal = await create(disk)
  await wal.append(hardState(2, 1), [entry(2, 2), entry(3, 2), entry(4, 2)], true)
  await wal.append(hardState(3, 1), [entry(3, 3)], true)
  assert.equal(indexes(await read(disk.crash(KEEP_NOTHING))), '2/2 3/3')
})

test('a mere commit index costs no write of its own and goes with the next append or the close', async () => {
  const disk = new MemoryDisk()
  const wal = await create(disk)
  await wal.append(hardState(2, 1), [entry(2, 2)], true)
  const before = disk.operations
  await wal.append(hardState(2, 2), [], false)
  assert.equal(disk.operations, before)
  await wal.close()
  assert.equal((await read(disk)).state.hardState.commit, 2)
})

test('all else stands still for a sync only where that was allowed, and once the disk has been quick for a while', async () => {
  const memory = new MemoryDisk()
  const pauses: boolean[] = []
  const disk: Disk = {
    open: async (path, how) => {
      const file = await memory.open(path, how)
      return {
        ...file,
        sync: (mayPause) => {
          pauses.push(mayPause === true)
          return file.sync()
        },
      }
    },
    readFile: (path) => memory.readFile(path),
    list: (directory) => memory.list(directory),
    makeDirectory: (path) => memory.makeDirectory(path),
    rename: (from, to) => memory.rename(from, to),
    remove: (path) => memory.remove(path),
    syncDirectory: (path) => memory.syncDirectory(path),
  }
  const wal = await create(disk, 1 << 30)
  let index = 1
  const append = async (mayPause: boolean): Promise<boolean | undefined> => {
    index += 1
    await wal.append(undefined, [entry(index)], true, mayPause)
    return pauses.at(-1)
  }
  while (pauses.length < QUICK_SYNC.times) assert.equal(await append(true), false)
  // However slow the machine is meanwhile.
  let hasPaused = false
  while (!hasPaused) hasPaused = (await append(true)) === true
  assert.equal(await append(false), false)
})

test('segments that the store covers are deleted, and the log still starts afterwards', async () => {
  const disk = new MemoryDisk()
  const wal = await create(disk, 1000)
  for (let i = 2; i <= 100; i++) await wal.append(hardState(2, i - 1), [entry(i, 2)], true)
  const before = await disk.list(FOLDER)
  await wal.setBase({ index: LogIndex(90), term: Term(2) })
  const after = await disk.list(FOLDER)
  assert.ok(before.length > 8 && after.length < 4, `${before.length} segments, then ${after.length}`)
  const found = await read(disk.crash(KEEP_NOTHING))
  assert.deepEqual(found.state.base, { index: 90, term: 2 })
  assert.equal(found.entries.length, 10)
  assert.equal(found.entries[0]?.index, 91)
  assert.equal(found.state.hardState.commit, 99)
})

test('after a start the log goes on where it ended, in the same segment', async () => {
  let disk = new MemoryDisk()
  await (await create(disk)).append(hardState(2, 1), [entry(2, 2)], true)
  for (let i = 3; i < 6; i++) {
    disk = disk.crash(KEEP_NOTHING)
    const wal = await Wal.resume(disk, FOLDER, await read(disk), options())
    await wal.append(hardState(i, i - 1), [entry(i, i)], true)
  }
  assert.equal(indexes(await read(disk.crash(KEEP_NOTHING))), '2/2 3/3 4/4 5/5')
  assert.equal((await disk.list(FOLDER)).length, 1)
})

test('a snapshot that was installed begins the log again behind it', async () => {
  const disk = new MemoryDisk()
  const wal = await create(disk)
  await wal.append(hardState(2, 1), [entry(2, 2), entry(3, 2)], true)
  await wal.setBase({ index: LogIndex(50), term: Term(4) })
  await wal.append(hardState(4, 50), [entry(51, 4)], true)
  const found = await read(disk.crash(KEEP_NOTHING))
  assert.deepEqual(found.state.base, { index: 50, term: 4 })
  assert.equal(indexes(found), '51/4')
})

/** A life of the log with all that it does; tells after each step what was promised. */
async function life(disk: Disk, promised: { entries: Entry[]; base: number; commit: number }): Promise<void> {
  let wal = await create(disk, 1500)
  const put = async (from: number, to: number, term: number): Promise<void> => {
    const entries = []
    for (let i = from; i <= to; i++) entries.push(entry(i, term, 300))
    await wal.append(hardState(term, from - 1), entries, true)
    promised.entries = [...promised.entries.filter((old) => old.index < from), ...entries]
    promised.commit = from - 1
  }
  await put(2, 4, 2)
  await put(5, 9, 2)
  await put(8, 10, 3)
  await put(11, 12, 3)
  await wal.setBase({ index: LogIndex(8), term: Term(3) })
  promised.base = 8
  await put(13, 14, 4)
  await wal.close()
  wal = await Wal.resume(disk, FOLDER, await read(disk), options(1500))
  await put(15, 15, 5)
  await wal.setBase({ index: LogIndex(14), term: Term(4) })
  promised.base = 14
  await put(16, 18, 5)
}

function random(seed: number): Choose {
  let state = seed
  return (count) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * count)
  }
}

for (const kind of ['crash', 'ENOSPC', 'EIO'] as const)
  test(`${kind} at any operation loses nothing that was promised, whatever the disk kept of the rest`, async () => {
    const whole = new MemoryDisk()
    await life(whole, { entries: [], base: 1, commit: 0 })
    assert.ok(whole.operations > 30, `${whole.operations} operations`)
    const choices: Choose[] = [KEEP_NOTHING, KEEP_ALL, ...Array.from({ length: 12 }, (_, seed) => random(seed + 1))]
    for (let atOperation = 1; atOperation <= whole.operations; atOperation++) {
      for (const [i, choose] of choices.entries()) {
        const disk = new MemoryDisk()
        disk.fault = { atOperation, kind }
        const promised: { entries: Entry[]; base: number; commit: number } = { entries: [], base: 1, commit: 0 }
        await assert.rejects(life(disk, promised))
        if (promised.entries.length === 0) continue // the folder itself was still being made: nothing was promised
        const what = `${kind} at ${disk.journal.at(atOperation - 1)}, choice ${i}`
        const next = disk.crash(choose)
        const found = await replay(next, FOLDER)
        assert.ok(found.ok, `${what}: ${found.ok ? '' : found.error}`)
        check(found.value, promised, what)
        const wal = await Wal.resume(next, FOLDER, found.value, options(1500))
        const from = LogIndex(found.value.state.base.index + found.value.entries.length + 1)
        await wal.append(hardState(9, from), [entry(from, 9), entry(from + 1, 9)], true)
        await wal.setBase({ index: from, term: Term(9) })
        const after = await replay(next.crash(KEEP_NOTHING), FOLDER)
        assert.ok(after.ok, `${what}, then the old segments went: ${after.ok ? '' : after.error}`)
        const expected = { identity, base: { index: from, term: 9 }, hardState: hardState(9, from) }
        assert.deepEqual(after.value.state, expected, what)
        assert.equal(indexes(after.value), `${from + 1}/9`, what)
      }
    }
  })

/** Everything promised is there; the change that was under way is there as a whole or not at all. */
function check(found: WalContents, promised: { entries: Entry[]; base: number; commit: number }, what: string): void {
  assert.deepEqual(found.state.identity, identity, what)
  assert.ok(found.state.base.index >= promised.base, `${what}: base ${found.state.base.index}`)
  assert.ok(found.state.hardState.commit >= promised.commit, what)
  const byIndex = new Map(found.entries.map((each) => [each.index, each]))
  for (const each of promised.entries) {
    if (each.index <= found.state.base.index) continue
    const there = byIndex.get(each.index)
    assert.ok(there !== undefined, `${what}: entry ${each.index} is gone`)
    assert.ok(there.term >= each.term, `${what}: entry ${each.index} is of term ${there.term}`)
    assert.deepEqual(Buffer.from(there.data), each.data, what)
  }
}

for (const kind of ['ENOSPC', 'EIO'] as const) {
  test(`after ${kind} the log takes nothing more, says why, and has lost nothing it acknowledged`, async () => {
    const probe = new MemoryDisk()
    await (await create(probe)).append(hardState(2, 1), [entry(2, 2)], true)
    for (const step of [1, 2]) {
      const disk = new MemoryDisk()
      const wal = await create(disk)
      await wal.append(hardState(2, 1), [entry(2, 2)], true)
      disk.fault = { atOperation: disk.operations + step, kind } // the write, then the sync
      const expected = kind === 'ENOSPC' ? /the disk is full/ : /the disk failed/
      await assert.rejects(wal.append(hardState(2, 2), [entry(3, 2, 2000)], true), (error: Error) => {
        assert.ok(error instanceof StorageFailed)
        assert.match(error.message, expected)
        return true
      })
      const operations = disk.operations
      await assert.rejects(wal.append(hardState(2, 2), [entry(3, 2)], true), StorageFailed)
      assert.equal(disk.operations, operations, 'a failed sync is never tried again')
      assert.equal((await read(disk.crash(KEEP_NOTHING))).entries[0]?.index, 2)
    }
  })
}

/** Without the zeros that were written ahead. */
function usedBytes(bytes: Buffer): number {
  return bytes.findLastIndex((byte) => byte !== 0) + 1
}

test('damage anywhere but in a torn tail refuses to start and says where', async () => {
  const disk = new MemoryDisk()
  const wal = await create(disk, 1500)
  for (let i = 2; i <= 12; i++) await wal.append(hardState(2, i - 1), [entry(i, 2, 300)], true)
  const names = await disk.list(FOLDER)
  assert.ok(names.length > 1)
  for (const name of names) {
    const path = `${FOLDER}/${name}`
    for (let at = 0; at < usedBytes(await disk.readFile(path)); at += 7) {
      const damaged = disk.crash(KEEP_ALL)
      damaged.damage(path, (bytes) => {
        bytes[at] = (bytes[at] ?? 0) ^ 0x40
        return bytes
      })
      const found = await replay(damaged, FOLDER)
      assert.ok(!found.ok, `a flipped bit at byte ${at} of ${name} goes unnoticed`)
      assert.match(found.error, new RegExp(`${name} at byte \\d+: .*remove the member from the cluster and add it`))
    }
  }
})

test('a stray bit in the space that was made ready is cut off and takes nothing with it', async () => {
  const disk = new MemoryDisk()
  const wal = await create(disk)
  await wal.append(hardState(2, 1), [entry(2, 2)], true)
  const [name] = await disk.list(FOLDER)
  const { length } = await disk.readFile(`${FOLDER}/${name}`)
  assert.equal(length, 1024)
  disk.damage(`${FOLDER}/${name}`, (bytes) => bytes.fill(1, length - 5, length - 4))
  const found = await read(disk)
  assert.equal(indexes(found), '2/2')
  await Wal.resume(disk, FOLDER, found, options())
  assert.equal((await disk.readFile(`${FOLDER}/${name}`)).length, found.endOffset)
})

test('a missing or shortened segment in the middle refuses to start', async () => {
  const disk = new MemoryDisk()
  const wal = await create(disk, 1500)
  for (let i = 2; i <= 20; i++) await wal.append(hardState(2, i - 1), [entry(i, 2, 300)], true)
  const [, second] = await disk.list(FOLDER)
  const missing = disk.crash(KEEP_ALL)
  await missing.remove(`${FOLDER}/${second}`)
  assert.ok(!(await replay(missing, FOLDER)).ok)
  const size = usedBytes(await disk.readFile(`${FOLDER}/${second}`))
  for (let cut = 0; cut < size; cut += 11) {
    const shortened = disk.crash(KEEP_ALL)
    shortened.damage(`${FOLDER}/${second}`, (bytes) => Buffer.from(bytes.subarray(0, cut)))
    assert.ok(!(await replay(shortened, FOLDER)).ok, `cut at ${cut}`)
  }
})

test('a crashed disk takes nothing more', async () => {
  const disk = new MemoryDisk()
  const wal = await create(disk)
  disk.crash(KEEP_NOTHING)
  await assert.rejects(
    wal.append(hardState(2, 1), [entry(2, 2)], true),
    (error: Error) => error.cause instanceof Crashed,
  )
})
