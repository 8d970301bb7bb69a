/**
 * The file format of bbolt, the database under etcd: a file of pages, in which trees of sorted keys ("buckets") lie. All
 * numbers are little-endian.
 *
 *   page      number (8) ‖ flags (2) ‖ count (2) ‖ overflow: how many more page sizes it takes (4) ‖ content
 *   meta      magic (4) ‖ version (4) = 2 ‖ page size (4) ‖ 0 (4) ‖ root page (8) ‖ sequence (8) ‖ freelist page (8)
 *             ‖ pages in use (8) ‖ transaction (8) ‖ FNV-1a of the 56 bytes before it (8); in pages 0 and 1, the newer counts
 *   leaf      count × [ flags (4): 1 for a bucket ‖ where its key is, from this element on (4) ‖ key size (4) ‖ value size (4) ]
 *             ‖ keys and values
 *   branch    count × [ where its key is, from this element on (4) ‖ key size (4) ‖ child page (8) ] ‖ keys: each the first of its child
 *   freelist  count × page (8)
 *   bucket    root page (8), 0 when the page follows here, inline ‖ sequence (8)
 *
 * Source: go.etcd.io/bbolt internal/common.
 */
export const PAGE_SIZE_BYTES = 4096
export const PAGE_HEADER_BYTES = 16
export const ELEMENT_BYTES = 16
export const META_BYTES = 64
export const BUCKET_HEADER_BYTES = 16

export const FLAG_BRANCH = 0x01
export const FLAG_LEAF = 0x02
export const FLAG_META = 0x04
export const FLAG_FREELIST = 0x10

/** Of a leaf's element. */
export const BUCKET_ELEMENT = 0x01

export const MAGIC = 0xed0cdaed
export const VERSION = 2

export interface Meta {
  readonly pageSizeBytes: number
  readonly rootPage: number
  readonly freelistPage: number
  /** Number of the first page that is not in use. */
  readonly pages: number
  readonly transaction: bigint
}

const CHECKED_BYTES = META_BYTES - 8

/** A meta page, whole. */
export function encodeMetaPage(number: 0 | 1, meta: Meta): Buffer {
  const page = Buffer.alloc(meta.pageSizeBytes)
  writePageHeader(page, { number, flags: FLAG_META, count: 0, overflow: 0 })
  const bytes = page.subarray(PAGE_HEADER_BYTES, PAGE_HEADER_BYTES + META_BYTES)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeUInt32LE(VERSION, 4)
  bytes.writeUInt32LE(meta.pageSizeBytes, 8)
  bytes.writeBigUInt64LE(BigInt(meta.rootPage), 16)
  bytes.writeBigUInt64LE(BigInt(meta.freelistPage), 32)
  bytes.writeBigUInt64LE(BigInt(meta.pages), 40)
  bytes.writeBigUInt64LE(meta.transaction, 48)
  bytes.writeBigUInt64LE(fnv1a(bytes.subarray(0, CHECKED_BYTES)), CHECKED_BYTES)
  return page
}

/** `bytes`: what follows the header of a meta page. Undefined when it is none, or is damaged. */
export function decodeMeta(bytes: Buffer): Meta | undefined {
  if (bytes.length < META_BYTES) return undefined
  if (bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(4) !== VERSION) return undefined
  if (bytes.readBigUInt64LE(CHECKED_BYTES) !== fnv1a(bytes.subarray(0, CHECKED_BYTES))) return undefined
  return {
    pageSizeBytes: bytes.readUInt32LE(8),
    rootPage: Number(bytes.readBigUInt64LE(16)),
    freelistPage: Number(bytes.readBigUInt64LE(32)),
    pages: Number(bytes.readBigUInt64LE(40)),
    transaction: bytes.readBigUInt64LE(48),
  }
}

/** Whether a file that begins with these bytes is one of bbolt: its first or its second meta page says so. */
export function looksLikeBolt(start: Buffer): boolean {
  return [0, PAGE_SIZE_BYTES].some((at) => {
    const magic = at + PAGE_HEADER_BYTES
    return start.length >= magic + 4 && start.readUInt32LE(magic) === MAGIC
  })
}

export interface PageHeader {
  readonly number: number
  readonly flags: number
  readonly count: number
  readonly overflow: number
}

export function writePageHeader(page: Buffer, { number, flags, count, overflow }: PageHeader): void {
  page.writeBigUInt64LE(BigInt(number), 0)
  page.writeUInt16LE(flags, 8)
  page.writeUInt16LE(count, 10)
  page.writeUInt32LE(overflow, 12)
}

export function readPageHeader(page: Buffer): PageHeader {
  return {
    number: Number(page.readBigUInt64LE(0)),
    flags: page.readUInt16LE(8),
    count: page.readUInt16LE(10),
    overflow: page.readUInt32LE(12),
  }
}

export function encodeBucketHeader(rootPage: number): Buffer {
  const bytes = Buffer.alloc(BUCKET_HEADER_BYTES)
  bytes.writeBigUInt64LE(BigInt(rootPage), 0)
  return bytes
}

const FNV_OFFSET = 0xcbf29ce484222325n
const FNV_PRIME = 0x100000001b3n

function fnv1a(bytes: Uint8Array): bigint {
  let hash = FNV_OFFSET
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME)
  return hash
}
