/** Reads all of a store, a piece at a time, so that damage is found in what nobody reads. */
import { discard } from '../../../lib/bytes.ts'
import { SNAPSHOT_PIECE_SIZE_BYTES } from '../../limits.ts'
import type { Disk } from '../disk.ts'
import { BlockRing } from './block-ring.ts'
import { filesOf, type Manifest, type RunFile } from './manifest.ts'
import { RunReader, type Part } from './run-reader.ts'
import { runPath } from './store-directory.ts'

/** For index blocks, of which one at a time is looked at. */
const RING_SIZE_BYTES = 256 * 1024

interface Reading {
  readonly reader: RunReader
  readonly parts: Iterator<Part, void>
  /** That the piece before had no room for. */
  left: Part | undefined
}

export class Scrub {
  readonly #disk: Disk
  readonly #directory: string
  readonly #ring = new BlockRing(RING_SIZE_BYTES)
  /** Files are read in the order of their IDs: those that come meanwhile are read in the same round. */
  #lastFileId = 0
  #reading: Reading | undefined

  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
  }

  /** Verifies the next piece of the files of the manifest; true at the end of a round. Rejects with `StoreDamaged`. */
  async step(manifest: Manifest): Promise<boolean> {
    const files = filesOf(manifest)
    const { id } = this.#reading?.reader.file ?? {}
    if (id !== undefined && !files.some((file) => file.id === id)) await this.close()
    this.#reading ??= await this.#open(files)
    if (this.#reading === undefined) {
      this.#lastFileId = 0
      return true
    }
    const parts = nextParts(this.#reading)
    if (parts.length === 0) await this.close()
    else discard(await this.#reading.reader.readParts(parts))
    return false
  }

  async #open(files: readonly RunFile[]): Promise<Reading | undefined> {
    let next: RunFile | undefined
    for (const file of files) if (file.id > this.#lastFileId && (next === undefined || file.id < next.id)) next = file
    if (next === undefined) return undefined
    this.#lastFileId = next.id
    const options = { ring: this.#ring, filterInMemoryBytes: 0 }
    const reader = await RunReader.open(this.#disk, runPath(this.#directory, next.id), next, options)
    return { reader, parts: reader.parts(), left: undefined }
  }

  async close(): Promise<void> {
    const reading = this.#reading
    this.#reading = undefined
    await reading?.reader.close()
  }
}

/** Neighbours of about a piece; none at the end of the file. */
function nextParts(reading: Reading): readonly Part[] {
  const parts: Part[] = []
  let sizeBytes = 0
  for (;;) {
    const part = reading.left ?? reading.parts.next().value
    reading.left = undefined
    if (part === undefined) return parts
    if (parts.length > 0 && sizeBytes + part.sizeBytes > SNAPSHOT_PIECE_SIZE_BYTES) {
      reading.left = part
      return parts
    }
    parts.push(part)
    sizeBytes += part.sizeBytes
  }
}
