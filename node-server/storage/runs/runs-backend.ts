/**
 * The store's tables in runs: files that never change, of which the manifest in force says which count. What they are, and
 * why nothing can go wrong with them in a crash, is in format.ts; this is their reader, which hands commits to the writer.
 *
 * A read looks through the runs from the newest to the oldest. It is synchronous: a block that is not in the ring is read
 * from the disk, or rather from the system's cache of it, in some microseconds. A manifest that the writer puts in force
 * becomes the reader's between two turns of the event loop, so a scan that awaits nothing sees one moment.
 */
import { setImmediate } from 'node:timers/promises'
import { assert, unreachable } from '../../../lib/assert.ts'
import { RUN_SIZES, type RunSizes } from '../../limits.ts'
import {
  inPieces,
  StoreDamaged,
  type Backend,
  type BackendSize,
  type CommitOptions,
  type Counted,
  type PinnedStore,
  type ScanOptions,
  type Table,
  type TableEntry,
  type TextWrite,
  type Write,
} from '../../mvcc/backend.ts'
import { readMeta } from '../../mvcc/meta.ts'
import type { Disk } from '../disk.ts'
import { archiveOf, readArchive } from './archive.ts'
import type { Block } from './block.ts'
import { BlockRing } from './block-ring.ts'
import { fileFor, RunCursor, type OpenRun } from './cursor.ts'
import { hashKey, isFiltered } from './filter.ts'
import { compareSpans } from './format.ts'
import { decodeManifest, NEW_MANIFEST, removalsOf, rowsOf, type Manifest, type Run, type RunFile } from './manifest.ts'
import { packRows, tableNumber } from './rows.ts'
import { REMOVED, RunReader, type ReaderOptions } from './run-reader.ts'
import { Spans } from './spans.ts'
import { readManifest, runPath } from './store-directory.ts'
import type { StartWriter, WriterLink } from './writer-link.ts'
import { errorOf, type FromWriter, type ToWriter } from './writer-messages.ts'

/** Keys are not empty. */
const FIRST_KEY = Buffer.of(0)

interface Waiting {
  readonly resolve: () => void
  readonly reject: (cause: unknown) => void
}

/** The files of one manifest, open. */
interface OpenStore {
  readonly manifest: Manifest
  readonly runs: readonly OpenRun[]
  readonly size: BackendSize
}

export class RunsBackend implements Backend {
  readonly #disk: Disk
  readonly #directory: string
  readonly #options: ReaderOptions
  #store: OpenStore = { manifest: NEW_MANIFEST, runs: [], size: sizeOf(NEW_MANIFEST) }
  #writer: WriterLink | undefined
  /** An open file that nobody knows any more ends the process. */
  readonly #pinned = new Set<readonly RunReader[]>()
  readonly #waiting = new Map<number, Waiting>()
  #sequence = 0
  #handingOver: Promise<unknown> = Promise.resolve()
  /** What the writer said is dealt with one after the other. */
  #heard: Promise<void> = Promise.resolve()
  #failure: Error | undefined
  /** Found by the writer: whoever reads is told of it, wherever that is. */
  #damage: StoreDamaged | undefined
  #isClosed = false

  /** Makes the store when there is none. Rejects with `StoreDamaged` when what is there is not what was written. */
  static async open(
    disk: Disk,
    directory: string,
    startWriter: StartWriter,
    sizes: RunSizes = RUN_SIZES,
  ): Promise<RunsBackend> {
    const backend = new RunsBackend(disk, directory, sizes)
    const { promise, ...started } = Promise.withResolvers<void>()
    const writer = startWriter(directory, (message) => backend.#hear(message, started))
    backend.#writer = writer
    try {
      await promise
    } catch (error) {
      await writer.end()
      throw error
    }
    return backend
  }

  /**
   * For one that nobody writes to, or for what is in a file that begins with an archive. Rejects when it is neither, and with
   * `StoreDamaged`.
   */
  static async openReadOnly(disk: Disk, directory: string, sizes: RunSizes = RUN_SIZES): Promise<RunsBackend> {
    const backend = new RunsBackend(disk, directory, sizes)
    const manifest = await readManifest(disk, directory)
    if (manifest !== undefined) await backend.#open(manifest)
    else await backend.#openArchive()
    return backend
  }

  private constructor(disk: Disk, directory: string, sizes: RunSizes) {
    this.#options = { ...sizes, ring: new BlockRing(sizes.ringSizeBytes) }
    this.#disk = disk
    this.#directory = directory
  }

  async #openNewest(): Promise<void> {
    const manifest = await readManifest(this.#disk, this.#directory)
    if (manifest === undefined) throw new Error(`there is no store in ${this.#directory}`)
    await this.#open(manifest)
  }

  async #openArchive(): Promise<void> {
    const { manifest, bases } = await readArchive(this.#disk, this.#directory)
    await this.#open(manifest, (file) => {
      const options = { ...this.#options, base: bases.get(file.id) ?? 0 }
      return RunReader.open(this.#disk, this.#directory, file, options)
    })
  }

  #openFile(file: RunFile): Promise<RunReader> {
    return RunReader.open(this.#disk, runPath(this.#directory, file.id), file, this.#options)
  }

  /** Opens what is new in the manifest and closes what is not in it any more. */
  async #open(manifest: Manifest, openFile = (file: RunFile) => this.#openFile(file)): Promise<void> {
    const before = new Map(this.#readers().map((reader) => [reader.file.id, reader]))
    const opened: RunReader[] = []
    const runs: RunReader[][] = []
    try {
      for (const run of manifest.runs) {
        const readers: RunReader[] = []
        for (const file of run) {
          const known = before.get(file.id)
          const reader = known?.hold() ?? (await openFile(file))
          opened.push(reader)
          readers.push(reader)
        }
        runs.push(readers)
      }
    } catch (error) {
      await closeAll(opened)
      throw error
    }
    this.#store = { manifest, runs, size: sizeOf(manifest) }
    await closeAll([...before.values()])
  }

  #readers(): readonly RunReader[] {
    return this.#store.runs.flat()
  }

