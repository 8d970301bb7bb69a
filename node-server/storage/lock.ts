/**
 * One process per data directory. The lock is SQLite's exclusive one on an empty file: the kernel holds it (fcntl), ends it
 * with its process however that dies, and sees it across containers that share a volume on one machine. A file with a
 * process ID would do neither: after a kill it stays, and in two containers both processes are number 1. A socket does,
 * but what a dead process left of it cannot be replaced without a race.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { err, ok, type Result } from '../../lib/result.ts'

export interface DirectoryLock {
  release(): Promise<void>
}

const SQLITE_BUSY = 5

/** Makes the directory, for its owner only, if it is missing. The error says in words who is in the way. Throws when the disk does not work. */
export async function lockDirectory(directory: string): Promise<Result<DirectoryLock, string>> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(join(directory, 'lock'), { timeout: 0 })
  try {
    // Nothing is ever written, so the journal that a transaction would need stays in memory.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (!isBusy(error)) throw new Error(`cannot lock ${join(directory, 'lock')}`, { cause: error })
    return err(`another process uses ${directory}: stop it first, or give this one a directory of its own`)
  }
  return ok({ release: async () => database.close() })
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}
