/**
 * The engine under the store: sorted files that never change ("runs"), and a manifest that says which of them count.
 * Format 1; numbers are little-endian, since the hot loops read them byte by byte.
 *
 * A file holds rows in the order of their keys, of which the first byte names the table. A removal is a row without a
 * value. All of a file is in blocks, each with a checksum of its own, which is verified whenever the block is read:
 *
 *   file      data block … ‖ index block … ‖ filter page … ‖ top block ‖ footer (60)
 *   block     row … ‖ prefix of all its keys ‖ offset of each row (2, or 4) … ‖ prefix size (15 bits), has removals (1 bit)
 *             ‖ rows (15 bits), offsets have 4 bytes (1 bit) ‖ checksum (4)
 *   row       rest size (15 bits), is a removal (1 bit) ‖ [rest size (4), when the former is 0x7fff] ‖ rest of the key ‖ value
 *   index     a block; for each data block, key: what divides it from the one before, value: offset (6) ‖ size (4) ‖ rows (4)
 *   top       a block; the same for each index block, rows: of all beneath
 *   filter    of equal pages, each part of a Bloom filter over the keys that are looked up one by one ‖ checksum (4)
 *   footer    "RKVRUN01" ‖ file ID (6) ‖ rows (6) ‖ removals (6) ‖ index offset (6) ‖ filter offset (6) ‖ filter page size (4)
 *             ‖ filter pages (4) ‖ top offset (6) ‖ top size (4) ‖ checksum (4)
 *
 * A checksum is the CRC-32C of all before it, begun with {@link checksumSeed} of the file and the place: bytes that are
 * right but stand elsewhere, or in another file, are wrong.
 *
 * The manifest (`manifest.ts`) names the files with their sizes, their bounds and the checksums of their footers. A commit
 * or a merge writes and syncs its files, then the directory, then a new manifest beside the old one, renames it over that
 * and syncs the directory again. So whatever a crash leaves, the manifest is one of the two and names only files that are
 * whole; what it does not name is removed at the next start. Nothing of a store is ever written in place.
 */
import { crc32c } from '../../../lib/crc32c.ts'

export const CHECKSUM_SIZE_BYTES = 4

export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
}

export function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0
}

export function u48(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) + u16(bytes, at + 4) * 0x1_0000_0000
}

/** Like its neighbours: where the next byte goes. */
export function putU16(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  return at + 2
}

export function putU32(bytes: Uint8Array, at: number, value: number): number {
  return putU16(bytes, putU16(bytes, at, value), value >>> 16)
}

export function putU48(bytes: Uint8Array, at: number, value: number): number {
  return putU16(bytes, putU32(bytes, at, value), Math.floor(value / 0x1_0000_0000))
}

/** What a checksum begins with. `offset`: of the block in its file. */
export function checksumSeed(fileId: number, offset: number): number {
  return (Math.imul(fileId, 0x9e3779b1) ^ Math.imul(offset, 0x85ebca6b) ^ Math.floor(offset / 0x1_0000_0000)) >>> 0
}

/** Writes the checksum of the bytes from `start` to `end` there. Where the next byte goes. */
export function putChecksum(bytes: Buffer, start: number, end: number, seed: number): number {
  return putU32(bytes, end, crc32c(bytes.subarray(start, end), seed))
}

export function isSound(bytes: Buffer, seed: number): boolean {
  const end = bytes.length - CHECKSUM_SIZE_BYTES
  return end >= 0 && crc32c(bytes.subarray(0, end), seed) === u32(bytes, end)
}

/** How many bytes two keys have in common at their beginnings; both begin where their arrays do. */
export function sharedSize(a: Uint8Array, aSize: number, b: Uint8Array, bSize: number): number {
  const end = aSize < bSize ? aSize : bSize
  let at = 0
  while (at < end && a[at] === b[at]) at++
  return at
}

/** Below 0, 0 or above, as the first span stands before, at or behind the second. */
export function compareSpans(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const shift = bStart - aStart
  const end = aEnd < bEnd - shift ? aEnd : bEnd - shift
  for (let at = aStart; at < end; at++) {
    const difference = (a[at] ?? 0) - (b[at + shift] ?? 0)
    if (difference !== 0) return difference
  }
  return aEnd - aStart - (bEnd - bStart)
}
