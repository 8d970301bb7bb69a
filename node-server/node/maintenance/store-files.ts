/**
 * The one owner of a running member's stores: everything that makes, pins, replaces or deletes one goes through here. Which
 * store is the live one, and under which name, stands in memory.
 *
 * Invariants
 *   - A store keeps its name from before it is the live one until it is deleted, so what the database does with its files under that
 *     name (a defragmentation, a pin) never affects another store.
 *   - Only stores are deleted that are known not to be live, by their names, and after they are closed.
 *   - After every wait it is checked again whether the store is still the live one.
 *   - An installation waits for nothing that is done with the old store; that one is deleted once the work on it
 *     is finished. At most one old store is waiting for that.
 *   - Once closed it no longer touches the disk; the next start deletes what is left.
 */
import { join } from 'node:path'
import { assert } from '../../../lib/assert.ts'
import { MalformedBytes } from '../../../lib/bytes.ts'
import type { LogIndex } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { MAX_CLIENT_SNAPSHOTS, MAX_PINNED_STORES } from '../../limits.ts'
import { StoreInDoubt, type PinnedStore } from '../../mvcc/backend.ts'
import type { Store } from '../../mvcc/store.ts'
import type { SnapshotMeta } from '../../raft/message.ts'
import type { MemberPaths } from '../../storage/data-directory.ts'
import type { Volume } from '../../storage/volume.ts'
import type { IncomingSnapshot, PeerTransport, SnapshotMessage, SnapshotSource } from '../../transport/transport.ts'
import { decodeConfiguration } from '../membership/configuration.ts'
import type { NodeProblem } from '../ports.ts'
import { NoRoom, type DiskRoom } from './disk-room.ts'
import { installSnapshot, type NamedStore } from './snapshots.ts'
import { damagedStores, receivedPath, receivedSnapshots, storePath, type StoreName } from './store-name.ts'

/** Where the store is. */
export interface StorePlace {
  readonly volume: Volume
  readonly paths: MemberPaths
  readonly name: StoreName
}

export interface StoreFilesParts extends StorePlace {
  readonly store: Store
  readonly room: DiskRoom
  /** It is no longer known what the disk holds: the process must exit. */
  readonly onFatal: (error: unknown) => void
  readonly onDefragmented: () => void
}

/** Called with the progress of a store on its way to a peer. */
export interface SendingWatcher {
  /** Up to which entry it goes, and how many bytes will be sent. */
  onPinned(index: LogIndex, sizeBytes: number): void
  /** Bytes that were given to the network. */
  onSent(sentBytes: number): void
}

const UNWATCHED: SendingWatcher = { onPinned: () => undefined, onSent: () => undefined }

export class StoreFiles {
  readonly #parts: StoreFilesParts
  #live: NamedStore
  /** Work on files, so that closing can wait for it. */
  readonly #underWay = new Set<Promise<unknown>>()
  /** Snapshots are kept and installed one after the other: the transport takes in two at most, a turn installs one. */
  #lastChange: Promise<unknown> = Promise.resolve()
  #retiring: Promise<void> = Promise.resolve()
  #defragmenting: Promise<void> | undefined
  /** All that are pinned, and of those the ones of clients. */
  #pinned = 0
  #clients = 0
  /** Numbers the snapshots that are received; counts those being received. */
  #sequence = 0
  #receiving = 0
  #isClosed = false

  constructor(parts: StoreFilesParts) {
    this.#parts = parts
    this.#live = { store: parts.store, name: parts.name }
  }

  /** A snapshot is being received. */
  get isReceiving(): boolean {
    return this.#receiving > 0
  }

  get isDefragmenting(): boolean {
    return this.#defragmenting !== undefined
  }

