/**
 * What a row of the write buffer holds: bytes, or parts of them that are put together when somebody reads the row. The value
 * of a large put stays where its entry has it; on its way to the disk it is copied once, into what is handed to the writer.
 */
export class ValueInParts {
  readonly length: number
  readonly #parts: readonly Uint8Array[]
  #joined: Buffer | undefined

  /** They must not change any more. */
  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts
    this.length = parts.reduce((sum, part) => sum + part.length, 0)
  }

  /** The same bytes at each call. */
  joined(): Buffer {
    this.#joined ??= Buffer.concat(this.#parts, this.length)
    return this.#joined
  }

  copyTo(target: Uint8Array, offset: number): void {
    let at = offset
    for (const part of this.#parts) {
      target.set(part, at)
      at += part.length
    }
  }
}

export type RowValue = Uint8Array | ValueInParts

export function bytesOfValue(value: RowValue): Uint8Array {
  return value instanceof ValueInParts ? value.joined() : value
}
