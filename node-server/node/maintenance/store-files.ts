/**
 * The one owner of the files under a running member's store: everything that makes, copies, replaces or deletes one goes
 * through here. Which store is the live one, and under which name, stands in memory.
 *
 * Invariants
 *   - A name for the live store is given at the very moment when it is taken, and to the live store only: a
 *     defragmentation that a snapshot has overtaken gets none, and its copy is thrown away.
 *   - Only files are deleted that are known not to be live, by their names, and after their store is closed.
 *   - Whoever waits looks again afterwards whether the store that it waited for is still the live one.
 *   - An installation waits for nothing that is done with the store before; that one goes by itself once its copies are
 *     through. At most one is on its way out.
 *   - Once closed it touches the disk no more; what is left then is deleted by the next start.
 */
import { join } from 'node:path'
import { assert } from '../../../lib/assert.ts'
import { MalformedBytes } from '../../../lib/bytes.ts'
import type { LogIndex } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { Store } from '../../mvcc/store.ts'
import type { SnapshotMeta } from '../../raft/message.ts'
import type { MemberPaths } from '../../storage/data-directory.ts'
import type { Volume } from '../../storage/volume.ts'
import type { PeerTransport, ReceivedSnapshot, SnapshotMessage } from '../../transport/transport.ts'
import { decodeConfiguration } from '../membership/configuration.ts'
import type { NodeProblem } from '../ports.ts'
import { NoRoom, type DiskRoom } from './disk-room.ts'
import { installSnapshot, removeStore } from './snapshots.ts'
import { openCopy, type StoreCopy } from './store-copy.ts'
import { receivedPath, receivedSnapshots, storePath, writtenAnew, type StoreFile } from './store-name.ts'

/** Copies for clients: each takes as much disk as the store and lives as long as its reader wants. */
const MAX_COPIES = 4

/** Where the store is. */
export interface StorePlace {
  readonly volume: Volume
  readonly paths: MemberPaths
  readonly file: StoreFile
}

export interface StoreFilesParts extends StorePlace {
  readonly store: Store
  readonly room: DiskRoom
  /** What the disk holds is not known any more: the process must end. */
  readonly onFatal: (error: unknown) => void
  readonly onDefragmented: () => void
}

interface LiveStore {
  readonly store: Store
  /** The newest file that a start would find of it. */
  file: StoreFile
}

export class StoreFiles {
  readonly #parts: StoreFilesParts
  #live: LiveStore
  /** What works on files, so that closing can wait for it. */
  readonly #underWay = new Set<Promise<unknown>>()
  /** Snapshots are kept and installed one after the other: the transport takes in two at most, a turn installs one. */
  #lastChange: Promise<unknown> = Promise.resolve()
  #retiring: Promise<void> = Promise.resolve()
  #defragmenting: Promise<void> | undefined
  #copies = 0
  /** Of files on their way. */
  #sequence = 0
  #isClosed = false

  constructor(parts: StoreFilesParts) {
    this.#parts = parts
    this.#live = { store: parts.store, file: parts.file }
  }

  get isDefragmenting(): boolean {
    return this.#defragmenting !== undefined
  }

