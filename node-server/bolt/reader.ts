/**
 * A bbolt file read from its root to its leaves, in the order of the keys. What bbolt itself takes for granted is looked at:
 * numbers, kinds and bounds of pages, the order of keys, that no page is reached twice; so a damaged file ends in
 * {@link BoltDamaged} with its place, never in a wrong row. It has no checksum over its pages: a changed value is not found.
 */
import { compareBytes } from '../../lib/bytes.ts'
import {
  BUCKET_ELEMENT,
  BUCKET_HEADER_BYTES,
  decodeMeta,
  ELEMENT_BYTES,
  FLAG_BRANCH,
  FLAG_LEAF,
  META_BYTES,
  PAGE_HEADER_BYTES,
  readPageHeader,
  type Meta,
  type PageHeader,
} from './format.ts'

export interface BoltRow {
  readonly key: Buffer
  readonly value: Buffer
}

/** What the file is read from. */
export interface BoltSource {
  readonly sizeBytes: number
  /** Exactly so many bytes, which lie in the file; they are the caller's until the next call. */
  read(position: number, sizeBytes: number): Buffer
}

/** The message says where and what, for a person. */
export class BoltDamaged extends Error {
  override readonly name = 'BoltDamaged'
}

/** Page sizes of the systems that there are. */
const PAGE_SIZES_BYTES: readonly number[] = [4096, 8192, 16_384, 32_768, 65_536]
/** Deeper than any tree that fits a disk. */
const MAX_DEPTH = 32

interface BucketRoot {
  readonly page: number
  /** The page itself, of an inline bucket. */
  readonly inline: Buffer | undefined
}

interface Element {
  readonly flags: number
  readonly key: Buffer
  readonly value: Buffer
  readonly child: number
}

export class BoltReader {
  readonly #source: BoltSource
  readonly #meta: Meta
  readonly #buckets = new Map<string, BucketRoot>()
  /** A bit a page. */
  readonly #reached: Uint8Array

  /** Reads which buckets there are. Throws {@link BoltDamaged}. */
  constructor(source: BoltSource) {
    this.#source = source
    this.#meta = newestMeta(source)
    this.#reached = new Uint8Array(Math.ceil(this.#meta.pages / 8))
    for (const { key, value, flags } of this.#elements({ page: this.#meta.rootPage, inline: undefined })) {
      const name = key.toString('utf8')
      if (flags !== BUCKET_ELEMENT || value.length < BUCKET_HEADER_BYTES)
        throw new BoltDamaged(`${JSON.stringify(name)} among the buckets is none`)
      const page = pageNumber(value.readBigUInt64LE(0))
      this.#buckets.set(name, {
        page,
        inline: page === 0 ? Buffer.from(value.subarray(BUCKET_HEADER_BYTES)) : undefined,
      })
    }
  }

  /** Of the pages in use. */
  get sizeBytes(): number {
    return this.#meta.pages * this.#meta.pageSizeBytes
  }

  get buckets(): readonly string[] {
    return [...this.#buckets.keys()]
  }

  /** Of a bucket that is not there: none. Once for each bucket. A row's bytes are the caller's until the next one. */
  *rows(bucket: string): Iterable<BoltRow> {
    const root = this.#buckets.get(bucket)
    if (root === undefined) return
    for (const { key, value, flags } of this.#elements(root)) {
      if (flags !== 0) throw new BoltDamaged(`bucket ${bucket}: a row has flags ${flags}`)
      yield { key, value }
    }
  }

  /** Of the leaves, in the order of their keys. */
  *#elements(root: BucketRoot): Iterable<Element> {
    let last: Buffer | undefined
    for (const element of this.#walk(root, 0)) {
      if (last !== undefined && compareBytes(last, element.key) >= 0)
        throw new BoltDamaged(`keys out of order at ${element.key.toString('hex')}`)
      last = Buffer.from(element.key)
      yield element
    }
  }

  *#walk({ page: number, inline }: BucketRoot, depth: number): Iterable<Element> {
    if (depth > MAX_DEPTH) throw new BoltDamaged(`page ${number}: the tree is more than ${MAX_DEPTH} pages deep`)
    const page = inline ?? this.#page(number)
    const where = inline === undefined ? `page ${number}` : 'an inline bucket'
    if (page.length < PAGE_HEADER_BYTES) throw new BoltDamaged(`${where} ends in its header`)
    const header = readPageHeader(page)
    if (header.flags === FLAG_LEAF) yield* leafElements(page, header, where)
    else if (header.flags === FLAG_BRANCH && inline === undefined) {
      // Read before the children are: they share the source's buffer.
      for (const child of childrenOf(page, header, where))
        yield* this.#walk({ page: child, inline: undefined }, depth + 1)
    } else throw new BoltDamaged(`${where} is neither leaf nor branch (flags ${header.flags})`)
  }

  #page(number: number): Buffer {
    const { pageSizeBytes, pages } = this.#meta
    if (number < 2 || number >= pages) throw new BoltDamaged(`page ${number} is named, there are ${pages}`)
    const position = number * pageSizeBytes
    const header = readPageHeader(this.#source.read(position, PAGE_HEADER_BYTES))
    if (header.number !== number) throw new BoltDamaged(`page ${number} calls itself ${header.number}`)
    if (number + header.overflow >= pages) throw new BoltDamaged(`page ${number} goes beyond the last page`)
    for (let reached = number; reached <= number + header.overflow; reached++) this.#reach(reached)
    return this.#source.read(position, (header.overflow + 1) * pageSizeBytes)
  }

  #reach(number: number): void {
    const at = number >> 3
    const bit = 1 << (number & 7)
    const bits = this.#reached[at] ?? 0
    if ((bits & bit) !== 0) throw new BoltDamaged(`page ${number} is reached twice`)
    this.#reached[at] = bits | bit
  }
}

