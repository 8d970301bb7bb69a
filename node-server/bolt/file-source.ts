/** A file read from front to back and now and then elsewhere: pieces of it are kept, the oldest is given up. */
import { openSync, closeSync, fstatSync, readSync } from 'node:fs'
import { assert } from '../../lib/assert.ts'
import type { BoltSource } from './reader.ts'

const PIECE_BYTES = 256 * 1024
const MAX_PIECES = 64

export class FileSource implements BoltSource {
  readonly sizeBytes: number
  readonly #file: number
  /** By their number, in the order in which they were last read. */
  readonly #pieces = new Map<number, Buffer>()

  /** Of the first `sizeBytes` of the file; of all of it when none is given. Throws what the disk does. */
  constructor(path: string, sizeBytes?: number) {
    this.#file = openSync(path, 'r')
    this.sizeBytes = sizeBytes ?? fstatSync(this.#file).size
  }

  read(position: number, sizeBytes: number): Buffer {
    assert(position + sizeBytes <= this.sizeBytes, 'what is read lies in the file')
    const first = Math.floor(position / PIECE_BYTES)
    const offset = position - first * PIECE_BYTES
    if (offset + sizeBytes <= PIECE_BYTES) return this.#piece(first).subarray(offset, offset + sizeBytes)
    return this.#readNow(position, sizeBytes)
  }

  #piece(number: number): Buffer {
    const kept = this.#pieces.get(number)
    if (kept !== undefined) {
      this.#pieces.delete(number)
      this.#pieces.set(number, kept)
      return kept
    }
    const position = number * PIECE_BYTES
    const piece = this.#readNow(position, Math.min(PIECE_BYTES, this.sizeBytes - position))
    for (const oldest of this.#pieces.keys()) {
      if (this.#pieces.size < MAX_PIECES) break
      this.#pieces.delete(oldest)
    }
    this.#pieces.set(number, piece)
    return piece
  }

  #readNow(position: number, sizeBytes: number): Buffer {
    const bytes = Buffer.allocUnsafe(sizeBytes)
    for (let read = 0; read < sizeBytes;) {
      const count = readSync(this.#file, bytes, read, sizeBytes - read, position + read)
      if (count === 0) throw new Error(`the file ends at ${position + read} bytes while it is read`)
      read += count
    }
    return bytes
  }

  close(): void {
    closeSync(this.#file)
  }
}
