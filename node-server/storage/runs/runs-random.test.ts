import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { RUN_SIZES } from '../../limits.ts'
import { realDisk } from '../disk.ts'
import { MemoryDisk } from '../testing/memory-disk.ts'
import { compareWithMemory } from './testing/compare-with-memory.ts'
import { SMALL_SIZES } from './testing/small-sizes.ts'
import { localWriter, threadWriter } from './writer-link.ts'

for (let seed = 1; seed <= 12; seed++) {
  test(`runs hold what memory holds, on a simulated disk, seed ${seed}`, async () => {
    const disk = new MemoryDisk()
    await compareWithMemory(seed, 80, disk, '/', localWriter(disk, SMALL_SIZES))
  })
}

for (const seed of [101, 102]) {
  test(`runs hold what memory holds, with a thread, seed ${seed}`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'raftkv-runs-'))
    try {
      await compareWithMemory(seed, 60, realDisk, directory, threadWriter, RUN_SIZES)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
}
