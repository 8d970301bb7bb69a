/**
 * Stores that a version with LMDB has left become stores in runs, where they lie. The files that released versions made:
 *
 *   <store>/<count>.mdb       the store; each is whole, and the highest count is the newest
 *   <store>/received.mdb      a store as it came from elsewhere, which nobody has written to
 *   <store>.mdb, <store>.db   the same two in the versions before that
 *   …-lock                    LMDB's, beside each
 *
 * The new store grows in a folder of its own in the directory. Then its files are moved up, the manifest last: with it the
 * store is the new one, by one rename, and only then LMDB's file goes. What a crash leaves before that is thrown away by the
 * next start, which begins again; what it leaves afterwards is only tidied up.
 *
 * Neighbours: lmdb-tables.ts reads, storage/runs writes. It takes as much of the disk again as the store, until it is done.
 */
import { basename, dirname, join } from 'node:path'
import { assert } from '../../../lib/assert.ts'
import type { RunSizes } from '../../limits.ts'
import { StoreDamaged, TABLES, type TableEntry, type Write } from '../../mvcc/backend.ts'
import { isMissing, type Disk } from '../disk.ts'
import { packRows } from '../runs/rows.ts'
import { RunsBackend } from '../runs/runs-backend.ts'
import { MANIFEST, RUN_NAME } from '../runs/store-directory.ts'
import { Writer } from '../runs/writer.ts'
import { LmdbTables } from './lmdb-tables.ts'
import { isLmdbHead, META_SIZE_BYTES } from './page.ts'

const COUNTED = /^([0-9]+)\.mdb$/
const RECEIVED = 'received.mdb'
/** Of the store, or its lock: nothing is to be kept of it once the new store is there. */
const LMDB_NAME = /^(?:[0-9]+|received)\.mdb(?:-lock)?$/
const SINGLE = /^(.+)\.(?:mdb|db)$/
const SINGLE_LOCK = /^.+\.(?:mdb|db)-lock$/
const SINGLE_ENDINGS = ['.mdb', '.db']
const IMPORTING = 'importing'
/** Rows of so many bytes are one commit of the new store: few runs, and little in memory. */
const COMMIT_SIZE_BYTES = 16 * 1024 * 1024
const FIRST_KEY = Buffer.of(0)

/** The names in that directory of stores that LMDB has written. */
export async function formerStores(disk: Disk, directory: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const store of await storesIn(disk, directory)) {
    const file = await formerFile(disk, join(directory, store))
    if (file !== undefined) found.push(dirname(file) === directory ? basename(file) : store)
  }
  return found
}

/**
 * Of all that {@link formerStores} names. One that is damaged stays as it is, and who opens it is told why; other errors are
 * thrown: there is no room, the disk fails, the file is of a version that is not known.
 */
export async function takeOverStores(
  disk: Disk,
  directory: string,
  sizes: RunSizes,
  beforeRemoval: () => Promise<void>,
): Promise<void> {
  for (const store of await storesIn(disk, directory)) {
    const path = join(directory, store)
    try {
      await takeOverStore(disk, path, sizes, beforeRemoval)
      if (await isTakenOver(disk, path)) await removeNames(disk, directory, (name) => isOfSingle(name, store))
    } catch (error) {
      if (!(error instanceof StoreDamaged)) throw error
    }
  }
}

/** What may be one: directories, and what a file is called without its ending. */
async function storesIn(disk: Disk, directory: string): Promise<readonly string[]> {
  const names = await disk.list(directory)
  return [...new Set(names.filter((name) => !SINGLE_LOCK.test(name)).map((name) => SINGLE.exec(name)?.[1] ?? name))]
}

function isOfSingle(name: string, store: string): boolean {
  return SINGLE_ENDINGS.some((ending) => name === `${store}${ending}` || name === `${store}${ending}-lock`)
}

/**
 * The store at that path, if LMDB has written it. Rejects with `StoreDamaged`, and its file is as it was. `beforeRemoval`: both
 * are there, and from then on the former one may be gone.
 */
export async function takeOverStore(
  disk: Disk,
  store: string,
  sizes: RunSizes,
  beforeRemoval: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const file = await formerFile(disk, store)
  if (file !== undefined) await takeOverFile(disk, file, store, sizes)
  if (!(await isTakenOver(disk, store))) return
  await beforeRemoval()
  await removeNames(disk, store, (name) => name === IMPORTING || LMDB_NAME.test(name))
}

async function takeOverFile(disk: Disk, file: string, store: string, sizes: RunSizes): Promise<void> {
  await disk.makeDirectory(store)
  await disk.syncDirectory(dirname(store))
  const importing = join(store, IMPORTING)
  await removeNames(disk, store, (name) => name === IMPORTING || RUN_NAME.test(name))
  try {
    await importFile(disk, file, importing, sizes)
  } catch (error) {
    await disk.remove(importing)
    throw error
  }
  for (const name of await disk.list(importing))
    if (name !== MANIFEST) await disk.rename(join(importing, name), join(store, name))
  await disk.syncDirectory(store)
  await disk.rename(join(importing, MANIFEST), join(store, MANIFEST))
  await disk.syncDirectory(store)
}

