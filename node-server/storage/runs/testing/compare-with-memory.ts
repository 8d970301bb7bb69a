/** Commits, merges, defragmentations, pins and restarts at random, compared with the backend in memory. */
import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import type { RunSizes } from '../../../limits.ts'
import { TABLES, type PinnedStore, type ScanOptions, type Table, type Write } from '../../../mvcc/backend.ts'
import { MemoryBackend } from '../../../mvcc/memory-backend.ts'
import { seeded } from '../../../raft/testing/random.ts'
import type { Disk } from '../../disk.ts'
import { receiveArchive } from '../archive.ts'
import { RunsBackend } from '../runs-backend.ts'
import type { StartWriter } from '../writer-link.ts'
import { SMALL_SIZES } from './small-sizes.ts'

/** In so many pieces as come of it. */
function countInPieces(
  runs: RunsBackend,
  table: Table,
  start: Uint8Array,
  end: Uint8Array | undefined,
  rows: number,
): number {
  let count = 0
  for (let next: Uint8Array | undefined = start; next !== undefined;) {
    const some = runs.countSome(table, next, end, rows)
    assert.ok(some.next === undefined || Buffer.compare(some.next, next) > 0, 'it gets on')
    count += some.count
    next = some.next
  }
  return count
}

type Reads = Pick<RunsBackend, 'get' | 'scan' | 'count'>

function rows(of: Reads, table: Table, start: Uint8Array, end: Uint8Array | undefined, options: ScanOptions): string[] {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
  return Array.from(of.scan(table, start, end, options), ({ key, value }) => `${text(key)}=${text(value)}`)
}

function assertSame(runs: Reads, memory: Reads): void {
  for (const table of TABLES) {
    for (const isReverse of [false, true]) {
      const [found, expected] = [runs, memory].map((of) => rows(of, table, Buffer.of(0), undefined, { isReverse }))
      assert.deepEqual(found, expected)
    }
  }
}

/** Keys that are like one another, some with bytes that order must get right, a few of them long. */
function keyOf(random: (below: number) => number): Buffer {
  const prefix =
    ['', 'p', 'pp', '/registry/pods/namespace/', 'x'.repeat(random(50) === 0 ? 1900 : 300)][random(5)] ?? ''
  return Buffer.from(`${prefix}${random(400)}${random(20) === 0 ? '\xff\0' : ''}`, 'latin1')
}

export async function compareWithMemory(
  seed: number,
  rounds: number,
  disk: Disk,
  directory: string,
  writer: StartWriter,
  sizes: RunSizes = SMALL_SIZES,
): Promise<void> {
  const random = seeded(seed).below
  const table = (): Table => TABLES[random(6)] ?? 'meta'
  const path = join(directory, 'store')
  const open = (): Promise<RunsBackend> => RunsBackend.open(disk, path, writer, sizes)
  const memory = new MemoryBackend()
  let runs = await open()
  const pins: { readonly pinned: PinnedStore; readonly memory: MemoryBackend }[] = []
  const release = async ({ pinned, memory: expected }: (typeof pins)[number], copyPath: string): Promise<void> => {
    await receiveArchive(disk, copyPath, pinned.read())
    const copy = await RunsBackend.openReadOnly(disk, copyPath)
    assertSame(copy, expected)
    await copy.close()
    await pinned.release()
    await disk.remove(copyPath)
  }
  try {
    for (let round = 0; round < rounds; round++) {
      const writes = Array.from({ length: 1 + random(random(4) === 0 ? 300 : 20) }, (): Write => {
        const value = random(3) === 0 ? undefined : Buffer.alloc(random(100) === 0 ? 20_000 : random(200), `${round} `)
        return { table: table(), key: keyOf(random), value }
      })
      const committed = runs.commit(writes)
      if (random(15) === 0) await runs.defragment()
      await committed
      assert.ok(runs.runCount <= sizes.maxRuns, `${runs.runCount} runs`)
      await memory.commit(writes)
      if (random(10) === 0) pins.push({ pinned: await runs.pin(), memory: memory.copy() })
      if (random(15) === 0) {
        await runs.close()
        runs = await open()
      }
      const pin = random(8) === 0 ? pins.shift() : undefined
      if (pin !== undefined) await release(pin, join(directory, `copy-${round}`))
      for (let i = 0; i < 10; i++) {
        const of = table()
        const [start, end] = [keyOf(random), random(3) === 0 ? undefined : keyOf(random)]
        const options = { isReverse: random(2) === 0, ...(random(2) === 0 ? { limit: random(50) } : {}) }
        assert.deepEqual(rows(runs, of, start, end, options), rows(memory, of, start, end, options))
        assert.equal(runs.count(of, start, end), memory.count(of, start, end))
        assert.equal(countInPieces(runs, of, start, end, 1 + random(5)), memory.count(of, start, end))
      }
      for (let i = 0; i < 100; i++) {
        const [of, key] = [table(), keyOf(random)]
        assert.deepEqual(runs.get(of, key), memory.get(of, key))
      }
    }
    assertSame(runs, memory)
    for (const pin of pins) await release(pin, join(directory, 'copy'))
  } finally {
    await runs.close()
  }
}
