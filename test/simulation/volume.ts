/**
 * Databases on a simulated disk. A commit makes a new state, which never changes afterwards, and writes its number to the
 * database's file: so the disk alone decides which state survives a crash, and renames, copies and flipped bits work as
 * they do on files. What this leaves out is the engine itself (`storage/runs`), which has crash tests of its own.
 */
import { dirname } from 'node:path'
import { crc32 } from '@node-rs/crc32'
import { assert } from '../../lib/assert.ts'
import {
  inPieces,
  StoreDamaged,
  type Backend,
  type BackendSize,
  type Counted,
  type PinnedStore,
  type ScanOptions,
  type Table,
  type TableEntry,
  type Write,
} from '../../node-server/mvcc/backend.ts'
import { MemoryBackend } from '../../node-server/mvcc/memory-backend.ts'
import { readMeta } from '../../node-server/mvcc/meta.ts'
import type { Disk } from '../../node-server/storage/disk.ts'
import type { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import type { StoreEngine } from '../../node-server/storage/store-engine.ts'
import type { Volume, VolumeSpace } from '../../node-server/storage/volume.ts'
import { storesInRuns, type Damageable } from './stores-in-runs.ts'

/** All states that any database of the world ever had. */
export class States {
  readonly #states: DatabaseState[] = []

  add(tables: MemoryBackend, sizeBytes: number): DatabaseState {
    const state = { number: this.#states.length + 1, tables, sizeBytes }
    this.#states.push(state)
    return state
  }

  /** Throws when these bytes are not the number of one. */
  read(bytes: Uint8Array, path: string): FoundState {
    const found = this.find(bytes)
    if (found === undefined) throw new StoreDamaged(path, 'it is not a store')
    return found
  }

  find(bytes: Uint8Array): FoundState | undefined {
    const file = Buffer.from(bytes)
    const slot = numberAt(file, 0) > numberAt(file, 1) ? 0 : 1
    const state = this.#states[numberAt(file, slot) - 1]
    return state && { state, slot }
  }
}

interface FoundState {
  readonly state: DatabaseState
  /** Where its number stands. */
  readonly slot: number
}

interface DatabaseState {
  readonly number: number
  readonly tables: MemoryBackend
  /** Of the file, which grows with every write until it is defragmented. */
  readonly sizeBytes: number
}

export class SimulatedBackend implements Backend {
  readonly #disk: Disk
  readonly #states: States
  readonly #path: string
  #state: DatabaseState
  /** Where the number of the state stands. */
  #slot: number
  #last: Promise<void> = Promise.resolve()
  #pins = 0
  #isClosed = false
  /** Every read and commit throws. */
  #isDamaged = false

  constructor(disk: Disk, states: States, path: string, found: FoundState) {
    this.#disk = disk
    this.#states = states
    this.#path = path
    this.#state = found.state
    this.#slot = found.slot
  }

  /** What is closed is not used. */
  get #open(): DatabaseState {
    assert(!this.#isClosed, `the database ${this.#path} is open`)
    if (this.#isDamaged) throw new StoreDamaged(this.#path, 'a block has another checksum')
    return this.#state
  }

  /** As if its disk had changed bytes of it: who reads hears of it. */
  damage(): void {
    this.#isDamaged = true
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    return this.#open.tables.get(table, key)
  }

  scan(table: Table, start: Uint8Array, end: Uint8Array | undefined, options?: ScanOptions): Iterable<TableEntry> {
    return this.#open.tables.scan(table, start, end, options)
  }

  count(table: Table, start: Uint8Array, end: Uint8Array | undefined): number {
    return this.#open.tables.count(table, start, end)
  }

  countSome(table: Table, start: Uint8Array, end: Uint8Array | undefined, rows: number): Counted {
    return this.#open.tables.countSome(table, start, end, rows)
  }

  commit(writes: Iterable<Write>): Promise<void> {
    return this.#alone(() => this.#commit([...writes]))
  }

  async #commit(writes: readonly Write[]): Promise<void> {
    const tables = this.#open.tables.copy()
    await tables.commit(writes)
    const writtenBytes = writes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
    const next = this.#states.add(tables, this.#state.sizeBytes + writtenBytes)
    this.#slot = 1 - this.#slot
    await writeNumber(this.#disk, this.#path, next.number, this.#slot)
    this.#state = next
  }

  size(): BackendSize {
    const { sizeBytes, tables } = this.#state
    return { totalBytes: sizeBytes, inUseBytes: tables.size().inUseBytes }
  }

  /** A copy in a file of its own, as a database makes that can do no better. */
  async pin(): Promise<PinnedStore> {
    const { tables, number } = this.#compacted()
    const path = `${this.#path}-pinned-${++this.#pins}`
    try {
      await writeNumber(this.#disk, path, number, 0)
      const file = await this.#disk.open(path, { create: false })
      const read = async function* (): AsyncIterable<Uint8Array> {
        yield await file.read(SLOT_SIZE_BYTES, 0)
      }
      const rows = (table: Table): AsyncIterable<readonly TableEntry[]> =>
        inPieces(tables.scan(table, Buffer.of(0), undefined), () => Promise.resolve())
      return { meta: readMeta(tables), sizeBytes: SLOT_SIZE_BYTES, read, rows, release: () => file.close() }
    } finally {
      await this.#disk.remove(path)
    }
  }

  #compacted(): DatabaseState {
    const { tables } = this.#open
    return this.#states.add(tables, tables.size().totalBytes)
  }

  defragment(): Promise<void> {
    return this.#alone(() => this.#defragment())
  }

  async #defragment(): Promise<void> {
    const next = this.#compacted()
    const slot = 1 - this.#slot
    const copy = `${this.#path}-defragmented`
    try {
      await writeNumber(this.#disk, copy, next.number, 0) // there must be room for it
      await writeNumber(this.#disk, this.#path, next.number, slot)
    } finally {
      await this.#disk.remove(copy)
    }
    this.#state = next
    this.#slot = slot
  }

  /** Commits wait while the file is rewritten, and the other way round. */
  #alone(action: () => Promise<void>): Promise<void> {
    const done = this.#last.then(action)
    this.#last = done.catch(() => undefined)
    return done
  }

  async close(): Promise<void> {
    await this.#last
    this.#isClosed = true
  }
}

/**
 * Of two places in turn, each a sector: zeros, the number (4), a checksum of all that (4). A torn write leaves the state
 * before, and a stream that is cut off holds nothing.
 */
const SLOT_SIZE_BYTES = 512
const NUMBER_OFFSET = SLOT_SIZE_BYTES - 8
const CHECKSUM_OFFSET = SLOT_SIZE_BYTES - 4

async function writeNumber(disk: Disk, path: string, number: number, slot: number): Promise<void> {
  const sector = Buffer.alloc(SLOT_SIZE_BYTES)
  sector.writeUInt32BE(number, NUMBER_OFFSET)
  sector.writeUInt32BE(crc32(sector.subarray(0, CHECKSUM_OFFSET)), CHECKSUM_OFFSET)
  const file = await disk.open(path, { create: true })
  await file.write(sector, slot * SLOT_SIZE_BYTES)
  await file.sync()
  await file.close()
}

function numberAt(file: Buffer, slot: number): number {
  const sector = file.subarray(slot * SLOT_SIZE_BYTES, (slot + 1) * SLOT_SIZE_BYTES)
  if (sector.length < SLOT_SIZE_BYTES) return 0
  const isWhole = crc32(sector.subarray(0, CHECKSUM_OFFSET)) === sector.readUInt32BE(CHECKSUM_OFFSET)
  return isWhole ? sector.readUInt32BE(NUMBER_OFFSET) : 0
}

/** What the files of a folder take on the disk: of a database, what its state does. */
export function takenBytes(under: MemoryDisk, states: States, directory: string): number {
  let sizeBytes = 0
  for (const [, content] of under.files(directory)) {
    sizeBytes += states.find(content)?.state.sizeBytes ?? content.length
  }
  return sizeBytes
}

const BOUNDLESS: VolumeSpace = { freeBytes: Infinity, totalBytes: Infinity }

interface VolumeOptions {
  /** In the engine that members have; else in one of the simulation's own, which is faster. */
  readonly isInRuns?: boolean
  readonly space?: () => VolumeSpace
  readonly onOpened?: (store: Damageable) => void
}

/** `disk` is the process's way to `under`. */
export function simulatedVolume(
  under: MemoryDisk,
  disk: Disk,
  states: States,
  newIncarnation: () => bigint,
  { isInRuns = false, space = () => BOUNDLESS, onOpened = () => {} }: VolumeOptions = {},
): Volume {
  return {
    disk,
    walSizes: { segmentSizeBytes: 16 * 1024, preparedSizeBytes: 1024 },
    stores: isInRuns ? storesInRuns(disk, onOpened) : simulatedStores({ under, disk, states, onOpened }),
    space,
    newIncarnation,
  }
}

interface StoresParts {
  readonly under: MemoryDisk
  readonly disk: Disk
  readonly states: States
  readonly onOpened: (store: Damageable) => void
}

/** A store is one file. */
function simulatedStores({ under, disk, states, onOpened }: StoresParts): StoreEngine {
  const read: StoreEngine['read'] = async (path, use) =>
    use(new SimulatedBackend(disk, states, path, states.read(await disk.readFile(path), path)))
  return {
    copiesToPin: true,
    open: async (path) => {
      const bytes = under.peek(path)
      const isThere = bytes !== undefined && bytes.length > 0
      if (!isThere) void under.open(path, { create: true }) // at once: it waits for nothing
      const found = isThere ? states.read(bytes, path) : { state: states.add(new MemoryBackend(), 0), slot: 1 }
      const store = new SimulatedBackend(disk, states, path, found)
      onOpened(store)
      return store
    },
    read,
    stream: async function* (path) {
      yield await disk.readFile(path)
    },
    receive: async (path, pieces) => {
      try {
        const file = await disk.open(path, { create: true })
        let position = 0
        for await (const piece of pieces) {
          await file.write(piece, position)
          position += piece.length
        }
        await file.sync()
        await file.close()
        await disk.syncDirectory(dirname(path))
        return await read(path, readMeta)
      } catch (error) {
        await disk.remove(path)
        throw error
      }
    },
    former: async () => [],
    takeOver: async () => undefined,
  }
}