async function removeNames(disk: Disk, directory: string, isGone: (name: string) => boolean): Promise<void> {
  for (const name of await namesIn(disk, directory)) if (isGone(name)) await disk.remove(join(directory, name))
}

async function isTakenOver(disk: Disk, store: string): Promise<boolean> {
  return (await namesIn(disk, store)).includes(MANIFEST)
}

/** The one that counts, of a store that has not been taken over. */
async function formerFile(disk: Disk, store: string): Promise<string | undefined> {
  const names = await namesIn(disk, store)
  if (names.includes(MANIFEST)) return undefined
  const counts = names.flatMap((name) => COUNTED.exec(name)?.[1] ?? []).map(Number)
  if (counts.length > 0) return join(store, `${Math.max(...counts)}.mdb`)
  if (names.includes(RECEIVED)) return join(store, RECEIVED)
  const beside = await namesIn(disk, dirname(store))
  const ending = SINGLE_ENDINGS.find((candidate) => beside.includes(`${basename(store)}${candidate}`))
  return ending === undefined ? undefined : `${store}${ending}`
}

/** None of what is no directory. */
async function namesIn(disk: Disk, path: string): Promise<readonly string[]> {
  try {
    return await disk.list(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOTDIR') return []
    throw error
  }
}

/** What LMDB's backup made, as a stream, becomes a store at that path, where nothing may be. */
export async function receiveFormer(
  disk: Disk,
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  sizes: RunSizes,
): Promise<void> {
  const growing = `${path}.receiving`
  await disk.remove(growing)
  await disk.makeDirectory(growing)
  try {
    const file = await disk.open(join(growing, RECEIVED), { create: true })
    try {
      let position = 0
      for await (const piece of pieces) {
        await file.write(piece, position)
        position += piece.length
      }
    } finally {
      await file.close()
    }
    await takeOverStore(disk, growing, sizes)
    await disk.rename(growing, path)
    await disk.syncDirectory(dirname(path))
  } catch (error) {
    await disk.remove(growing)
    throw error
  }
}

/** The LMDB file that is at that path, or in the directory there. */
export async function formerFileAt(disk: Disk, path: string): Promise<string | undefined> {
  const file = await formerFile(disk, path)
  if (file !== undefined) return file
  try {
    const opened = await disk.open(path, { create: false, isReadOnly: true })
    try {
      return isLmdbHead(await opened.read(META_SIZE_BYTES, 0)) ? path : undefined
    } finally {
      await opened.close()
    }
  } catch (error) {
    if (isMissing(error) || isDirectory(error)) return undefined
    throw error
  }
}

function isDirectory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EISDIR'
}

/** A store with the same rows, in a directory that is not there. Rejects with `StoreDamaged`. */
export async function importFile(disk: Disk, path: string, into: string, sizes: RunSizes): Promise<void> {
  const tables = await LmdbTables.open(disk, path)
  try {
    const known: readonly string[] = TABLES
    const later = tables.names.filter((name) => !known.includes(name))
    if (later.length > 0) throw new Error(`${path} has tables that this version does not know: ${later.join(', ')}`)
    await copyRows(disk, tables, into, sizes)
    await checkCounts(disk, tables, into, sizes)
  } finally {
    await tables.close()
  }
}

async function copyRows(disk: Disk, tables: LmdbTables, into: string, sizes: RunSizes): Promise<void> {
  const ports = {
    giveWay: () => Promise.resolve(),
    onInstalled: ({ number }: { readonly number: number }): void => writer.noteOpened(number),
  }
  const writer = await Writer.open(disk, into, ports, sizes)
  try {
    const pieces: Uint8Array[] = []
    let sizeBytes = 0
    for (const table of TABLES)
      for await (const batch of tables.rows(table)) {
        for (const piece of packRows(batch.map((entry) => writeOf(table, entry)))) {
          pieces.push(piece)
          sizeBytes += piece.length
        }
        if (sizeBytes < COMMIT_SIZE_BYTES) continue
        await writer.commit(pieces.splice(0))
        sizeBytes = 0
      }
    await writer.commit(pieces)
  } finally {
    await writer.close()
  }
}

function writeOf(table: Write['table'], { key, value }: TableEntry): Write {
  return { table, key, value }
}

async function checkCounts(disk: Disk, tables: LmdbTables, into: string, sizes: RunSizes): Promise<void> {
  const store = await RunsBackend.openReadOnly(disk, into, sizes)
  try {
    for (const table of TABLES) {
      const [there, wanted] = [store.count(table, FIRST_KEY, undefined), tables.rowCount(table)]
      assert(there === wanted, () => `${there} of ${wanted} rows of ${table} were taken over`)
    }
  } finally {
    await store.close()
  }
}
