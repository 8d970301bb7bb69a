/**
 * Databases on a simulated disk. A commit makes a new state, which never changes afterwards, and writes its number to the
 * database's file: so the disk alone decides which state survives a crash, and renames, copies and flipped bits work as
 * they do on files. What this leaves out is LMDB itself, which has crash tests of its own.
 */
import { dirname } from 'node:path'
import { crc32 } from '@node-rs/crc32'
import { assert } from '../../lib/assert.ts'
import { MalformedBytes } from '../../lib/bytes.ts'
import type { Backend, BackendSize, ScanOptions, Table, TableEntry, Write } from '../../node-server/mvcc/backend.ts'
import { MemoryBackend } from '../../node-server/mvcc/memory-backend.ts'
import { readMeta } from '../../node-server/mvcc/meta.ts'
import type { Disk } from '../../node-server/storage/disk.ts'
import type { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import type { Volume, VolumeSpace } from '../../node-server/storage/volume.ts'

/** All states that any database of the world ever had. */
export class States {
  readonly #states: DatabaseState[] = []

  add(tables: MemoryBackend, sizeBytes: number): DatabaseState {
    const state = { number: this.#states.length + 1, tables, sizeBytes }
    this.#states.push(state)
    return state
  }

  /** Throws when these bytes are not the number of one. */
  read(bytes: Uint8Array, path: string): { readonly state: DatabaseState; readonly slot: number } {
    const file = Buffer.from(bytes)
    const slot = numberAt(file, 0) > numberAt(file, 1) ? 0 : 1
    const state = this.#states[numberAt(file, slot) - 1]
    if (state === undefined) throw new MalformedBytes(`${path} is not a store`)
    return { state, slot }
  }
}

interface DatabaseState {
  readonly number: number
  readonly tables: MemoryBackend
  /** Of the file, which grows with every write until it is defragmented. */
  readonly sizeBytes: number
}

class SimulatedBackend implements Backend {
  readonly #disk: Disk
  readonly #states: States
  #path: string
  #state: DatabaseState
  /** Where the number of the state stands. */
  #slot: number
  #last: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(disk: Disk, states: States, path: string, found: { state: DatabaseState; slot: number }) {
    this.#disk = disk
    this.#states = states
    this.#path = path
    this.#state = found.state
    this.#slot = found.slot
  }

  /** LMDB refuses whoever uses what was closed, or worse. */
  get #open(): DatabaseState {
    assert(!this.#isClosed, `the database ${this.#path} is open`)
    return this.#state
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
    const { sizeBytes, tables } = this.#open
    return { totalBytes: sizeBytes, inUseBytes: tables.size().inUseBytes }
  }

  async writeSnapshot(path: string): Promise<void> {
    await writeNumber(this.#disk, path, this.#compacted().number, 0)
  }

  #compacted(): DatabaseState {
    const { tables } = this.#open
    return this.#states.add(tables, tables.size().totalBytes)
  }

  defragment(temporaryPath: string, takePath: () => string | undefined): Promise<void> {
    return this.#alone(() => this.#defragment(temporaryPath, takePath))
  }

  async #defragment(temporaryPath: string, takePath: () => string | undefined): Promise<void> {
    const next = this.#compacted()
    await writeNumber(this.#disk, temporaryPath, next.number, 0)
    const path = takePath()
    if (path === undefined) return
    await this.#disk.rename(temporaryPath, path)
    await this.#disk.syncDirectory(dirname(path))
    this.#path = path
    this.#state = next
    this.#slot = 0
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

/** Of two places in turn, each in a sector of its own: a torn write leaves the state before, as LMDB's two meta pages do. */
const SLOT_SIZE_BYTES = 512

async function writeNumber(disk: Disk, path: string, number: number, slot: number): Promise<void> {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(number)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 4)), 4)
  const file = await disk.open(path, { create: true })
  await file.write(bytes, slot * SLOT_SIZE_BYTES)
  await file.sync()
  await file.close()
}

function numberAt(file: Buffer, slot: number): number {
  const bytes = file.subarray(slot * SLOT_SIZE_BYTES, slot * SLOT_SIZE_BYTES + 8)
  const isWhole = bytes.length === 8 && crc32(bytes.subarray(0, 4)) === bytes.readUInt32BE(4)
  return isWhole ? bytes.readUInt32BE() : 0
}

/** What the files of a folder take on the disk: of a database, what its state does. */
export function takenBytes(under: MemoryDisk, states: States, directory: string): number {
  let sizeBytes = 0
  for (const [name, content] of under.files(directory)) {
    const isDatabase = content.length > 0 && /\.(mdb|db)$/.test(name)
    sizeBytes += isDatabase ? states.read(content, name).state.sizeBytes : content.length
  }
  return sizeBytes
}

const BOUNDLESS: VolumeSpace = { freeBytes: Infinity, totalBytes: Infinity }

/** `disk` is the process's way to `under`. */
export function simulatedVolume(
  under: MemoryDisk,
  disk: Disk,
  states: States,
  newIncarnation: () => bigint,
  space: () => VolumeSpace = () => BOUNDLESS,
): Volume {
  return {
    disk,
    walSizes: { segmentSizeBytes: 16 * 1024, preparedSizeBytes: 1024 },
    openBackend: (path) => {
      const bytes = under.peek(path)
      if (bytes !== undefined && bytes.length > 0)
        return new SimulatedBackend(disk, states, path, states.read(bytes, path))
      void under.open(path, { create: true }) // at once: it waits for nothing
      return new SimulatedBackend(disk, states, path, { state: states.add(new MemoryBackend(), 0), slot: 1 })
    },
    readSnapshotMeta: async (path) => readMeta(states.read(await disk.readFile(path), path).state.tables),
    space,
    newIncarnation,
  }
}
