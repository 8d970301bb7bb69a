/**
 * One tree of sorted keys, page by page from its leaves up: a page is finished when the next element does not fit any more,
 * and its number goes to the level above at once, so that no more than one page of each level is held.
 */
import { assert } from '../../lib/assert.ts'
import { compareBytes } from '../../lib/bytes.ts'
import { ELEMENT_BYTES, FLAG_BRANCH, FLAG_LEAF, PAGE_HEADER_BYTES, PAGE_SIZE_BYTES, writePageHeader } from './format.ts'

/** Of a leaf: `flags` and the value. Of a branch: the child. */
export interface TreeElement {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly flags: number
  readonly child: number
}

/** Takes finished pages, in the order of their numbers. */
export interface PageSink {
  /** The number that the page got. */
  write(flags: number, elements: readonly TreeElement[], sizeBytes: number): number
}

/** How many page sizes a page with that content takes. */
export function pagesOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PAGE_SIZE_BYTES)
}

const NO_VALUE = new Uint8Array(0)
/**
 * Pages are filled up to so much; one element alone may take more. Several times the page size, because what lies behind the
 * last element is lost, which would be half of each page where values have 2 KB.
 */
const FULL_PAGE_BYTES = 4 * PAGE_SIZE_BYTES
/** A page's header has 16 bits for the count. */
const MAX_ELEMENTS = 0xffff

interface Level {
  elements: TreeElement[]
  sizeBytes: number
}

export class TreeWriter {
  readonly #sink: PageSink
  /** From the leaves up. */
  readonly #levels: Level[] = [newLevel()]
  #last: Uint8Array = NO_VALUE

  constructor(sink: PageSink) {
    this.#sink = sink
  }

  /** In the order of keys, each once. */
  add(key: Uint8Array, value: Uint8Array, flags = 0): void {
    assert(compareBytes(this.#last, key) < 0, 'keys come in their order, each once, and none is empty')
    this.#last = key
    this.#add(0, { key, value, flags, child: 0 })
  }

  /** The number of the root; nothing may be added afterwards. */
  finish(): number {
    for (let depth = 0; ; depth++) {
      const page = this.#close(depth)
      if (depth === this.#levels.length - 1) return page.number
      this.#add(depth + 1, elementOf(page))
    }
  }

  #add(depth: number, element: TreeElement): void {
    let level = this.#levels[depth]
    if (level === undefined) this.#levels.push((level = newLevel()))
    const sizeBytes = ELEMENT_BYTES + element.key.length + element.value.length
    const isFull = level.sizeBytes + sizeBytes > FULL_PAGE_BYTES || level.elements.length === MAX_ELEMENTS
    if (isFull && level.elements.length > 0) this.#add(depth + 1, elementOf(this.#close(depth)))
    level.elements.push(element)
    level.sizeBytes += sizeBytes
  }

  #close(depth: number): { readonly first: Uint8Array; readonly number: number } {
    const level = this.#levels[depth]
    assert(level !== undefined, 'only levels that there are get finished')
    const { elements, sizeBytes } = level
    const number = this.#sink.write(depth === 0 ? FLAG_LEAF : FLAG_BRANCH, elements, sizeBytes)
    level.elements = []
    level.sizeBytes = PAGE_HEADER_BYTES
    return { first: elements[0]?.key ?? NO_VALUE, number }
  }
}

function newLevel(): Level {
  return { elements: [], sizeBytes: PAGE_HEADER_BYTES }
}

function elementOf({ first, number }: { readonly first: Uint8Array; readonly number: number }): TreeElement {
  return { key: first, value: NO_VALUE, flags: 0, child: number }
}

/** The page as it is in the file, its overflow included. */
export function encodePage(number: number, flags: number, elements: readonly TreeElement[], sizeBytes: number): Buffer {
  const pages = pagesOf(sizeBytes)
  const page = Buffer.allocUnsafe(pages * PAGE_SIZE_BYTES)
  writePageHeader(page, { number, flags, count: elements.length, overflow: pages - 1 })
  let at = PAGE_HEADER_BYTES
  let content = PAGE_HEADER_BYTES + elements.length * ELEMENT_BYTES
  for (const element of elements) {
    if (flags === FLAG_LEAF) writeLeafElement(page, at, content - at, element)
    else writeBranchElement(page, at, content - at, element)
    page.set(element.key, content)
    page.set(element.value, content + element.key.length)
    content += element.key.length + element.value.length
    at += ELEMENT_BYTES
  }
  assert(content === sizeBytes, 'the size that was counted is that of the content')
  return page.fill(0, content)
}

function writeLeafElement(page: Buffer, at: number, offset: number, { flags, key, value }: TreeElement): void {
  page.writeUInt32LE(flags, at)
  page.writeUInt32LE(offset, at + 4)
  page.writeUInt32LE(key.length, at + 8)
  page.writeUInt32LE(value.length, at + 12)
}

function writeBranchElement(page: Buffer, at: number, offset: number, { key, child }: TreeElement): void {
  page.writeUInt32LE(offset, at)
  page.writeUInt32LE(key.length, at + 4)
  page.writeBigUInt64LE(BigInt(child), at + 8)
}
