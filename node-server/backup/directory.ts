/** Backups in a directory: a PersistentVolumeClaim, a disk that is mounted. */
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { BackupFailed, type Destination, type StoredObject } from './destination.ts'

const PIECE_SIZE_BYTES = 1024 * 1024
/** Of a file that is not whole. */
const UNFINISHED = '.unfinished'

export class Directory implements Destination {
  readonly url: string
  readonly #path: string

  constructor(path: string) {
    this.#path = path
    this.url = `file://${path}`
  }

  async write(name: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const path = join(this.#path, name)
    const unfinished = `${path}${UNFINISHED}`
    await this.#telling(`write ${name}`, () => mkdir(dirname(path), { recursive: true }))
    try {
      const file = await this.#telling(`write ${name}`, () => open(unfinished, 'w', 0o600))
      try {
        for await (const piece of pieces) await this.#telling(`write ${name}`, () => file.appendFile(piece))
        await this.#telling(`write ${name}`, () => file.sync())
      } finally {
        await file.close()
      }
      await this.#telling(`write ${name}`, async () => {
        await rename(unfinished, path)
        await syncDirectory(dirname(path))
      })
    } catch (error) {
      await rm(unfinished, { force: true })
      throw error
    }
  }

  async *read(name: string): AsyncGenerator<Uint8Array> {
    const file = await this.#telling(`read ${name}`, () => open(join(this.#path, name), constants.O_RDONLY))
    try {
      for (;;) {
        const piece = Buffer.allocUnsafe(PIECE_SIZE_BYTES)
        const { bytesRead } = await this.#telling(`read ${name}`, () => file.read(piece, 0, piece.length))
        if (bytesRead === 0) return
        yield piece.subarray(0, bytesRead)
      }
    } finally {
      await file.close()
    }
  }

  async list(prefix: string): Promise<readonly StoredObject[]> {
    // Without it, an empty list would say that there are no backups where a volume is only not mounted.
    await this.#telling('list', () => stat(this.#path))
    const entries = await this.#telling('list', () => readdir(this.#path, { recursive: true, withFileTypes: true }))
    const found: StoredObject[] = []
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name)
      const name = relative(this.#path, path)
      if (!entry.isFile() || !name.startsWith(prefix) || name.endsWith(UNFINISHED)) continue
      found.push({ name, sizeBytes: (await stat(path)).size })
    }
    return found.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Folders that become empty stay: another backup may be about to write there. */
  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#telling(`remove ${name}`, () => rm(join(this.#path, name), { force: true }))
  }

  async #telling<Value>(what: string, act: () => Promise<Value>): Promise<Value> {
    try {
      return await act()
    } catch (cause) {
      throw new BackupFailed(`${this.url}: cannot ${what}: ${adviceOf(cause)}`, { cause })
    }
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory: FileHandle = await open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function adviceOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'there is no room left: make the volume larger, or keep fewer backups'
    case 'ENOENT':
      return 'there is no such file or directory'
    case 'ENOTDIR':
    case 'EEXIST':
      return 'it is no directory'
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'it is not writable: check the permissions of the volume'
    default:
      return cause instanceof Error ? cause.message : String(cause)
  }
}
