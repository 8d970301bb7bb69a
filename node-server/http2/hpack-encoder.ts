/**
 * Header blocks as a server writes them (RFC 7541). Fields that come again and again are put into the other end's table when
 * they are first sent, and stay: what is sent with every call is one byte from then on. No field ever makes room for another,
 * so the table is a list. Pure.
 */
import { ENTRY_OVERHEAD_BYTES, TABLE_BYTES } from './dynamic-table.ts'
import { STATIC_TABLE } from './static-table.ts'

export interface Field {
  readonly name: string
  readonly value: string
  /** Its number in the static table; 0: it is not there. */
  readonly staticIndex: number
  /** Of its name alone. */
  readonly nameIndex: number
  /** Made once and sent often. */
  readonly isRemembered: boolean
}

/** For values that differ from call to call. */
export function field(name: string, value: string): Field {
  return makeField(name, value, false)
}

/** For constants: the encoder knows them again by the object, so make each one once. */
export function rememberedField(name: string, value: string): Field {
  return makeField(name, value, true)
}

function makeField(name: string, value: string, isRemembered: boolean): Field {
  return {
    name,
    value,
    staticIndex: STATIC_TABLE.findIndex((entry) => entry[0] === name && entry[1] === value) + 1,
    nameIndex: STATIC_TABLE.findIndex((entry) => entry[0] === name) + 1,
    isRemembered,
  }
}

/** What a field takes in a block at most: its strings, and two numbers of six bytes at most. */
export function maxFieldBytes({ name, value }: Field): number {
  return Buffer.byteLength(name, 'latin1') + Buffer.byteLength(value, 'latin1') + 13
}

/** What a change of the table's size takes at most, at the beginning of a block. */
export const MAX_RESIZE_BYTES = 8

export class HpackEncoder {
  /** In the other end's table, with their numbers from the oldest, which is 0. */
  readonly #known = new Map<Field, number>()
  #tableBytes = 0
  #maxTableBytes = TABLE_BYTES
  #mustResize = false

  /** The other end's SETTINGS_HEADER_TABLE_SIZE; ours never is larger than it was at first. */
  resize(bytes: number): void {
    const maxTableBytes = Math.min(bytes, TABLE_BYTES)
    if (maxTableBytes === this.#maxTableBytes) return
    this.#maxTableBytes = maxTableBytes
    this.#mustResize = true
  }

  /** Returns where the block ends; `out` has room for MAX_RESIZE_BYTES and `maxFieldBytes` of each. */
  encode(fields: readonly Field[], out: Buffer, start: number): number {
    let at = this.#mustResize ? this.#writeResize(out, start) : start
    for (const entry of fields) at = this.#write(entry, out, at)
    return at
  }

  /** RFC 7541 §4.2: by way of nothing, so that both ends have forgotten everything. */
  #writeResize(out: Buffer, start: number): number {
    this.#mustResize = false
    this.#known.clear()
    this.#tableBytes = 0
    const at = writeInteger(out, start, 0x20, 5, 0)
    return writeInteger(out, at, 0x20, 5, this.#maxTableBytes)
  }

  #write(entry: Field, out: Buffer, at: number): number {
    if (entry.staticIndex !== 0) return writeInteger(out, at, 0x80, 7, entry.staticIndex)
    if (!entry.isRemembered) return writeLiteral(entry, out, at, 0x00, 4)
    const number = this.#known.get(entry)
    if (number !== undefined) return writeInteger(out, at, 0x80, 7, STATIC_TABLE.length + this.#known.size - number)
    const bytes = entry.name.length + entry.value.length + ENTRY_OVERHEAD_BYTES
    if (this.#tableBytes + bytes > this.#maxTableBytes) return writeLiteral(entry, out, at, 0x00, 4)
    this.#tableBytes += bytes
    this.#known.set(entry, this.#known.size)
    return writeLiteral(entry, out, at, 0x40, 6)
  }
}

function writeLiteral(entry: Field, out: Buffer, start: number, pattern: number, prefixBits: number): number {
  let at = writeInteger(out, start, pattern, prefixBits, entry.nameIndex)
  if (entry.nameIndex === 0) at = writeString(out, at, entry.name)
  return writeString(out, at, entry.value)
}

function writeString(out: Buffer, start: number, text: string): number {
  const at = writeInteger(out, start, 0x00, 7, text.length)
  return at + out.write(text, at, 'latin1')
}

/** RFC 7541 §5.1. */
function writeInteger(out: Buffer, start: number, pattern: number, prefixBits: number, value: number): number {
  const mask = (1 << prefixBits) - 1
  let at = start
  if (value < mask) {
    out[at++] = pattern | value
    return at
  }
  out[at++] = pattern | mask
  for (let rest = value - mask; ; rest >>>= 7) {
    if (rest < 0x80) {
      out[at++] = rest
      return at
    }
    out[at++] = 0x80 | (rest & 0x7f)
  }
}
