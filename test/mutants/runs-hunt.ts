/** What must hold for the engine under the store until something does not: ends with 1 then, with 0 when all does. For planted bugs. */
import { compareWithMemory } from '../../node-server/storage/runs/testing/compare-with-memory.ts'
import { liveUndisturbed, strike } from '../../node-server/storage/runs/testing/crash-points.ts'
import { makeStore } from '../../node-server/storage/runs/testing/flips.ts'
import { SMALL_SIZES } from '../../node-server/storage/runs/testing/small-sizes.ts'
import { localWriter } from '../../node-server/storage/runs/writer-link.ts'
import { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'

const SEEDS = 8
const FLIP_STRIDE = 397

async function* checks(): AsyncGenerator<string> {
  const store = await makeStore()
  for (const { path, sizeBytes } of store.files) {
    yield `flipped bits in ${path}`
    for (let offset = 7; offset < sizeBytes; offset += FLIP_STRIDE) await store.flip(path, offset, 1)
  }
  for (let seed = 1; seed <= SEEDS; seed++) {
    yield `the twin in memory, seed ${seed}`
    const disk = new MemoryDisk()
    await compareWithMemory(seed, 80, disk, '/', localWriter(disk, SMALL_SIZES))
  }
  yield 'a life without faults'
  const { operations } = await liveUndisturbed()
  yield 'crash points'
  for (let atOperation = 1; atOperation <= operations; atOperation++) await strike({ atOperation, kind: 'crash' }, 2)
}

let current = 'nothing'
try {
  for await (const next of checks()) current = next
} catch (error) {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : ''
  console.log(`CAUGHT by ${current}: ${`${String(error)}${cause}`.replaceAll('\n', ' ').slice(0, 150)}`)
  process.exitCode = 1
}
