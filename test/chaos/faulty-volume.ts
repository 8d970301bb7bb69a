/**
 * A volume on the machine's disk that fails as disks do: it is slow to sync, it is full, it reports an error at a sync and
 * has then dropped what was written, it loses power. What was written and not synced is remembered, so that it can be lost.
 *
 * Not lost here, but in the simulation: names (renames and new files), and what the store writes, in a thread of its own.
 */
import { closeSync, ftruncateSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend, Write } from '../../node-server/mvcc/backend.ts'
import type { Disk, DiskFile } from '../../node-server/storage/disk.ts'
import type { Volume } from '../../node-server/storage/volume.ts'

const SECTOR_SIZE_BYTES = 512

export interface DiskFaults {
  /** Added to every sync of the log and every commit of the store. */
  syncDelayMs: number
  /** Writes are half made, then fail with ENOSPC. */
  isFull: boolean
  /** The next sync of a file, or the next commit of the store, fails with EIO. */
  failNext: 'log' | 'store' | 'nothing'
}

/** `retried`: a file was synced after a sync of it had failed, which must never be. */
export type DiskEvent = 'slow' | 'full' | 'failed' | 'retried'

export const NO_DISK_FAULTS: Readonly<DiskFaults> = { syncDelayMs: 0, isFull: false, failNext: 'nothing' }

export class FaultyVolume implements Volume {
  readonly disk: Disk
  readonly walSizes: Volume['walSizes']
  readonly stores: Volume['stores']
  readonly space: Volume['space']
  readonly newIncarnation: Volume['newIncarnation']
  readonly faults: DiskFaults = { ...NO_DISK_FAULTS }
  readonly #volume: Volume
  readonly #onEvent: (event: DiskEvent) => void
  readonly #files = new Set<FaultyFile>()

  constructor(volume: Volume, onEvent: (event: DiskEvent) => void) {
    this.#volume = volume
    this.#onEvent = onEvent
    this.walSizes = volume.walSizes
    this.stores = { ...volume.stores, open: (path) => this.#openStore(path) }
    this.space = (directory) => volume.space(directory)
    this.newIncarnation = () => volume.newIncarnation()
    this.disk = {
      ...volume.disk,
      open: (path, options) => this.#open(path, options),
      makeDirectory: async (path) => {
        this.checkSpace()
        await volume.disk.makeDirectory(path)
      },
    }
  }

  /** As it is, with commits that are late or fail before they have begun. */
  async #openStore(path: string): Promise<Backend> {
    const backend = await this.#volume.stores.open(path)
    const commit = backend.commit.bind(backend)
    return Object.assign(backend, {
      commit: async (writes: Iterable<Write>): Promise<void> => {
        await this.delay()
        this.checkSpace()
        if (this.takeFailure('store')) throw diskError('EIO')
        await commit(writes)
      },
    })
  }

  /** Forgets an arbitrary part of what was not synced. The process must not go on after it. */
  losePower(isKept: () => boolean): void {
    for (const file of this.#files) file.forget(isKept)
  }

  checkSpace(): void {
    if (!this.faults.isFull) return
    this.#onEvent('full')
    throw diskError('ENOSPC')
  }

  async delay(): Promise<void> {
    if (this.faults.syncDelayMs === 0) return
    this.#onEvent('slow')
    await sleep(this.faults.syncDelayMs)
  }

  takeFailure(where: 'log' | 'store'): boolean {
    if (this.faults.failNext !== where) return false
    this.faults.failNext = 'nothing'
    this.#onEvent('failed')
    return true
  }

  noteRetry(): void {
    this.#onEvent('retried')
  }

  async #open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    if (options.create) this.checkSpace()
    const opened = await this.#volume.disk.open(path, options)
    const file = new FaultyFile(this, opened, path, () => this.#files.delete(file))
    this.#files.add(file)
    return file
  }
}

/** What stood where something was written that is not synced yet. */
interface Unsynced {
  readonly position: number
  readonly before: Buffer
}

class FaultyFile implements DiskFile {
  readonly #volume: FaultyVolume
  readonly #file: DiskFile
  readonly #descriptor: number
  readonly #onClose: () => void
  #unsynced: Unsynced[] = []
  #syncedSizeBytes: number
  #hasFailed = false

  constructor(volume: FaultyVolume, file: DiskFile, path: string, onClose: () => void) {
    this.#volume = volume
    this.#file = file
    this.#onClose = onClose
    this.#descriptor = openSync(path, 'r+')
    this.#syncedSizeBytes = fstatSync(this.#descriptor).size
  }

  read(maxBytes: number, position: number): Promise<Buffer> {
    return this.#file.read(maxBytes, position)
  }

  readSync(into: Uint8Array, position: number): number {
    return this.#file.readSync(into, position)
  }

  size(): Promise<number> {
    return this.#file.size()
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    const before = Buffer.alloc(bytes.length)
    const there = readSync(this.#descriptor, before, 0, before.length, position)
    this.#unsynced.push({ position, before: before.subarray(0, there) })
    if (this.#volume.faults.isFull) await this.#file.write(bytes.subarray(0, bytes.length >> 1), position)
    this.#volume.checkSpace()
    await this.#file.write(bytes, position)
  }

  writev(parts: readonly Uint8Array[], position: number): Promise<void> {
    return this.write(Buffer.concat(parts), position)
  }

  truncate(sizeBytes: number): Promise<void> {
    // Losing a truncation is the simulation's part: here it counts at once.
    this.#syncedSizeBytes = Math.min(this.#syncedSizeBytes, sizeBytes)
    return this.#file.truncate(sizeBytes)
  }

  async sync(): Promise<void> {
    if (this.#hasFailed) this.#volume.noteRetry()
    await this.#volume.delay()
    if (this.#volume.takeFailure('log')) {
      this.#hasFailed = true
      // What Linux does: the pages count as clean, and their content may be gone.
      this.forget(() => false)
      throw diskError('EIO')
    }
    const underWay = this.#unsynced.length
    await this.#file.sync()
    this.#unsynced = this.#unsynced.slice(underWay)
    if (this.#unsynced.length === 0) this.#syncedSizeBytes = fstatSync(this.#descriptor).size
  }

  async close(): Promise<void> {
    this.#onClose()
    closeSync(this.#descriptor)
    await this.#file.close()
  }

  forget(isKept: () => boolean): void {
    for (const { position, before } of this.#unsynced.toReversed()) {
      for (let at = 0; at < before.length; at += SECTOR_SIZE_BYTES) {
        if (isKept()) continue
        const part = before.subarray(at, at + SECTOR_SIZE_BYTES)
        writeSync(this.#descriptor, part, 0, part.length, position + at)
      }
    }
    if (!isKept() && fstatSync(this.#descriptor).size > this.#syncedSizeBytes)
      ftruncateSync(this.#descriptor, this.#syncedSizeBytes)
    this.#unsynced = []
  }
}

function diskError(code: 'EIO' | 'ENOSPC'): Error {
  return Object.assign(new Error(`${code}: ${code === 'EIO' ? 'i/o error' : 'no space left on device'}`), { code })
}
