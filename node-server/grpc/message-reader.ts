/**
 * Messages of a gRPC stream (gRPC over HTTP/2, Length-Prefixed-Message) out of the pieces in which they come. Pure.
 *
 *     0            1        5
 *     ├ compressed ┼ length ┼ message …
 *         8 bit      32
 *
 * A message that has come in one piece is a view of it, and is copied by whoever keeps it. What is not complete is copied, so
 * that a few bytes never hold on to all that was read with them.
 */
import { PREFIX_BYTES } from './frames.ts'
const MIN_COPY_BYTES = 1024
const EMPTY = Buffer.alloc(0)

export class MessageReader {
  #bytes: Buffer = EMPTY
  #start = 0
  #end = 0
  #isOwn = false

  /** What was added and not taken. */
  get heldBytes(): number {
    return this.#end - this.#start
  }

  /** Of the next message, as its prefix says; undefined while that is not there. */
  get nextLength(): number | undefined {
    return this.heldBytes < PREFIX_BYTES ? undefined : this.#bytes.readUInt32BE(this.#start + 1)
  }

  get isNextCompressed(): boolean {
    return this.#bytes[this.#start] === 1
  }

  /** Whether `take` gives one. */
  get isNextWhole(): boolean {
    const length = this.nextLength
    return length !== undefined && this.heldBytes >= PREFIX_BYTES + length
  }

  add(bytes: Buffer, start: number, end: number): void {
    if (this.#start === this.#end) {
      this.#bytes = bytes
      this.#start = start
      this.#end = end
      this.#isOwn = false
      return
    }
    const count = end - start
    if (!this.#isOwn || this.#bytes.length - this.#end < count) this.#copy(this.#roomFor(this.heldBytes + count))
    this.#end += bytes.copy(this.#bytes, this.#end, start, end)
  }

  /** The next message, which must be whole. */
  take(): Buffer {
    const start = this.#start + PREFIX_BYTES
    const end = start + (this.nextLength ?? 0)
    this.#start = end
    return this.#bytes.subarray(start, end)
  }

  /** Once all is taken that was wanted: what is left stays for longer than the piece that it came in. */
  keep(): void {
    if (this.#isOwn) return
    if (this.#start < this.#end) this.#copy(this.heldBytes)
    else this.#bytes = EMPTY
  }

  /**
   * Grown by doubling, as a length that is claimed costs its sender nothing, but never beyond the message: it may stay in
   * memory for long, and takes the room that it is given.
   */
  #roomFor(bytes: number): number {
    const { nextLength } = this
    return nextLength === undefined ? bytes : Math.max(bytes, Math.min(2 * bytes, PREFIX_BYTES + nextLength))
  }

  #copy(bytes: number): void {
    const copy = Buffer.allocUnsafeSlow(Math.max(bytes, MIN_COPY_BYTES))
    this.#end = this.#bytes.copy(copy, 0, this.#start, this.#end)
    this.#bytes = copy
    this.#start = 0
    this.#isOwn = true
  }
}
