/**
 * A store as one stream, and the way back. Its size is a multiple of {@link SNAPSHOT_UNIT_SIZE_BYTES}.
 *
 *   archive   "RKVSTORE" ‖ format (4) = 1 ‖ manifest size (4) ‖ manifest ‖ file … ‖ zeros ‖ CRC-32C of all before it (4)
 *
 * The files stand in the order in which the manifest names them, and as they are: each block with its checksum. Who sends
 * verifies each block before it is sent, and who receives each before the store gets its name.
 */
import { dirname } from 'node:path'
import { discard, MalformedBytes } from '../../../lib/bytes.ts'
import { crc32c } from '../../../lib/crc32c.ts'
import { SNAPSHOT_PIECE_SIZE_BYTES } from '../../limits.ts'
import { SNAPSHOT_UNIT_SIZE_BYTES } from '../../mvcc/backend.ts'
import type { Disk } from '../disk.ts'
import { BlockRing } from './block-ring.ts'
import { CHECKSUM_SIZE_BYTES, putU32, u32 } from './format.ts'
import { decodeManifest, encodeManifest, filesOf, type Manifest, type RunFile } from './manifest.ts'
import { RunReader, type Part } from './run-reader.ts'
import { runPath, writeManifest } from './store-directory.ts'

const MAGIC = Buffer.from('RKVSTORE', 'latin1')
const FORMAT = 1
const HEAD_BYTES = MAGIC.length + 4 + 4
/** A longer manifest is none: it would be that of some terabytes. */
const MAX_MANIFEST_BYTES = 256 * 1024 * 1024
const VERIFY_RING_BYTES = 256 * 1024

export interface Archive {
  readonly sizeBytes: number
  readonly read: () => AsyncGenerator<Uint8Array>
}

/** `readers`: of all the files, which stay open. */
export function archiveOf(manifest: Manifest, readers: readonly RunReader[]): Archive {
  const head = headOf(manifest)
  const contentBytes = filesOf(manifest).reduce((sum, file) => sum + file.sizeBytes, head.length)
  const padding = paddingOf(contentBytes)
  return {
    sizeBytes: contentBytes + padding + CHECKSUM_SIZE_BYTES,
    read: async function* () {
      let checksum = 0
      for await (const piece of contentOf(head, readers)) {
        checksum = crc32c(piece, checksum)
        yield piece
      }
      const end = Buffer.alloc(padding + CHECKSUM_SIZE_BYTES)
      putU32(end, padding, crc32c(end.subarray(0, padding), checksum))
      yield end
    },
  }
}

function headOf(manifest: Manifest): Buffer {
  const encoded = encodeManifest(manifest)
  const head = Buffer.alloc(HEAD_BYTES + encoded.length)
  const at = putU32(head, putU32(head, MAGIC.copy(head), FORMAT), encoded.length)
  encoded.copy(head, at)
  return head
}

/** Behind what there is to be sent, before the checksum. */
function paddingOf(contentBytes: number): number {
  const rest = (contentBytes + CHECKSUM_SIZE_BYTES) % SNAPSHOT_UNIT_SIZE_BYTES
  return rest === 0 ? 0 : SNAPSHOT_UNIT_SIZE_BYTES - rest
}

async function* contentOf(head: Buffer, readers: readonly RunReader[]): AsyncGenerator<Buffer> {
  yield* inPieces(head)
  for (const reader of readers) for await (const parts of verified(reader)) yield* inPieces(parts)
}

function* inPieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += SNAPSHOT_PIECE_SIZE_BYTES)
    yield bytes.subarray(at, at + SNAPSHOT_PIECE_SIZE_BYTES)
}

/** The bytes of a file, verified: so many parts at once as fit a piece, or one that is larger. */
async function* verified(reader: RunReader): AsyncGenerator<Buffer> {
  let parts: Part[] = []
  let sizeBytes = 0
  for (const part of reader.parts()) {
    if (parts.length > 0 && sizeBytes + part.sizeBytes > SNAPSHOT_PIECE_SIZE_BYTES) {
      yield await reader.readParts(parts)
      parts = []
      sizeBytes = 0
    }
    parts.push(part)
    sizeBytes += part.sizeBytes
  }
  yield await reader.readParts(parts)
}

