/**
 * The write-ahead log: what this member has promised. An append resolves once it is durable; only then may anything that
 * rests on it be told to others.
 *
 * Invariants: appends are durable in order; a segment begins with identity, base and hard state, so that the ones before it
 * can go; only the tail of the last segment may be torn, since nothing rests on it. After a failed write or sync the log
 * takes nothing more: what is on the disk is then unknown, and the process must end.
 */
import { join } from 'node:path'
import { assert } from '../../lib/assert.ts'
import { sizeOfParts } from '../../lib/bytes.ts'
import type { LogIndex } from '../../lib/ids.ts'
import type { Entry, HardState } from '../raft/message.ts'
import type { Disk, DiskFile } from './disk.ts'
import { encodeBatch, zeroParts, type Identity, type LogBase, type WalRecord } from './record.ts'
import { SyncPace } from './sync-pace.ts'
import { segmentName, type Segment } from './wal-replay.ts'

/** The disk failed a write or did not confirm it. The process must exit; at its next start the log is read again. */
export class StorageFailed extends Error {
  override readonly name = 'StorageFailed'
}

export interface WalState {
  readonly identity: Identity
  readonly base: LogBase
  readonly hardState: HardState
}

export interface WalSizes {
  readonly segmentSizeBytes: number
  /** Zeros are written ahead in steps of this: a sync is quicker when it changes no file size. Default 1 MiB. */
  readonly preparedSizeBytes?: number
}

export interface WalOptions extends WalSizes {
  /** Called with the duration of each write with its sync. */
  readonly onSync: (seconds: number) => void
}

export const DEFAULT_WAL_SIZES: WalSizes = { segmentSizeBytes: 64 * 1024 * 1024 }
const DEFAULT_PREPARED_SIZE_BYTES = 1024 * 1024

export class Wal {
  readonly #disk: Disk
  readonly #directory: string
  readonly #options: WalOptions
  #state: WalState
  #segments: Segment[]
  #file: DiskFile
  #position: number
  /** Up to here the file exists, with zeros behind the position. */
  #preparedTo: number
  #nextBatch: number
  readonly #pace = new SyncPace()
  #failure: StorageFailed | undefined
  /** A commit index that waits for the next append: it promises nothing. */
  #isHardStateLate = false
  #work: Promise<void> = Promise.resolve()
  #underWay = 0

  private constructor(parts: {
    disk: Disk
    directory: string
    options: WalOptions
    state: WalState
    segments: Segment[]
    file: DiskFile
    position: number
    nextBatch: number
  }) {
    this.#disk = parts.disk
    this.#directory = parts.directory
    this.#options = parts.options
    this.#state = parts.state
    this.#segments = parts.segments
    this.#file = parts.file
    this.#position = parts.position
    this.#preparedTo = parts.position
    this.#nextBatch = parts.nextBatch
  }

  /** Makes the folder's first segment, durably. */
  static async create(disk: Disk, directory: string, state: WalState, options: WalOptions): Promise<Wal> {
    await disk.makeDirectory(directory)
    const segment: Segment = { name: segmentName(1), lastIndex: state.base.index }
    const file = await disk.open(join(directory, segment.name), { create: true })
    const wal = new Wal({ disk, directory, options, state, segments: [segment], file, position: 0, nextBatch: 1 })
    await wal.#write(wal.#head())
    await disk.syncDirectory(directory)
    return wal
  }

  /** Goes on behind what {@link replay} found; cuts off the torn tail. */
  static async resume(
    disk: Disk,
    directory: string,
    found: { state: WalState; segments: readonly Segment[]; endOffset: number; nextBatch: number },
    options: WalOptions,
  ): Promise<Wal> {
    const last = found.segments.at(-1)
    assert(last !== undefined, 'a log that was found has a segment')
    const file = await disk.open(join(directory, last.name), { create: false })
    await file.truncate(found.endOffset)
    await file.sync()
    const { state, nextBatch } = found
    const segments = [...found.segments]
    const wal = new Wal({ disk, directory, options, state, segments, file, position: found.endOffset, nextBatch })
    // A crash came between making the segment and writing its head.
    if (found.endOffset === 0) await wal.#write(wal.#head())
    await disk.syncDirectory(directory)
    return wal
  }