  #hear(message: FromWriter, started: Waiting): void {
    const heard = this.#heard.then(() => this.#handle(message, started))
    this.#heard = heard.catch((error: unknown) => {
      started.reject(error)
      this.#fail(error)
    })
  }

  async #handle(message: FromWriter, started: Waiting): Promise<void> {
    switch (message.kind) {
      case 'started':
        await this.#openNewest()
        return started.resolve()
      case 'installed': {
        if (this.#isClosed || this.#failure !== undefined) return
        const manifest = decodeManifest(Buffer.from(message.manifest))
        // What is in force already when the store is opened is heard of later.
        if (manifest.number > this.#store.manifest.number) await this.#open(manifest)
        return this.#writer?.send({ kind: 'opened', number: this.#store.manifest.number })
      }
      case 'done':
        return this.#take(message.id)?.resolve()
      case 'failed': {
        const error = errorOf(message.failure)
        if (message.id !== undefined) return this.#take(message.id)?.reject(error)
        started.reject(error)
        return this.#fail(error)
      }
      default:
        return unreachable(message)
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    return waiting
  }

  /** The writer is gone, or what it made cannot be read: nothing is committed any more. */
  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
    if (this.#failure instanceof StoreDamaged) this.#damage = this.#failure
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
  }

  async #ask(message: (id: number) => ToWriter): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    assert(this.#writer !== undefined && !this.#isClosed, 'the store is open for writing')
    const id = ++this.#sequence
    const { promise, ...waiting } = Promise.withResolvers<void>()
    this.#waiting.set(id, waiting)
    this.#writer.send(message(id))
    return promise
  }

  get(table: Table, key: Uint8Array): Uint8Array | undefined {
    this.#checkReadable()
    const number = tableNumber(table)
    const wanted = withTable(number, key)
    const hash = isFiltered(number) ? hashKey(wanted, 0, wanted.length) : undefined
    for (const run of this.#store.runs) {
      const reader = run[run.length === 1 ? 0 : fileFor(run, wanted)]
      if (reader === undefined || !(hash === undefined ? isWithin(reader, wanted) : reader.mayHave(hash))) continue
      const found = reader.get(wanted)
      if (found !== undefined) return found === REMOVED ? undefined : found
    }
    return undefined
  }

  scan(table: Table, start: Uint8Array, end: Uint8Array | undefined, options: ScanOptions = {}): Iterable<TableEntry> {
    return entries(this.#cursors(table, start, end, options.isReverse === true), options)
  }

  count(table: Table, start: Uint8Array, end: Uint8Array | undefined): number {
    return this.countSome(table, start, end, Infinity).count
  }

  /** What no other run reaches into is counted by the index of its file, however much it is. */
  countSome(table: Table, start: Uint8Array, end: Uint8Array | undefined, rows: number): Counted {
    const cursors = this.#cursors(table, start, end, false)
    const [only] = cursors
    if (cursors.length === 1 && only !== undefined) return { count: only.countLive(), next: undefined }
    const spans = new Spans(cursors, false)
    let count = 0
    let looked = 0
    for (let block = spans.next(); block !== undefined; block = spans.next()) {
      const { from, to } = spans
      if (looked >= rows) return { count, next: userKey(block, from) }
      count += block.liveRows(from, to) + spans.countBehind()
      looked += 1 + (block.hasRemovals ? to - from : 0)
    }
    return { count, next: undefined }
  }

  #checkReadable(): void {
    assert(!this.#isClosed, 'the store is open')
    if (this.#damage !== undefined) throw this.#damage
  }

  #cursors(table: Table, start: Uint8Array, end: Uint8Array | undefined, isReverse: boolean): readonly RunCursor[] {
    this.#checkReadable()
    return cursorsOf(this.#store.runs, { table, start, end, isReverse })
  }

  commit(writes: Iterable<Write | TextWrite>, { removalsFollow = false }: CommitOptions = {}): Promise<void> {
    const handedOver = this.#handOver(writes)
    this.#handingOver = handedOver.catch(() => undefined)
    return handedOver.then(() => this.#ask((id) => ({ kind: 'commit', id, removalsFollow })))
  }

  /** In pieces, and the first at once: a small commit is asked for before anything else happens. */
  async #handOver(writes: Iterable<Write | TextWrite>): Promise<void> {
    let isFirst = true
    for (const rows of packRows(writes)) {
      if (!isFirst) await this.#writer?.giveWay()
      isFirst = false
      if (this.#failure !== undefined) throw this.#failure
      this.#writer?.send({ kind: 'rows', rows })
    }
  }

  size(): BackendSize {
    return this.#store.size
  }

  /** What a read may have to look through. */
  get runCount(): number {
    return this.#store.runs.length
  }

  async pin(): Promise<PinnedStore> {
    const meta = readMeta(this)
    const runs = this.#store.runs.map((run) => run.map((reader) => reader.hold()))
    const readers = runs.flat()
    this.#pinned.add(readers)
    const rows = (table: Table): AsyncIterable<readonly TableEntry[]> => {
      const whole = { table, start: FIRST_KEY, end: undefined, isReverse: false }
      return inPieces(entries(cursorsOf(runs, whole), {}), () => setImmediate())
    }
    const release = async (): Promise<void> => {
      if (this.#pinned.delete(readers)) await closeAll(readers)
    }
    return { meta, ...archiveOf(this.#store.manifest, readers), rows, release }
  }

  defragment(): Promise<void> {
    return this.#ask((id) => ({ kind: 'defragment', id }))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    await this.#handingOver
    const closed = this.#writer === undefined ? undefined : this.#ask((id) => ({ kind: 'close', id }))
    await closed?.catch(() => undefined) // the writer is gone already
    this.#isClosed = true
    await this.#writer?.end()
    await this.#heard
    const readers = this.#readers()
    this.#store = { ...this.#store, runs: [] }
    await closeAll(readers)
  }
}

interface TableRange {
  readonly table: Table
  readonly start: Uint8Array
  readonly end: Uint8Array | undefined
  readonly isReverse: boolean
}

/** Of the runs that have something in the range. */
function cursorsOf(runs: readonly OpenRun[], { table, start, end, isReverse }: TableRange): readonly RunCursor[] {
  const number = tableNumber(table)
  const low = withTable(number, start)
  const high = end === undefined ? Buffer.of(number + 1) : withTable(number, end)
  const bounds = { low, high, isReverse }
  if (Buffer.compare(low, high) >= 0) return []
  const cursors = runs.map((run, age) => new RunCursor(run, age, bounds))
  return cursors.filter(({ block }) => block !== undefined)
}

function* entries(cursors: readonly RunCursor[], { isReverse = false, limit }: ScanOptions): Iterable<TableEntry> {
  let left = limit ?? Infinity
  if (left <= 0) return
  const spans = new Spans(cursors, isReverse)
  for (let block = spans.next(); block !== undefined; block = spans.next()) {
    const { from, to } = spans
    for (let i = from; i < to; i++) {
      const position = isReverse ? to - 1 - (i - from) : i
      if (block.isRemoval(position)) continue
      yield { key: userKey(block, position), value: block.value(position) }
      if (--left <= 0) return
    }
  }
}

/** Without the byte of the table. */
function userKey(block: Block, position: number): Buffer {
  const key = Buffer.allocUnsafe(block.keySize(position) - 1)
  block.copyKey(position, key, 1)
  return key
}

function withTable(table: number, key: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(key.length + 1)
  bytes[0] = table
  bytes.set(key, 1)
  return bytes
}

function isWithin({ file: { first, last } }: RunReader, key: Uint8Array): boolean {
  return (
    compareSpans(first, 0, first.length, key, 0, key.length) <= 0 &&
    compareSpans(key, 0, key.length, last, 0, last.length) <= 0
  )
}

function sizeOf({ runs }: Manifest): BackendSize {
  const totalBytes = runs.flat().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  return { totalBytes, inUseBytes: Math.floor(totalBytes * liveShare(runs)) }
}

/** Of the rows, those that are neither removals nor, as far as is known, removed by one; the record of the state is always there. */
function liveShare(runs: readonly Run[]): number {
  const rows = runs.reduce((sum, run) => sum + rowsOf(run), 0)
  const removals = runs.reduce((sum, run) => sum + removalsOf(run), 0)
  return rows === 0 ? 1 : Math.max(1, rows - 2 * removals) / rows
}

async function closeAll(readers: readonly RunReader[]): Promise<void> {
  for (const reader of readers) await reader.close()
}
