/** Cuts a body into its JSON values as they arrive: a watch may be given one request now and another in an hour. */
import { err, ok, type Result } from '../../../lib/result.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const isOpening = (byte: number): boolean => byte === 0x7b || byte === 0x5b
const isClosing = (byte: number): boolean => byte === 0x7d || byte === 0x5d
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/**
 * Knows strings and brackets and nothing more of JSON: whether a value is well formed is for the parser to say. Each byte
 * is looked at once, however small the pieces are that arrive.
 */
export class JsonValues {
  readonly #maxBytes: number
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  #depth = 0
  #isInString = false
  #isEscaped = false

  /** `maxBytes`: of one value. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The values that `chunk` completes; the error is how long a value has become. Nothing may be pushed after an error. */
  push(chunk: Uint8Array): Result<Uint8Array[], number> {
    const values: Uint8Array[] = []
    let start = 0
    for (let i = 0; i < chunk.length; i += 1) {
      const byte = chunk[i] ?? 0
      const isBetween = this.#pendingBytes + (i - start) === 0
      if (isBetween && isSpace(byte)) start = i + 1
      else if (this.#endsAfter(byte)) {
        this.#keep(chunk.subarray(start, i + 1))
        if (this.#pendingBytes > this.#maxBytes) return err(this.#pendingBytes)
        values.push(this.#takePending())
        start = i + 1
      }
    }
    this.#keep(chunk.subarray(start))
    return this.#pendingBytes > this.#maxBytes ? err(this.#pendingBytes) : ok(values)
  }

  /** What is left when the body has ended: empty, or a value that was cut off. */
  end(): Uint8Array {
    return this.#takePending()
  }

  /** A value that is neither object nor array ends at the next space: it is refused whatever it is. */
  #endsAfter(byte: number): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false
      else if (byte === BACKSLASH) this.#isEscaped = true
      else if (byte === QUOTE) this.#isInString = false
      return false
    }
    if (byte === QUOTE) this.#isInString = true
    else if (isOpening(byte)) this.#depth += 1
    else if (isClosing(byte)) {
      this.#depth -= 1
      return this.#depth <= 0
    }
    return this.#depth <= 0 && isSpace(byte)
  }

  #keep(part: Uint8Array): void {
    if (part.length === 0) return
    this.#pending.push(part)
    this.#pendingBytes += part.length
  }

  #takePending(): Uint8Array {
    const [first] = this.#pending
    const value = this.#pending.length === 1 && first !== undefined ? first : Buffer.concat(this.#pending)
    this.#pending = []
    this.#pendingBytes = 0
    this.#depth = 0
    return value
  }
}
