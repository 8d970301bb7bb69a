/** A store of a few runs on a disk whose bytes are then flipped: whatever is read of it is right, or the damage is told. */
import { strict as assert } from 'node:assert'
import { TABLES, StoreDamaged, type Write } from '../../../mvcc/backend.ts'
import { KEEP_ALL, MemoryDisk } from '../../testing/memory-disk.ts'
import { RunsBackend } from '../runs-backend.ts'
import { localWriter } from '../writer-link.ts'
import { SMALL_SIZES } from './small-sizes.ts'

const DIRECTORY = '/store'
const KEYS = 400

export interface FlippedStore {
  /** All that could be damaged: a file, and how many bytes it has. */
  readonly files: readonly { readonly path: string; readonly sizeBytes: number }[]
  /** Throws when one byte that was changed goes unnoticed. */
  flip(path: string, offset: number, mask: number): Promise<void>
}

export async function makeStore(): Promise<FlippedStore> {
  const disk = new MemoryDisk()
  const open = (on: MemoryDisk): Promise<RunsBackend> =>
    RunsBackend.open(on, DIRECTORY, localWriter(on, SMALL_SIZES), SMALL_SIZES)
  const store = await open(disk)
  for (const commit of [0, 1, 2]) await store.commit(writesOf(commit))
  const expected = readAll(store)
  await store.close()
  const names = await disk.list(DIRECTORY)
  const files = names.map((name) => ({
    path: `${DIRECTORY}/${name}`,
    sizeBytes: disk.peek(`${DIRECTORY}/${name}`)?.length ?? 0,
  }))
  return {
    files,
    flip: async (path, offset, mask) => {
      const damaged = disk.survivor(KEEP_ALL)
      damaged.damage(path, (bytes) => {
        bytes.writeUInt8(bytes.readUInt8(offset) ^ mask, offset)
        return bytes
      })
      const isNoticed = await noticesDamage(() => open(damaged), expected)
      assert.ok(isNoticed, `${path}, byte ${offset}, bits ${mask}: nothing was noticed`)
    },
  }
}

function writesOf(commit: number): readonly Write[] {
  const writes: Write[] = []
  for (let number = commit; number < KEYS; number += commit + 1) {
    const value =
      commit === 2 && number % 5 === 0 ? undefined : Buffer.from(`value ${commit} ${'v'.repeat(number % 60)}`)
    for (const table of ['revisions', 'current'] as const) writes.push({ table, key: keyOf(number), value })
  }
  return writes
}

function keyOf(number: number): Buffer {
  return Buffer.from(`/registry/pods/${String(number).padStart(5, '0')}`)
}

/** Answers of every kind of read, each as text. */
function readAll(store: RunsBackend): readonly string[] {
  return READS.map((read) => read(store))
}

const text = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? '-' : Buffer.from(bytes).toString('latin1')

const READS: readonly ((store: RunsBackend) => string)[] = TABLES.slice(0, 2).flatMap((table) => [
  ...[false, true].map(
    (isReverse) =>
      (store: RunsBackend): string =>
        Array.from(
          store.scan(table, Buffer.of(0), undefined, { isReverse }),
          ({ key, value }) => `${text(key)}=${text(value)}`,
        ).join(),
  ),
  (store: RunsBackend): string => String(store.count(table, Buffer.of(0), undefined)),
  // Keys that are not there ask the filters.
  ...Array.from(
    { length: KEYS },
    (_, i) =>
      (store: RunsBackend): string =>
        `${text(store.get(table, keyOf(i)))}${text(store.get(table, keyOf(i + KEYS)))}`,
  ),
])

/** Every read is right or throws `StoreDamaged`, and one did, or the opening. Anything else is thrown on. */
async function noticesDamage(open: () => Promise<RunsBackend>, expected: readonly string[]): Promise<boolean> {
  let isNoticed = false
  const tolerate = (error: unknown): void => {
    if (!(error instanceof StoreDamaged)) throw error
    isNoticed = true
  }
  const store = await open().catch(tolerate)
  if (store === undefined) return true
  for (const [i, read] of READS.entries()) {
    try {
      assert.equal(read(store), expected[i])
    } catch (error) {
      tolerate(error)
    }
  }
  await store.close()
  return isNoticed
}
