/**
 * Whether a file is LMDB's, looked at before the library opens it: in version 3.5 the library crashes the process when
 * the file's header is not what it should be, instead of reporting it.
 *
 * The first two pages describe a state each, in the machine's byte order (every platform of ours is little-endian):
 *
 *   18  flags (2), 0x08 set in both pages   24  magic 0xBEEFC0DE (4)   28  format version (2), 2   48  page size (4)
 *   88, 136  root pages of the two trees (8), all ones: empty   144  last page (8)   152  transaction (8): the higher counts
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs'

const FLAGS_OFFSET = 18
const MAGIC_OFFSET = 24
const VERSION_OFFSET = 28
const PAGE_SIZE_OFFSET = 48
const ROOT_OFFSETS = [88, 136] as const
const NO_PAGE = 2n ** 64n - 1n
const LAST_PAGE_OFFSET = 144
const TRANSACTION_OFFSET = 152
const HEADER_SIZE_BYTES = 160

const META_PAGE_FLAG = 0x08
const MAGIC = 0xbeefc0de
const VERSION = 2
const MAX_PAGE_SIZE_BYTES = 65_536

/** The file exists and is not what the library can open. */
export class NotAStore extends Error {
  override readonly name = 'NotAStore'
}

/** A file that is missing or empty becomes a new store when it is opened to be written. */
export function isNew(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0
}

/**
 * `isCopy`: a file that was written in one go, and so ends with its last page; one that was written to may end before pages
 * that it does not use. What the library would read behind a file's end the kernel answers with SIGBUS. Throws
 * {@link NotAStore}.
 */
export function checkHeader(path: string, isCopy = false): void {
  if (isNew(path)) throw new NotAStore(`${path} is empty`)
  const sizeBytes = statSync(path).size
  const file = openSync(path, 'r')
  try {
    const first = readState(path, file, 0)
    const second = readState(path, file, first.pageSizeBytes)
    const { pageSizeBytes, roots, lastPage } = first.transaction > second.transaction ? first : second
    const needed = isCopy ? [lastPage] : roots.filter((page) => page !== NO_PAGE)
    const isCutOff = needed.some((page) => (page + 1n) * BigInt(pageSizeBytes) > BigInt(sizeBytes))
    if (isCutOff) throw new NotAStore(`${path} ends at byte ${sizeBytes}, before its last page: it was cut off`)
  } finally {
    closeSync(file)
  }
}

interface State {
  readonly pageSizeBytes: number
  readonly roots: readonly bigint[]
  readonly lastPage: bigint
  readonly transaction: bigint
}

function readState(path: string, file: number, offset: number): State {
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
  const roots = ROOT_OFFSETS.map((at) => header.readBigUInt64LE(at))
  const [lastPage, transaction] = [header.readBigUInt64LE(LAST_PAGE_OFFSET), header.readBigUInt64LE(TRANSACTION_OFFSET)]
  return { pageSizeBytes, roots, lastPage, transaction }
}