/** What an archive in a file holds, and where in that its files begin. Throws `MalformedBytes`. */
export async function readArchive(
  disk: Disk,
  path: string,
): Promise<{ manifest: Manifest; bases: ReadonlyMap<number, number> }> {
  const file = await disk.open(path, { create: false, isReadOnly: true })
  try {
    let offset = 0
    const pieces = async function* (): AsyncGenerator<Buffer> {
      for (
        let piece = await file.read(HEAD_BYTES, 0);
        piece.length > 0;
        piece = await file.read(SNAPSHOT_PIECE_SIZE_BYTES, offset)
      ) {
        offset += piece.length
        yield piece
      }
    }
    const input = new PieceReader(pieces())
    const manifest = await readHead(input)
    const bases = new Map<number, number>()
    let base = input.takenBytes
    for (const { id, sizeBytes } of filesOf(manifest)) {
      bases.set(id, base)
      base += sizeBytes
    }
    return { manifest, bases }
  } finally {
    await file.close()
  }
}

/**
 * Makes a store of an archive in a directory that is not there: it grows under another name, and gets its own once all of it
 * is verified and durable. When it rejects (`MalformedBytes`, `StoreDamaged`) there is nothing, but what a crash left.
 */
export async function receiveArchive(disk: Disk, directory: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const growing = `${directory}.receiving`
  await disk.remove(growing)
  await disk.makeDirectory(growing)
  try {
    const input = new PieceReader(pieces)
    const manifest = await readHead(input)
    for (const file of filesOf(manifest)) await receiveFile(disk, growing, file, input)
    await readEnd(input)
    await writeManifest(disk, growing, manifest)
    await disk.rename(growing, directory)
    await disk.syncDirectory(dirname(directory))
  } catch (error) {
    await disk.remove(growing)
    throw error
  }
}

async function readHead(input: PieceReader): Promise<Manifest> {
  const head = await input.take(HEAD_BYTES)
  if (MAGIC.compare(head, 0, MAGIC.length) !== 0) throw new MalformedBytes('this is no archive of a store')
  const format = u32(head, MAGIC.length)
  if (format !== FORMAT) throw new MalformedBytes(`the archive has format ${format}, this program knows ${FORMAT}`)
  const sizeBytes = u32(head, MAGIC.length + 4)
  if (sizeBytes > MAX_MANIFEST_BYTES) throw new MalformedBytes(`a manifest of ${sizeBytes} bytes`)
  return decodeManifest(await input.take(sizeBytes))
}

async function receiveFile(disk: Disk, directory: string, file: RunFile, input: PieceReader): Promise<void> {
  const path = runPath(directory, file.id)
  const written = await disk.open(path, { create: true })
  try {
    for (let offset = 0; offset < file.sizeBytes;) {
      const piece = await input.next(file.sizeBytes - offset)
      await written.write(piece, offset)
      offset += piece.length
    }
    await written.sync()
  } finally {
    await written.close()
  }
  const reader = await RunReader.open(disk, path, file, {
    ring: new BlockRing(VERIFY_RING_BYTES),
    filterInMemoryBytes: 0,
  })
  try {
    for await (const bytes of verified(reader)) discard(bytes)
  } finally {
    await reader.close()
  }
}

async function readEnd(input: PieceReader): Promise<void> {
  const padding = await input.take(paddingOf(input.takenBytes))
  if (padding.some((byte) => byte !== 0)) throw new MalformedBytes('the padding of the archive is not zeros')
  const { checksum } = input
  const expected = u32(await input.take(CHECKSUM_SIZE_BYTES), 0)
  if (checksum !== expected) throw new MalformedBytes('the checksum of the archive is wrong')
  await input.end()
}

/** Pieces of any size, asked for by what is expected in them. */
class PieceReader {
  readonly #pieces: AsyncIterator<Uint8Array>
  #piece: Buffer = Buffer.alloc(0)
  takenBytes = 0
  /** Of all that was taken. */
  checksum = 0

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /** At least one byte of what comes next, and at most `maxBytes`. */
  async next(maxBytes: number): Promise<Buffer> {
    while (this.#piece.length === 0) {
      const { done, value } = await this.#pieces.next()
      if (done === true) throw new MalformedBytes(`the archive ends after ${this.takenBytes} bytes`)
      this.#piece = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    }
    const taken = this.#piece.subarray(0, maxBytes)
    this.#piece = this.#piece.subarray(taken.length)
    this.takenBytes += taken.length
    this.checksum = crc32c(taken, this.checksum)
    return taken
  }

  async take(sizeBytes: number): Promise<Buffer> {
    const parts: Buffer[] = []
    for (let left = sizeBytes; left > 0;) {
      const part = await this.next(left)
      parts.push(part)
      left -= part.length
    }
    return Buffer.concat(parts)
  }

  async end(): Promise<void> {
    const { done } = await this.#pieces.next()
    if (this.#piece.length > 0 || done !== true) throw new MalformedBytes('bytes follow the end of the archive')
  }
}