  /** A file with everything that is applied now; the caller closes it. */
  async copy(): Promise<Result<StoreCopy, NodeProblem>> {
    if (this.#isClosed) return err('stopped')
    if (this.#copies >= MAX_COPIES) return err('too-many-requests')
    this.#copies += 1
    try {
      const path = this.#temporaryPath('copy')
      const { volume, room } = this.#parts
      const copy = await this.#withLive(({ store }) =>
        room.during(store.size().inUseBytes, () => openCopy(volume.disk, store, path)),
      )
      const close = (): Promise<void> => copy.close().finally(() => (this.#copies -= 1))
      return ok({ ...copy, close })
    } catch (error) {
      this.#copies -= 1
      if (error instanceof NoRoom) return err('no-room')
      throw error
    }
  }

  /** Makes a copy for a peer, says up to where it goes, and streams it; the outcome goes to the transport's handler. */
  async send(
    transport: PeerTransport,
    message: SnapshotMessage,
    onCopied: (index: LogIndex) => void = () => {},
  ): Promise<void> {
    const { volume, room } = this.#parts
    const path = this.#temporaryPath('outgoing')
    try {
      const meta = await this.#withLive(async ({ store }) => {
        await room.during(store.size().inUseBytes, () => store.backend.writeSnapshot(path))
        return volume.readSnapshotMeta(path)
      })
      const snapshot: SnapshotMeta = {
        index: meta.appliedIndex,
        term: meta.appliedTerm,
        configuration: decodeConfiguration(meta.configuration),
        configIndex: meta.configIndex,
      }
      onCopied(snapshot.index)
      await transport.sendSnapshot({ ...message, snapshot }, path)
    } finally {
      if (!this.#isClosed) await this.#track(volume.disk.remove(path))
    }
  }

  /**
   * Who asks while one is under way gets the outcome of that one. Rejects when it failed; the store is as before then, or
   * the process ends. A snapshot that is installed meanwhile has no free pages either: that counts as done.
   */
  defragment(): Promise<void> {
    this.#defragmenting ??= this.#withLive((live) => this.#defragment(live)).finally(
      () => (this.#defragmenting = undefined),
    )
    return this.#defragmenting
  }

  async #defragment(live: LiveStore): Promise<void> {
    const { volume, paths, room, onFatal, onDefragmented } = this.#parts
    const before = live.file
    const temporary = this.#temporaryPath('defragment')
    let isMoving = false
    const takePath = (): string | undefined => {
      if (live !== this.#live) return undefined
      isMoving = true
      live.file = writtenAnew(before)
      return storePath(paths, live.file)
    }
    try {
      const { backend } = live.store
      await room.during(backend.size().inUseBytes, () => backend.defragment(temporary, takePath), 'defragmentation')
    } catch (error) {
      // Which of the two files a start would find is not known, and the one in use would move away from the other.
      if (isMoving) onFatal(error)
      throw error
    } finally {
      await volume.disk.remove(temporary)
    }
    if (!isMoving) return
    onDefragmented()
    await removeStore(volume.disk, paths, before)
  }

  /**
   * Gives the file that a peer has sent its lasting name. Rejects when it does not hold what the message says: the sender
   * is told, and nothing has happened here.
   */
  keep(received: ReceivedSnapshot): Promise<void> {
    return this.#track(this.#keep(received))
  }

  async #keep({ message, path }: ReceivedSnapshot): Promise<void> {
    const { volume, paths } = this.#parts
    const { index, term } = message.snapshot
    const meta = await volume.readSnapshotMeta(path)
    if (meta.appliedIndex !== index || meta.appliedTerm !== term) {
      throw new MalformedBytes(
        `a snapshot of entry ${index} (term ${term}) that holds entry ${meta.appliedIndex} (term ${meta.appliedTerm})`,
      )
    }
    await this.#inOrder(async () => {
      await this.#removeReceivedUpTo(this.#live.store.appliedIndex)
      if (index <= this.#live.store.appliedIndex) return volume.disk.remove(path) // Raft has no use for it either
      await volume.disk.rename(path, receivedPath(paths, index))
      await volume.disk.syncDirectory(paths.db)
    })
  }

  /**
   * Makes the snapshot of that entry, which was kept, the store. `replace` is called when it is, durably: from then on
   * nobody may use the store before.
   */
  async install(index: LogIndex, replace: (store: Store) => void): Promise<void> {
    const { volume, paths } = this.#parts
    await this.#retiring
    await this.#inOrder(async () => {
      const before = this.#live
      assert(
        index > before.store.appliedIndex,
        () => `a snapshot of ${index} over a store at ${before.store.appliedIndex}`,
      )
      this.#live = await installSnapshot(volume, paths, index, before.file)
      replace(this.#live.store)
      this.#retiring = this.#track(this.#retire(before, index)).catch(this.#parts.onFatal)
    })
  }

  async #retire(before: LiveStore, replacedBy: LogIndex): Promise<void> {
    const { volume, paths } = this.#parts
    await before.store.discard()
    await removeStore(volume.disk, paths, before.file)
    await this.#removeReceivedUpTo(replacedBy)
  }

  /** What the store has passed Raft will not ask for. */
  async #removeReceivedUpTo(last: LogIndex): Promise<void> {
    const { volume, paths } = this.#parts
    for (const index of await receivedSnapshots(volume.disk, paths))
      if (index <= last) await volume.disk.remove(receivedPath(paths, index))
  }

  /** Finishes what is under way, commits what is applied, and closes the store. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled(this.#underWay)
    await this.#live.store.close()
  }

  /** Uses the live store, with everything that is applied committed; `use` must begin its work on it before it waits. */
  #withLive<Value>(use: (live: LiveStore) => Promise<Value>): Promise<Value> {
    return this.#track(this.#commitThen(use))
  }

  async #commitThen<Value>(use: (live: LiveStore) => Promise<Value>): Promise<Value> {
    for (;;) {
      if (this.#isClosed) throw new Error('this member stops')
      const live = this.#live
      await live.store.commit().catch((error: unknown) => {
        this.#parts.onFatal(error)
        throw error
      })
      if (live === this.#live) return use(live)
    }
  }

  #inOrder(change: () => Promise<void>): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Error('this member stops'))
    const done = this.#track(this.#lastChange.then(change))
    this.#lastChange = done.catch(() => undefined)
    return done
  }

  #track<Value>(work: Promise<Value>): Promise<Value> {
    const tracked = work.finally(() => this.#underWay.delete(tracked))
    this.#underWay.add(tracked)
    return tracked
  }

  #temporaryPath(purpose: 'copy' | 'outgoing' | 'defragment'): string {
    return join(this.#parts.paths.snapshots, `${purpose}-${++this.#sequence}.db`)
  }
}
