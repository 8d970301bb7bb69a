/**
 * The files of a store in its directory. LMDB's lock file belongs to a name, so a file that takes the place of another one
 * needs another name:
 *
 *   <count>.mdb          the store, written anew so often; the highest count is the store, and it is whole
 *   <count>.mdb-lock     LMDB's, worthless once nobody has that file open
 *   received.mdb         a store as it came, which nobody has written to: it gets a count before anybody does
 *   <purpose>-<n>.tmp    on its way
 *
 * All by synchronous calls: they are few and small, and a store is opened in one go.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

const COUNTED = /^([0-9]+)\.mdb$/
export const RECEIVED = 'received.mdb'
/** Files of the version before, which stood beside where the directories are now; `.db`: nobody has written to it, maybe. */
const FORMER = /^(.+)\.(mdb|db)$/

export function countedName(count: number): string {
  return `${count}.mdb`
}

/** The file that counts, undefined when there is none. Throws when `directory` is none. */
export function newestFile(directory: string): { readonly name: string; readonly count: number } | undefined {
  const names = readdirSync(directory)
  const counts = names.flatMap((name) => COUNTED.exec(name)?.[1] ?? []).map(Number)
  if (counts.length > 0) return { name: countedName(Math.max(...counts)), count: Math.max(...counts) }
  return names.includes(RECEIVED) ? { name: RECEIVED, count: -1 } : undefined
}

/**
 * The file to open for writing, alone in its directory; both are made when they are missing. For a directory that nobody
 * uses.
 */
export function prepareDirectory(directory: string): { readonly path: string; readonly count: number } {
  if (mkdirSync(directory, { recursive: true }) !== undefined) syncDirectory(dirname(directory))
  const found = newestFile(directory)
  const count = Math.max(found?.count ?? 0, 0)
  const name = countedName(count)
  if (found?.name === RECEIVED) renameSync(join(directory, RECEIVED), join(directory, name))
  for (const other of readdirSync(directory)) if (other !== name) rmSync(join(directory, other), { recursive: true })
  return { path: join(directory, name), count }
}

export function removeFile(path: string): void {
  for (const suffix of ['', '-lock']) rmSync(`${path}${suffix}`, { force: true })
}

export function formerFiles(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory).filter((name) => FORMER.test(name)) : []
}

/** Makes the files of the version before the stores that they are, in directories of their own. */
export function takeOverFiles(directory: string): void {
  for (const name of formerFiles(directory)) {
    const [, store = '', kind] = FORMER.exec(name) ?? []
    const into = join(directory, store)
    mkdirSync(into, { recursive: true })
    syncDirectory(directory)
    // One rename: whenever a crash comes, the file is in one of the two places.
    renameSync(join(directory, name), join(into, kind === 'db' ? RECEIVED : countedName(0)))
    syncDirectory(into)
    syncDirectory(directory)
  }
}

/** A rename or a new file is durable once its directory is. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}
