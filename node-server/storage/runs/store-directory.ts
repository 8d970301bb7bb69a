/** The directory of a store: the manifest, read and replaced, and the files beside it. Only the writer changes it. */
import { dirname, join } from 'node:path'
import { MalformedBytes } from '../../../lib/bytes.ts'
import { StoreDamaged } from '../../mvcc/backend.ts'
import { isMissing, type Disk } from '../disk.ts'
import { decodeManifest, encodeManifest, filesOf, LaterFormat, NEW_MANIFEST, type Manifest } from './manifest.ts'

export const MANIFEST = 'manifest'
const NEW_SUFFIX = '.new'
export const RUN_NAME = /^[0-9]+\.run$/
/** Files of the engine before this one. */
const FORMER_NAME = /\.mdb$/

export function runPath(directory: string, fileId: number): string {
  return join(directory, `${fileId}.run`)
}

/**
 * Undefined when there is no store. Throws `StoreDamaged` when the manifest is not what was written, or is missing beside
 * files: the first manifest is there before the first file; another error when a later version has written it.
 */
export async function readManifest(disk: Disk, directory: string): Promise<Manifest | undefined> {
  const path = join(directory, MANIFEST)
  try {
    return decodeManifest(await disk.readFile(path))
  } catch (error) {
    if (error instanceof LaterFormat) throw new Error(`${path}: ${error.message}`, { cause: error })
    if (error instanceof MalformedBytes) throw new StoreDamaged(path, error.message)
    if (isNoDirectory(error)) return undefined
    if (!isMissing(error)) throw error
  }
  const names = await disk.list(directory)
  if (names.some((name) => FORMER_NAME.test(name))) throw new StoreDamaged(path, 'the store was not taken over')
  if (names.some((name) => RUN_NAME.test(name))) throw new StoreDamaged(path, 'it is missing')
  return undefined
}

function isNoDirectory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOTDIR'
}

/** The manifest is in force, and durable, once this resolves; before, the one before it may be. */
export async function writeManifest(disk: Disk, directory: string, manifest: Manifest): Promise<void> {
  const path = join(directory, MANIFEST)
  await writeFile(disk, `${path}${NEW_SUFFIX}`, encodeManifest(manifest))
  await disk.syncDirectory(directory) // the names of the new files first
  await disk.rename(`${path}${NEW_SUFFIX}`, path)
  await disk.syncDirectory(directory)
}

async function writeFile(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  await disk.remove(path)
  const file = await disk.open(path, { create: true })
  try {
    await file.write(bytes, 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** For who is alone in the directory: makes an empty store when there is none, and removes what a crash has left over. */
export async function prepareDirectory(disk: Disk, directory: string): Promise<Manifest> {
  const found = await readManifest(disk, directory)
  if (found === undefined) {
    await disk.makeDirectory(directory)
    await disk.syncDirectory(dirname(directory))
    await writeManifest(disk, directory, NEW_MANIFEST)
  }
  const manifest = found ?? NEW_MANIFEST
  const named = new Set(filesOf(manifest).map(({ id }) => `${id}.run`))
  for (const name of await disk.list(directory)) {
    const isLeft = name === `${MANIFEST}${NEW_SUFFIX}` || (RUN_NAME.test(name) && !named.has(name))
    if (isLeft) await disk.remove(join(directory, name)) // what is not ours stays
  }
  return manifest
}
