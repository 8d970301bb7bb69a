/**
 * A log on a disk of its own (etcd's --wal-dir). The data directory keeps a symbolic link to it, so that whoever reads a
 * data directory finds all of it, and a start without the flag does as well.
 */
import { mkdir, readdir, readlink, realpath, rm, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { err, ok, type Result } from '../../lib/result.ts'
import { CREATING, memberPaths } from './data-directory.ts'
import { isMissing } from './disk.ts'

/** Before a member is made or opened. The error says what is in the way. Throws when the disk does not work. */
export async function checkWalDirectory(
  walDirectory: string,
  dataDirectory: string,
  hasMember: boolean,
): Promise<Result<void, string>> {
  const { wal } = memberPaths(dataDirectory)
  if (hasMember) {
    const [given, used] = [await realPathOf(walDirectory), await realPathOf(wal)]
    if (used === undefined || given === used) return ok(undefined)
    return err(
      `--wal-dir is ${walDirectory}, but the log of this member is in ${used}: to move it, stop the member, move the ` +
        `folder, and make ${wal} a symbolic link to its new place`,
    )
  }
  const names = await namesIn(walDirectory)
  if (names.length === 0) return ok(undefined)
  if ((await linkTarget(join(dataDirectory, CREATING, 'wal'))) === resolve(walDirectory)) {
    // A start that was interrupted before there was a member: nothing has been promised in it.
    for (const name of names) await rm(join(walDirectory, name), { recursive: true })
    return ok(undefined)
  }
  return err(
    `--wal-dir: ${walDirectory} is not empty (${names.slice(0, 3).join(', ')}), and its files are not those of this member`,
  )
}

/** Where the log of a member that is being made shall be, `path` in its data directory leads to it. */
export async function linkWalDirectory(walDirectory: string, path: string): Promise<void> {
  await mkdir(walDirectory, { recursive: true, mode: 0o700 })
  await symlink(resolve(walDirectory), path)
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return (await orUndefined(readdir(directory))) ?? []
}

async function realPathOf(path: string): Promise<string | undefined> {
  return orUndefined(realpath(path))
}

/** Undefined also for what is there and no link. */
async function linkTarget(path: string): Promise<string | undefined> {
  return readlink(path).catch(() => undefined)
}

async function orUndefined<Value>(promise: Promise<Value>): Promise<Value | undefined> {
  try {
    return await promise
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
