/**
 * Whether a file is LMDB's, looked at before the library opens it: in version 3.5 the library crashes the process when
 * the file's header is not what it should be, instead of reporting it.
 *
 * The first two pages describe a state each, in the machine's byte order (every platform of ours is little-endian):
 *
 *   18  flags (2), 0x08 set in both pages   24  magic 0xBEEFC0DE (4)   28  format version (2), 2   48  page size (4)
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs'

const FLAGS_OFFSET = 18
const MAGIC_OFFSET = 24
const VERSION_OFFSET = 28
const PAGE_SIZE_OFFSET = 48
const HEADER_SIZE_BYTES = 64

const META_PAGE_FLAG = 0x08
const MAGIC = 0xbeefc0de
const VERSION = 2
const MAX_PAGE_SIZE_BYTES = 65_536

/** The file exists and is not what the library can open. */
export class NotAStore extends Error {
  override readonly name = 'NotAStore'
}

/** Passes a file that is missing or empty: it becomes a new store. Throws {@link NotAStore}. */
export function checkHeader(path: string): void {
  const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (sizeBytes === 0) return
  const file = openSync(path, 'r')
  try {
    const pageSizeBytes = checkPage(path, file, 0)
    checkPage(path, file, pageSizeBytes)
  } finally {
    closeSync(file)
  }
}

/** The page size that the page tells. */
function checkPage(path: string, file: number, offset: number): number {
  const header = Buffer.alloc(HEADER_SIZE_BYTES)
  const sizeBytes = readSync(file, header, 0, HEADER_SIZE_BYTES, offset)
  const isMeta = (header.readUInt16LE(FLAGS_OFFSET) & META_PAGE_FLAG) !== 0
  if (sizeBytes < HEADER_SIZE_BYTES || !isMeta || header.readUInt32LE(MAGIC_OFFSET) !== MAGIC) {
    throw new NotAStore(`${path} is not an LMDB file, or its header at ${offset} is damaged`)
  }
  const version = header.readUInt16LE(VERSION_OFFSET)
  if (version !== VERSION) throw new NotAStore(`${path} has LMDB's format ${version}, this program knows ${VERSION}`)
  const pageSizeBytes = header.readUInt32LE(PAGE_SIZE_OFFSET)
  const isPowerOfTwo = (pageSizeBytes & (pageSizeBytes - 1)) === 0
  if (pageSizeBytes < HEADER_SIZE_BYTES || pageSizeBytes > MAX_PAGE_SIZE_BYTES || !isPowerOfTwo) {
    throw new NotAStore(`${path} tells a page size of ${pageSizeBytes} bytes`)
  }
  return pageSizeBytes
}