/** The newer one of the two that is whole. */
function newestMeta(source: BoltSource): Meta {
  const found: Meta[] = []
  for (const position of [0, ...PAGE_SIZES_BYTES]) {
    if (source.sizeBytes < position + PAGE_HEADER_BYTES + META_BYTES) continue
    const meta = decodeMeta(source.read(position, PAGE_HEADER_BYTES + META_BYTES).subarray(PAGE_HEADER_BYTES))
    if (meta !== undefined && (position === 0 || position === meta.pageSizeBytes)) found.push(meta)
  }
  const newest = found.toSorted((a, b) => (a.transaction < b.transaction ? 1 : -1)).at(0)
  if (newest === undefined) throw new BoltDamaged('neither of its two meta pages is whole')
  if (!PAGE_SIZES_BYTES.includes(newest.pageSizeBytes)) throw new BoltDamaged(`pages of ${newest.pageSizeBytes} bytes`)
  const wantedBytes = newest.pages * newest.pageSizeBytes
  if (source.sizeBytes < wantedBytes)
    throw new BoltDamaged(`it ends after ${source.sizeBytes} bytes, its ${newest.pages} pages take ${wantedBytes}`)
  return newest
}

function* leafElements(page: Buffer, { count }: PageHeader, where: string): Iterable<Element> {
  for (let i = 0; i < count; i++) {
    const at = elementAt(page, i, where)
    const start = at + page.readUInt32LE(at + 4)
    const keySize = page.readUInt32LE(at + 8)
    const valueSize = page.readUInt32LE(at + 12)
    if (start + keySize + valueSize > page.length) throw new BoltDamaged(`${where}: element ${i} goes beyond the page`)
    const key = page.subarray(start, start + keySize)
    const value = page.subarray(start + keySize, start + keySize + valueSize)
    yield { flags: page.readUInt32LE(at), key, value, child: 0 }
  }
}

function childrenOf(page: Buffer, { count }: PageHeader, where: string): readonly number[] {
  if (count === 0) throw new BoltDamaged(`${where} is a branch without children`)
  return Array.from({ length: count }, (_, i) => pageNumber(page.readBigUInt64LE(elementAt(page, i, where) + 8)))
}

function elementAt(page: Buffer, i: number, where: string): number {
  const at = PAGE_HEADER_BYTES + i * ELEMENT_BYTES
  if (at + ELEMENT_BYTES > page.length) throw new BoltDamaged(`${where}: element ${i} lies beyond the page`)
  return at
}

/** Larger than any that is there, when it is no safe integer. */
function pageNumber(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)
}
