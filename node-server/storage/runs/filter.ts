/**
 * A Bloom filter in pages: a key is in one page, so that one page is read to know that a large file does not have it. Ten
 * bits a key and six probes: about one key in a hundred is looked for in vain.
 */
import { assert } from '../../../lib/assert.ts'
import { CHECKSUM_SIZE_BYTES, checksumSeed, putChecksum } from './format.ts'

const BITS_A_KEY = 10
const PROBES = 6
/** Without its checksum. */
const MAX_PAGE_BYTES = 4096 - CHECKSUM_SIZE_BYTES

/** Tables whose keys are looked up one by one, by number: all but `revisions`, whose order parts the files, and `history`. */
export function isFiltered(table: number): boolean {
  return table !== 0 && table !== 2
}

export function hashKey(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193)
  hash ^= hash >>> 15
  hash = Math.imul(hash, 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}

export interface FilterShape {
  readonly pages: number
  /** Its checksum included. */
  readonly pageSizeBytes: number
}

export function filterShape(keys: number): FilterShape {
  const sizeBytes = Math.ceil((keys * BITS_A_KEY) / 8)
  const pages = Math.ceil(sizeBytes / MAX_PAGE_BYTES)
  return { pages, pageSizeBytes: pages === 0 ? 0 : Math.ceil(sizeBytes / pages) + CHECKSUM_SIZE_BYTES }
}

/** The pages one behind another, as they stand in the file from `offset` on. */
export function buildFilter(hashes: Uint32Array, fileId: number, offset: number): Buffer {
  const { pages, pageSizeBytes } = filterShape(hashes.length)
  const filter = Buffer.alloc(pages * pageSizeBytes)
  const bits = (pageSizeBytes - CHECKSUM_SIZE_BYTES) * 8
  for (const hash of hashes) {
    const start = pageOf(hash, pages) * pageSizeBytes
    let probe = firstProbe(hash)
    const step = probeStep(hash)
    for (let i = 0; i < PROBES; i++) {
      const bit = probe % bits
      const at = start + (bit >>> 3)
      filter[at] = (filter[at] ?? 0) | (1 << (bit & 7))
      probe = (probe + step) >>> 0
    }
  }
  for (let start = 0; start < filter.length; start += pageSizeBytes) {
    putChecksum(filter, start, start + pageSizeBytes - CHECKSUM_SIZE_BYTES, checksumSeed(fileId, offset + start))
  }
  return filter
}

export function pageOf(hash: number, pages: number): number {
  return Math.floor((hash / 0x1_0000_0000) * pages)
}

/** The page that {@link pageOf} gives, from `start` to `end` with its checksum. False: the key is not in the file. */
export function pageMayHave(bytes: Uint8Array, start: number, end: number, hash: number): boolean {
  const bits = (end - start - CHECKSUM_SIZE_BYTES) * 8
  assert(bits > 0, 'a page is not empty')
  let probe = firstProbe(hash)
  const step = probeStep(hash)
  for (let i = 0; i < PROBES; i++) {
    const bit = probe % bits
    if (((bytes[start + (bit >>> 3)] ?? 0) & (1 << (bit & 7))) === 0) return false
    probe = (probe + step) >>> 0
  }
  return true
}

/** The upper bits of the hash chose the page already. */
function firstProbe(hash: number): number {
  return Math.imul(hash ^ (hash >>> 16), 0x7feb352d) >>> 0
}

function probeStep(hash: number): number {
  return ((Math.imul(hash, 0x9e3779b1) >>> 0) | 1) >>> 0
}
