/** Stores in runs as `Volume.stores` wants them; those of the version before, in LMDB, become such. */
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RUN_SIZES, type RunSizes } from '../../limits.ts'
import { readMeta } from '../../mvcc/meta.ts'
import { realDisk, type Disk } from '../disk.ts'
import { isLmdbHead, META_SIZE_BYTES } from '../lmdb-import/page.ts'
import {
  formerFileAt,
  formerStores,
  importFile,
  receiveFormer,
  takeOverStore,
  takeOverStores,
} from '../lmdb-import/take-over.ts'
import type { StoreEngine } from '../store-engine.ts'
import { receiveArchive } from './archive.ts'
import { RunsBackend } from './runs-backend.ts'
import { threadWriter, type StartWriter } from './writer-link.ts'

export interface RunsEngine extends StoreEngine {
  open(path: string): Promise<RunsBackend>
}

export function runsEngine(
  disk: Disk = realDisk,
  startWriter: StartWriter = threadWriter,
  sizes: RunSizes = RUN_SIZES,
): RunsEngine {
  const readStore = async <Value>(path: string, use: (store: RunsBackend) => Value): Promise<Value> => {
    const store = await RunsBackend.openReadOnly(disk, path, sizes)
    try {
      return use(store)
    } finally {
      await store.close()
    }
  }
  /** Where the store can be read as one in runs: there, or in a copy, which `release` takes away. */
  const readable = async (path: string): Promise<{ readonly at: string; readonly release: () => Promise<void> }> => {
    const former = await formerFileAt(disk, path)
    if (former === undefined) return { at: path, release: () => Promise.resolve() }
    const at = join(tmpdir(), `raftkv-read-${randomUUID()}`)
    const release = (): Promise<void> => disk.remove(at)
    try {
      await importFile(disk, former, at, sizes)
    } catch (error) {
      await release()
      throw error
    }
    return { at, release }
  }
  return {
    copiesToPin: false,
    open: async (path) => {
      await takeOverStore(disk, path, sizes) // for who has not asked for all of its directory, and to say why it cannot be
      return RunsBackend.open(disk, path, startWriter, sizes)
    },
    read: async (path, use) => {
      const { at, release } = await readable(path)
      try {
        return await readStore(at, use)
      } finally {
        await release()
      }
    },
    stream: async function* (path) {
      const { at, release } = await readable(path)
      try {
        const pinned = await readStore(at, (store) => store.pin())
        yield* pinned.read()
        await pinned.release()
      } finally {
        await release()
      }
    },
    receive: async (path, pieces) => {
      const { head, all } = await withHead(pieces)
      if (isLmdbHead(head)) await receiveFormer(disk, path, all, sizes)
      else await receiveArchive(disk, path, all)
      return readStore(path, readMeta)
    },
    former: (directory) => formerStores(disk, directory),
    takeOver: (directory, beforeRemoval = () => Promise.resolve()) =>
      takeOverStores(disk, directory, sizes, beforeRemoval),
  }
}

/** So much of the pieces as tells what they are, and all of them. */
async function withHead(
  pieces: AsyncIterable<Uint8Array>,
): Promise<{ readonly head: Uint8Array; readonly all: AsyncIterable<Uint8Array> }> {
  const rest = pieces[Symbol.asyncIterator]()
  const first: Uint8Array[] = []
  let sizeBytes = 0
  while (sizeBytes < META_SIZE_BYTES) {
    const { done, value } = await rest.next()
    if (done === true) break
    first.push(value)
    sizeBytes += value.length
  }
  const all = async function* (): AsyncIterable<Uint8Array> {
    try {
      yield* first
      for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
    } finally {
      await rest.return?.()
    }
  }
  return { head: Buffer.concat(first), all: all() }
}