  /**
   * Resolves once everything is durable. With `mustSync` false and no entries the hard state carries only a newer commit
   * index, which is written with the next append: a lost one is learned again from the leader. With `mayPause` all else may
   * stand still meanwhile, as long as the disk is quick.
   */
  append(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    mustSync: boolean,
    mayPause = false,
  ): Promise<void> {
    if (hardState !== undefined) {
      this.#state = { ...this.#state, hardState }
      this.#isHardStateLate = true
    }
    if (!mustSync && entries.length === 0) return Promise.resolve()
    return this.#inOrder(async () => {
      const records: WalRecord[] = entries.map((entry) => ({ kind: 'entry', entry }))
      if (this.#isHardStateLate) records.push({ kind: 'hard-state', hardState: this.#state.hardState })
      this.#isHardStateLate = false
      const segment = this.#segments.at(-1)
      const last = entries.at(-1)
      if (segment !== undefined && last !== undefined && last.index > segment.lastIndex) segment.lastIndex = last.index
      await this.#write(records, mayPause)
      if (this.#position >= this.#options.segmentSizeBytes) await this.#roll()
    })
  }

  /**
   * The log begins behind `base` from now on: what is before it is in the store, durably. Segments that hold nothing else
   * are deleted. Also after a snapshot was installed, when the entries there are do not lead up to it.
   */
  setBase(base: LogBase): Promise<void> {
    return this.#inOrder(async () => {
      assert(
        base.index >= this.#state.base.index,
        () => `the base goes from ${this.#state.base.index} back to ${base.index}`,
      )
      this.#state = { ...this.#state, base }
      await this.#write([{ kind: 'base', base }])
      await this.#release(base.index)
    })
  }

  /** Writes what is late and closes. */
  close(): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#isHardStateLate) await this.#write([{ kind: 'hard-state', hardState: this.#state.hardState }])
      this.#isHardStateLate = false
      await this.#file.close()
    })
  }

  #head(): WalRecord[] {
    const { identity, base, hardState } = this.#state
    return [
      { kind: 'identity', identity },
      { kind: 'base', base },
      { kind: 'hard-state', hardState },
    ]
  }

  async #roll(): Promise<void> {
    const previous = this.#segments.at(-1)
    assert(previous !== undefined, 'there is always a segment')
    const number = Number.parseInt(previous.name, 16) + 1
    const segment: Segment = { name: segmentName(number), lastIndex: this.#state.base.index }
    await this.#guard(() => this.#file.close())
    this.#file = await this.#guard(() => this.#disk.open(join(this.#directory, segment.name), { create: true }))
    this.#position = 0
    this.#preparedTo = 0
    this.#segments.push(segment)
    await this.#write(this.#head())
    await this.#guard(() => this.#disk.syncDirectory(this.#directory))
  }

  /** From the oldest on, each durably gone before the next: the order keeps what is left without a gap. */
  async #release(index: LogIndex): Promise<void> {
    for (
      let oldest = this.#segments[0];
      this.#segments.length > 1 && oldest !== undefined && oldest.lastIndex <= index;
      oldest = this.#segments[0]
    ) {
      const path = join(this.#directory, oldest.name)
      await this.#guard(() => this.#disk.remove(path))
      await this.#guard(() => this.#disk.syncDirectory(this.#directory))
      this.#segments.shift()
    }
  }

  async #write(records: readonly WalRecord[], mayPause = false): Promise<void> {
    const parts = encodeBatch(this.#nextBatch, records)
    const end = this.#position + sizeOfParts(parts)
    const zeros = this.#zerosBehind(end)
    const startedMs = performance.now()
    await this.#guard(async () => {
      await this.#file.writev([...parts, ...zeros], this.#position)
      await this.#file.sync(mayPause && zeros.length === 0 && this.#pace.isQuick)
    })
    this.#nextBatch += 1
    this.#position = end
    const tookMs = performance.now() - startedMs
    this.#pace.took(tookMs)
    this.#options.onSync(tookMs / 1000)
  }

  /** Where the file would end: they are written with what goes before them. */
  #zerosBehind(end: number): readonly Buffer[] {
    if (end <= this.#preparedTo) return []
    const step = this.#options.preparedSizeBytes ?? DEFAULT_PREPARED_SIZE_BYTES
    this.#preparedTo = Math.ceil(end / step) * step
    return zeroParts(this.#preparedTo - end)
  }

  async #guard<Value>(action: () => Promise<Value>): Promise<Value> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return await action()
    } catch (error) {
      this.#failure = failed(this.#directory, error)
      throw this.#failure
    }
  }

  /** Begins at once when nothing is under way, so that the disk works while the caller goes on. */
  #inOrder(action: () => Promise<void>): Promise<void> {
    const done = this.#underWay === 0 ? action() : this.#work.then(action)
    this.#underWay += 1
    this.#work = done
      .catch(() => undefined)
      .finally(() => {
        this.#underWay -= 1
      })
    return done
  }
}

function failed(directory: string, cause: unknown): StorageFailed {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const advice =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'the disk is full: enlarge the volume or free space, then start again. Nothing that was acknowledged is lost'
      : 'the disk failed: what it holds of the last write is unknown, so this process ends. Check the disk, then start again'
  return new StorageFailed(`cannot write the log in ${directory}: ${advice}`, { cause })
}
