/**
 * A bbolt file as a stream. Its first pages say where the root is, and the root is the last page that is made: so the rows
 * are gone through twice, once to count and once to write, and nothing but a page of each level is held.
 */
import { assert } from '../../lib/assert.ts'
import {
  BUCKET_ELEMENT,
  encodeBucketHeader,
  encodeMetaPage,
  FLAG_FREELIST,
  PAGE_SIZE_BYTES,
  writePageHeader,
} from './format.ts'
import { encodePage, pagesOf, TreeWriter, type PageSink, type TreeElement } from './tree-writer.ts'

export interface Row {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export interface Bucket {
  readonly name: string
  /** From the beginning at each call, in the order of the keys, the same each time; in pieces, between which others run. */
  rows(): AsyncIterable<readonly Row[]>
}

export interface BoltLayout {
  readonly sizeBytes: number
  readonly rootPage: number
}

const FREELIST_PAGE = 2
const FIRST_TREE_PAGE = 3

/** Counts what {@link boltFile} will write of the same buckets. Rejects with the signal's reason once it is aborted. */
export async function layOut(buckets: readonly Bucket[], signal?: AbortSignal): Promise<BoltLayout> {
  const counter = new PageCounter()
  const trees = writeTrees(buckets, counter)
  let step = await trees.next()
  for (; step.done !== true; step = await trees.next()) signal?.throwIfAborted()
  return { sizeBytes: counter.next * PAGE_SIZE_BYTES, rootPage: step.value }
}

/** `layout`: of the same buckets. Pieces are whole pages. */
export async function* boltFile(buckets: readonly Bucket[], layout: BoltLayout): AsyncGenerator<Buffer> {
  const { rootPage, sizeBytes } = layout
  const meta = {
    pageSizeBytes: PAGE_SIZE_BYTES,
    rootPage,
    freelistPage: FREELIST_PAGE,
    pages: sizeBytes / PAGE_SIZE_BYTES,
  }
  yield Buffer.concat([
    encodeMetaPage(0, { ...meta, transaction: 0n }),
    encodeMetaPage(1, { ...meta, transaction: 1n }),
    emptyFreelist(),
  ])
  const encoder = new PageEncoder()
  const trees = writeTrees(buckets, encoder)
  let step = await trees.next()
  for (; step.done !== true; step = await trees.next()) yield* encoder.take()
  yield* encoder.take()
  assert(step.value === rootPage && encoder.next === meta.pages, 'what is written is what was counted')
}

/** A step for each piece of rows; the value at the end is the root's page. */
async function* writeTrees(buckets: readonly Bucket[], sink: PageSink): AsyncGenerator<undefined, number> {
  const roots = new Map<string, number>()
  for (const bucket of buckets) {
    const tree = new TreeWriter(sink)
    for await (const piece of bucket.rows()) {
      for (const { key, value } of piece) tree.add(key, value)
      yield undefined
    }
    roots.set(bucket.name, tree.finish())
  }
  const root = new TreeWriter(sink)
  for (const [name, page] of [...roots].toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
    root.add(Buffer.from(name), encodeBucketHeader(page), BUCKET_ELEMENT)
  return root.finish()
}

class PageCounter implements PageSink {
  next = FIRST_TREE_PAGE

  write(_flags: number, _elements: readonly TreeElement[], sizeBytes: number): number {
    const number = this.next
    this.next += pagesOf(sizeBytes)
    return number
  }
}

class PageEncoder implements PageSink {
  next = FIRST_TREE_PAGE
  #pages: Buffer[] = []

  write(flags: number, elements: readonly TreeElement[], sizeBytes: number): number {
    const number = this.next
    this.next += pagesOf(sizeBytes)
    this.#pages.push(encodePage(number, flags, elements, sizeBytes))
    return number
  }

  /** Those finished since the last call. */
  take(): readonly Buffer[] {
    const pages = this.#pages
    this.#pages = []
    return pages
  }
}

function emptyFreelist(): Buffer {
  const page = Buffer.alloc(PAGE_SIZE_BYTES)
  writePageHeader(page, { number: FREELIST_PAGE, flags: FLAG_FREELIST, count: 0, overflow: 0 })
  return page
}
