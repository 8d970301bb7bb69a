/** --unsafe-no-fsync: a disk on which nothing is waited for. A process may end at any time, a machine that does loses what was promised. */
import type { Disk, DiskFile } from './disk.ts'

/** For the log and for Status. */
export const UNSAFE_NO_FSYNC =
  '--unsafe-no-fsync: what this member acknowledges is not on its disk, and is lost when the machine ends'

const nothing = (): Promise<void> => Promise.resolve()

export function withoutSync(disk: Disk): Disk {
  return {
    open: async (path, options) => unsynced(await disk.open(path, options)),
    readFile: (path) => disk.readFile(path),
    list: (directory) => disk.list(directory),
    makeDirectory: (path) => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: nothing,
  }
}

function unsynced(file: DiskFile): DiskFile {
  return {
    read: (maxBytes, position) => file.read(maxBytes, position),
    readSync: (into, position) => file.readSync(into, position),
    size: () => file.size(),
    write: (bytes, position) => file.write(bytes, position),
    writev: (parts, position) => file.writev(parts, position),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    sync: nothing,
    close: () => file.close(),
  }
}
