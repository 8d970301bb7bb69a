/** A disk in memory that forgets nothing and fails never: what is on it is gone with it. */
import type { Disk, DiskFile } from '../storage/disk.ts'

const FIRST_SIZE_BYTES = 256 * 1024

interface Content {
  bytes: Buffer
  sizeBytes: number
}

export interface ScratchDisk extends Disk {
  /** A file is there from now on; what is returned stays the same for it, whatever its name becomes. */
  touch(path: string): object
}

export function scratchDisk(): ScratchDisk {
  const files = new Map<string, Content>()
  const find = (path: string): Content => {
    const file = files.get(path)
    if (file === undefined) throw Object.assign(new Error(`${path} is missing`), { code: 'ENOENT' })
    return file
  }
  const below = (path: string): readonly string[] =>
    [...files.keys()].filter((name) => name === path || name.startsWith(`${path}/`))
  const touch = (path: string): Content => {
    const file = files.get(path) ?? { bytes: Buffer.alloc(0), sizeBytes: 0 }
    files.set(path, file)
    return file
  }
  return {
    touch,
    async open(path, { create }) {
      if (create) touch(path)
      return fileOf(find(path))
    },
    async readFile(path) {
      const { bytes, sizeBytes } = find(path)
      return Buffer.from(bytes.subarray(0, sizeBytes))
    },
    async list(directory) {
      const names = below(directory).map((path) => path.slice(directory.length + 1).split('/')[0] ?? '')
      return [...new Set(names)].toSorted()
    },
    async makeDirectory() {},
    async rename(from, to) {
      for (const path of below(from)) {
        files.set(to + path.slice(from.length), find(path))
        files.delete(path)
      }
    },
    async remove(path) {
      for (const name of below(path)) files.delete(name)
    },
    async syncDirectory() {},
  }
}

function fileOf(content: Content): DiskFile {
  const readSync = (into: Uint8Array, position: number): number => {
    const found = content.bytes.subarray(Math.min(position, content.sizeBytes), content.sizeBytes)
    into.set(found.subarray(0, into.length))
    return Math.min(found.length, into.length)
  }
  const write = (bytes: Uint8Array, position: number): void => {
    const end = position + bytes.length
    if (end > content.bytes.length) {
      const grown = Buffer.alloc(Math.max(end, 2 * content.bytes.length, FIRST_SIZE_BYTES))
      content.bytes.copy(grown)
      content.bytes = grown
    }
    content.bytes.set(bytes, position)
    content.sizeBytes = Math.max(content.sizeBytes, end)
  }
  return {
    async read(maxBytes, position) {
      const bytes = Buffer.alloc(maxBytes)
      return bytes.subarray(0, readSync(bytes, position))
    },
    readSync,
    size: async () => content.sizeBytes,
    write: async (bytes, position) => write(bytes, position),
    async writev(parts, position) {
      let at = position
      for (const part of parts) {
        write(part, at)
        at += part.length
      }
    },
    async truncate(sizeBytes) {
      content.sizeBytes = Math.min(content.sizeBytes, sizeBytes)
    },
    // As from another thread: what else comes in this turn goes with the next one.
    sync: () => new Promise((resolve) => void setImmediate(resolve)),
    close: async () => undefined,
  }
}
