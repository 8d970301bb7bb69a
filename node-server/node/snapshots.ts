/**
 * Snapshots on their way: made from the store for a peer whose entries are no longer in the log, and taken in from the
 * leader. The bytes are on disk and verified before Raft hears of them.
 */
import { open as openFile, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { MalformedBytes } from '../../lib/bytes.ts'
import { LogIndex } from '../../lib/ids.ts'
import { Store } from '../mvcc/store.ts'
import type { SnapshotMeta } from '../raft/message.ts'
import type { MemberPaths } from '../storage/data-directory.ts'
import type { Disk } from '../storage/disk.ts'
import type { Volume } from '../storage/volume.ts'
import type { ReceivedSnapshot, PeerTransport, SnapshotMessage } from '../transport/transport.ts'
import { decodeConfiguration } from './configuration.ts'
import { FIRST_STORE, newestStore, storeName, storePath, type StoreFile } from './store-name.ts'

const RECEIVED_NAME = /^received-([0-9]+)\.db$/

/** A file of one commit, to be read once from its start to its end. */
export interface StoreCopy {
  readonly sizeBytes: number
  /** The next bytes; none at the end. */
  read(maxBytes: number): Promise<Buffer>
  /** Removes the file. */
  close(): Promise<void>
}

async function readSome(file: FileHandle, maxBytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(maxBytes)
  const { bytesRead } = await file.read(buffer, 0, maxBytes, null)
  return buffer.subarray(0, bytesRead)
}

export class Snapshots {
  readonly #volume: Volume
  readonly #disk: Disk
  readonly #paths: MemberPaths
  #sequence = 0

  constructor(volume: Volume, paths: MemberPaths) {
    this.#volume = volume
    this.#disk = volume.disk
    this.#paths = paths
  }

  /** Indexes of snapshots that were taken in and not installed. */
  received(): Promise<readonly LogIndex[]> {
    return receivedSnapshots(this.#disk, this.#paths)
  }

  /** Makes a copy of the store's last commit and streams it; the outcome goes to the transport's handler. */
  async send(store: Store, transport: PeerTransport, message: SnapshotMessage): Promise<void> {
    const path = join(this.#paths.snapshots, `outgoing-${++this.#sequence}.db`)
    try {
      await store.commit()
      await store.backend.writeSnapshot(path)
      const meta = await this.#volume.readSnapshotMeta(path)
      const snapshot: SnapshotMeta = {
        index: meta.appliedIndex,
        term: meta.appliedTerm,
        configuration: decodeConfiguration(meta.configuration),
        configIndex: meta.configIndex,
      }
      await transport.sendSnapshot({ ...message, snapshot }, path)
    } finally {
      await this.#disk.remove(path)
    }
  }

  /** Copies the store's last commit to a file of its own, which the caller closes. */
  async copy(store: Store): Promise<StoreCopy> {
    const path = join(this.#paths.snapshots, `copy-${++this.#sequence}.db`)
    const remove = (): Promise<void> => this.#disk.remove(path)
    try {
      await store.backend.writeSnapshot(path)
      const file = await openFile(path, 'r')
      const { size } = await file.stat()
      return {
        sizeBytes: size,
        read: (maxBytes) => readSome(file, maxBytes),
        close: async () => {
          await file.close()
          await remove()
        },
      }
    } catch (error) {
      await remove()
      throw error
    }
  }

  /** See Backend; the file before is gone when it resolves. */
  async defragment(store: Store): Promise<void> {
    const before = await currentStore(this.#disk, this.#paths)
    const temporary = join(this.#paths.snapshots, `defragment-${++this.#sequence}.db`)
    const after = storeName({ ...before, generation: before.generation + 1 })
    try {
      await store.backend.defragment(temporary, join(this.#paths.db, after))
    } finally {
      await this.#disk.remove(temporary)
    }
    for (const suffix of ['', '-lock']) await this.#disk.remove(join(this.#paths.db, storeName(before) + suffix))
  }

  /**
   * Gives the file its lasting name, in the store's own directory: from now on it is found again after a crash, and becomes
   * the store by a change of one directory only. Rejects when it does not hold what the
   * message says: the sender is told, and nothing has happened here.
   */
  async keep(received: ReceivedSnapshot): Promise<void> {
    const { index, term } = received.message.snapshot
    const meta = await this.#volume.readSnapshotMeta(received.path)
    if (meta.appliedIndex !== index || meta.appliedTerm !== term) {
      throw new MalformedBytes(
        `a snapshot of entry ${index} (term ${term}) that holds entry ${meta.appliedIndex} (term ${meta.appliedTerm})`,
      )
    }
    await this.#disk.rename(received.path, this.#receivedPath(received.message.snapshot.index))
    await this.#disk.syncDirectory(this.#paths.db)
  }

  /**
   * Makes the snapshot the store. It gets a file of its own, so that the store there was serves readers until then; the
   * caller closes that one, and {@link removeOldStores} deletes its file.
   */
  async install(index: LogIndex): Promise<Store> {
    await this.#disk.rename(this.#receivedPath(index), storePath(this.#paths, { beganAt: index, generation: 0 }))
    await this.#disk.syncDirectory(this.#paths.db)
    return openStore(this.#volume, this.#paths)
  }

  async removeOldStores(): Promise<void> {
    const current = await currentStore(this.#disk, this.#paths)
    for (const name of await this.#disk.list(this.#paths.db)) {
      const isWaiting = (receivedIndex(name) ?? 0) > current.beganAt
      if (!isWaiting && !name.startsWith(storeName(current))) await this.#disk.remove(join(this.#paths.db, name))
    }
  }

  /** Removes what nobody needs any more, all of it at the start of a process. */
  async clean(): Promise<void> {
    for (const name of await this.#disk.list(this.#paths.snapshots))
      await this.#disk.remove(join(this.#paths.snapshots, name))
    for (const index of await this.received()) await this.#disk.remove(this.#receivedPath(index))
  }

  #receivedPath(index: LogIndex): string {
    return join(this.#paths.db, `received-${index}.db`)
  }
}

/** The newest, should a crash have left an older one beside it. */
export async function openStore(volume: Volume, paths: MemberPaths): Promise<Store> {
  return new Store(volume.openBackend(storePath(paths, await currentStore(volume.disk, paths))))
}

async function currentStore(disk: Disk, paths: MemberPaths): Promise<StoreFile> {
  return (await newestStore(disk, paths)) ?? FIRST_STORE
}

/** Indexes of the snapshots that were taken in and not installed. */
export async function receivedSnapshots(disk: Disk, paths: MemberPaths): Promise<readonly LogIndex[]> {
  const names = await disk.list(paths.db)
  return names.flatMap((name) => receivedIndex(name) ?? [])
}

function receivedIndex(name: string): LogIndex | undefined {
  const index = RECEIVED_NAME.exec(name)?.[1]
  return index === undefined ? undefined : LogIndex(Number(index))
}