  /** Pins everything that is applied now, for a client, which releases it. */
  async pin(): Promise<Result<PinnedStore, NodeProblem>> {
    if (this.#isClosed) return err('stopped')
    if (this.#clients >= MAX_CLIENT_SNAPSHOTS) return err('too-many-requests')
    this.#clients += 1
    try {
      const pinned = await this.#pin()
      return ok(releasedWith(pinned, () => (this.#clients -= 1)))
    } catch (error) {
      this.#clients -= 1
      if (error instanceof NoRoom) return err('no-room')
      throw error
    }
  }

  /** Pins the store for a peer and streams it. Rejects when there is nothing to be sent. */
  async send(
    transport: PeerTransport,
    message: SnapshotMessage,
    watcher: SendingWatcher = UNWATCHED,
  ): Promise<Result<void, string>> {
    const pinned = await this.#pin()
    try {
      const { meta } = pinned
      const snapshot: SnapshotMeta = {
        index: meta.appliedIndex,
        term: meta.appliedTerm,
        configuration: decodeConfiguration(meta.configuration),
        configIndex: meta.configIndex,
      }
      watcher.onPinned(snapshot.index, pinned.sizeBytes)
      return await transport.sendSnapshot({ ...message, snapshot }, watched(pinned, watcher))
    } finally {
      await pinned.release()
    }
  }

  async #pin(): Promise<PinnedStore> {
    assert(this.#pinned < MAX_PINNED_STORES, 'who sends to peers, and clients here, keep to their bounds')
    this.#pinned += 1
    const isGone = (): void => void (this.#pinned -= 1)
    try {
      const { room, volume } = this.#parts
      const pinned = await this.#withLive(({ store }) => {
        const pin = (): Promise<PinnedStore> => store.backend.pin()
        return volume.stores.copiesToPin ? room.during(store.size().inUseBytes, pin) : pin()
      })
      return releasedWith(pinned, isGone)
    } catch (error) {
      isGone()
      throw error
    }
  }

  /**
   * Who asks while one is under way gets the outcome of that one. Rejects when it failed; the store is as before then, or
   * the process ends. A snapshot that is installed meanwhile has no free space either: that counts as done.
   */
  defragment(): Promise<void> {
    this.#defragmenting ??= this.#withLive(({ store }) => this.#defragment(store)).finally(
      () => (this.#defragmenting = undefined),
    )
    return this.#defragmenting
  }

  async #defragment({ backend }: Store): Promise<void> {
    try {
      await this.#parts.room.during(backend.size().inUseBytes, () => backend.defragment(), 'defragmentation')
    } catch (error) {
      if (error instanceof StoreInDoubt) this.#parts.onFatal(error)
      throw error
    }
    this.#parts.onDefragmented()
  }

  /**
   * Takes in what a peer sends, under its lasting name. Rejects when there is no room for it, before it reads any of it,
   * when it does not hold what the message says, or the stream breaks off: the sender gets an error, and nothing has changed here.
   */
  keep(incoming: IncomingSnapshot): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Error('this member stops'))
    this.#receiving += 1
    return this.#track(this.#keep(incoming)).finally(() => (this.#receiving -= 1))
  }

  async #keep({ message, sizeBytes, pieces }: IncomingSnapshot): Promise<void> {
    const { volume, paths, room } = this.#parts
    const { index, term } = message.snapshot
    const path = join(paths.snapshots, `incoming-${++this.#sequence}`)
    const meta = await room.during(sizeBytes, () => volume.stores.receive(path, pieces))
    try {
      if (meta.appliedIndex !== index || meta.appliedTerm !== term) {
        throw new MalformedBytes(
          `a snapshot of entry ${index} (term ${term}) that holds entry ${meta.appliedIndex} (term ${meta.appliedTerm})`,
        )
      }
      await this.#inOrder(async () => {
        await this.#removeReceivedUpTo(this.#live.store.appliedIndex)
        if (index <= this.#live.store.appliedIndex) return // Raft has no use for it either
        // Raft may rest on the one that is there, which holds the same.
        if ((await receivedSnapshots(volume.disk, paths)).includes(index)) return
        await volume.disk.rename(path, receivedPath(paths, index))
        await volume.disk.syncDirectory(paths.db)
      })
    } finally {
      if (!this.#isClosed) await volume.disk.remove(path)
    }
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
      this.#live = await installSnapshot(volume, paths, index, before.name)
      replace(this.#live.store)
      this.#retiring = this.#track(this.#retire(before, index)).catch(this.#parts.onFatal)
    })
  }

  async #retire(before: NamedStore, replacedBy: LogIndex): Promise<void> {
    const { volume, paths } = this.#parts
    await before.store.discard()
    await volume.disk.remove(storePath(paths, before.name))
    for (const path of await damagedStores(volume.disk, paths)) await volume.disk.remove(path)
    await this.#removeReceivedUpTo(replacedBy)
  }

  /** What the store has passed Raft will not ask for. */
  async #removeReceivedUpTo(last: LogIndex): Promise<void> {
    const { volume, paths } = this.#parts
    for (const index of await receivedSnapshots(volume.disk, paths))
      if (index <= last) await volume.disk.remove(receivedPath(paths, index))
  }

  /** That of the live store. */
  get name(): StoreName {
    return this.#live.name
  }

  /** Finishes what is under way, commits what is applied, and closes the store. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled(this.#underWay)
    await this.#live.store.close()
  }

  /** Uses the live store, with everything that is applied committed; `use` must begin its work on it before it waits. */
  #withLive<Value>(use: (live: NamedStore) => Promise<Value>): Promise<Value> {
    return this.#track(this.#commitThen(use))
  }

  async #commitThen<Value>(use: (live: NamedStore) => Promise<Value>): Promise<Value> {
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
}

function releasedWith(pinned: PinnedStore, onReleased: () => void): PinnedStore {
  return {
    meta: pinned.meta,
    sizeBytes: pinned.sizeBytes,
    read: () => pinned.read(),
    rows: (table) => pinned.rows(table),
    release: () => pinned.release().finally(onReleased),
  }
}

/** A request for the next piece means that the one before was sent. */
function watched(source: SnapshotSource, watcher: SendingWatcher): SnapshotSource {
  return {
    sizeBytes: source.sizeBytes,
    read: async function* () {
      let sentBytes = 0
      for await (const piece of source.read()) {
        yield piece
        sentBytes += piece.length
        watcher.onSent(sentBytes)
      }
    },
  }
}
