/**
 * The rows of a store that a version with LMDB has left, read without its library: table by table, in the order of the
 * keys, with a page of each level and at most {@link BATCH_SIZE_BYTES} of rows in memory, and a bit for each page.
 *
 * Whatever does not fit together ends it with `StoreDamaged` and the page: a page that is another, is of another kind, is
 * used twice or lies behind the end; keys that do not go up; more or fewer pages and entries than the tree says. A value
 * that was changed in its place shows nothing here: LMDB has no checksums.
 *
 * Neighbours: page.ts decodes; nobody has the file open meanwhile.
 */
import type { TableEntry } from '../../mvcc/backend.ts'
import type { Disk, DiskFile } from '../disk.ts'
import {
  checkPage,
  damaged,
  decodeBranch,
  decodeLeaf,
  decodeMeta,
  META_SIZE_BYTES,
  overflowPagesOf,
  PAGE_HEADER_SIZE_BYTES,
  type LeafNode,
  type LmdbMeta,
  type LmdbTree,
  type PageKind,
} from './page.ts'

/** Rows are handed over when they are this many bytes, or one alone. */
const BATCH_SIZE_BYTES = 1024 * 1024

export class LmdbTables {
  readonly #place: Place
  readonly #trees: ReadonlyMap<string, LmdbTree>

  private constructor(place: Place, trees: ReadonlyMap<string, LmdbTree>) {
    this.#place = place
    this.#trees = trees
  }

  /** Rejects with `StoreDamaged` when it is no such file, or its table of tables is damaged. */
  static async open(disk: Disk, path: string): Promise<LmdbTables> {
    const file = await disk.open(path, { create: false })
    try {
      const meta = await newestMeta(file, path)
      const pages = Math.floor((await file.size()) / meta.pageSizeBytes)
      const place: Place = { file, path, meta, pages, used: new Uint8Array(Math.ceil(pages / 8)) }
      return new LmdbTables(place, await treesOf(place))
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** As the file has them, in the order of their names. */
  get names(): readonly string[] {
    return [...this.#trees.keys()]
  }

  /** How many rows a table has, as its tree says; none when there is no such table. */
  rowCount(table: string): number {
    return this.#trees.get(table)?.entries ?? 0
  }

  /** Each table once: what was read counts as used. */
  async *rows(table: string): AsyncIterable<readonly TableEntry[]> {
    const tree = this.#trees.get(table)
    if (tree === undefined) return
    const walk = new Walk(this.#place, tree)
    let batch: TableEntry[] = []
    let sizeBytes = 0
    for await (const nodes of walk.leaves())
      for (const node of nodes) {
        const entry = { key: node.key, value: await walk.bytesOf(node) }
        batch.push(entry)
        sizeBytes += entry.key.length + entry.value.length
        if (sizeBytes < BATCH_SIZE_BYTES) continue
        yield batch
        batch = []
        sizeBytes = 0
      }
    walk.checkCounts()
    if (batch.length > 0) yield batch
  }

  close(): Promise<void> {
    return this.#place.file.close()
  }
}

/** Of the two descriptions of the file the later one. */
async function newestMeta(file: DiskFile, path: string): Promise<LmdbMeta> {
  const first = decodeMeta(`${path}, page 0`, await file.read(META_SIZE_BYTES, 0))
  const second = decodeMeta(`${path}, page 1`, await file.read(META_SIZE_BYTES, first.pageSizeBytes))
  const meta = second.transaction > first.transaction ? second : first
  if (second.pageSizeBytes !== first.pageSizeBytes) damaged(`${path}, page 1`, 'another page size than page 0')
  return meta
}

async function treesOf(place: Place): Promise<ReadonlyMap<string, LmdbTree>> {
  const walk = new Walk(place, place.meta.main)
  const trees = new Map<string, LmdbTree>()
  for await (const nodes of walk.leaves())
    for (const { key, value } of nodes) {
      if (value.kind !== 'tree') damaged(place.path, 'its table of tables holds something else')
      // The library's names are C strings, with their zero at the end.
      trees.set(key.toString('latin1').replace(/\0$/, ''), value.tree)
    }
  walk.checkCounts()
  return trees
}

interface Place {
  readonly file: DiskFile
  readonly path: string
  readonly meta: LmdbMeta
  /** That the file holds. It may end before the last one, when that is free. */
  readonly pages: number
  /** A bit for each page that was read. */
  readonly used: Uint8Array
}

/** Once through one tree. */
class Walk {
  readonly #place: Place
  readonly #tree: LmdbTree
  #branchPages = 0
  #leafPages = 0
  #overflowPages = 0
  #entries = 0
  #lastKey: Buffer | undefined

  constructor(place: Place, tree: LmdbTree) {
    this.#place = place
    this.#tree = tree
  }

  async *leaves(): AsyncIterable<readonly LeafNode[]> {
    if (this.#tree.root !== undefined) yield* this.#below(this.#tree.root, this.#tree.depth)
  }

  /** `levels` from this page to the leaves, both included. */
  async *#below(number: number, levels: number): AsyncIterable<readonly LeafNode[]> {
    const where = this.#where(number)
    if (levels > 1) {
      this.#branchPages += 1
      for (const child of decodeBranch(where, await this.#read(number, 'branch'))) yield* this.#below(child, levels - 1)
      return
    }
    this.#leafPages += 1
    const nodes = decodeLeaf(where, await this.#read(number, 'leaf'))
    for (const { key } of nodes) this.#takeKey(where, key)
    this.#entries += nodes.length
    yield nodes
  }

  async bytesOf({ value }: LeafNode): Promise<Uint8Array> {
    if (value.kind === 'tree') return damaged(this.#place.path, 'a tree where a value should be')
    if (value.kind === 'here') return value.value
    const { page, pages, sizeBytes } = value
    const where = this.#where(page)
    const needed = Math.floor((PAGE_HEADER_SIZE_BYTES - 1 + sizeBytes) / this.#place.meta.pageSizeBytes) + 1
    if (needed !== pages) damaged(where, `a value of ${sizeBytes} bytes in ${pages} pages`)
    const bytes = await this.#read(page, 'overflow', pages)
    if (overflowPagesOf(bytes) !== pages) damaged(where, `it says that it is ${overflowPagesOf(bytes)} pages`)
    this.#overflowPages += pages
    return bytes.subarray(PAGE_HEADER_SIZE_BYTES, PAGE_HEADER_SIZE_BYTES + sizeBytes)
  }

  /** To be asked at the end. */
  checkCounts(): void {
    const { branchPages, leafPages, overflowPages, entries, root } = this.#tree
    const isAll =
      branchPages === this.#branchPages &&
      leafPages === this.#leafPages &&
      overflowPages === this.#overflowPages &&
      entries === this.#entries
    if (isAll) return
    damaged(
      root === undefined ? this.#place.path : this.#where(root),
      `a tree of ${entries} entries in ${branchPages}, ${leafPages} and ${overflowPages} pages, of which ${this.#entries} in ${this.#branchPages}, ${this.#leafPages} and ${this.#overflowPages} are there`,
    )
  }

  #takeKey(where: string, key: Buffer): void {
    if (this.#lastKey !== undefined && Buffer.compare(this.#lastKey, key) >= 0) damaged(where, 'its keys do not go up')
    this.#lastKey = key
  }

  async #read(number: number, kind: PageKind, pages = 1): Promise<Buffer> {
    const { file, meta } = this.#place
    const where = this.#where(number)
    const end = number + pages
    if (number < 2 || end - 1 > meta.lastPage) damaged(where, `the last page is ${meta.lastPage}`)
    if (end > this.#place.pages) damaged(where, 'the file ends before it does')
    for (let used = number; used < end; used++) this.#markUsed(used)
    const bytes = await file.read(pages * meta.pageSizeBytes, number * meta.pageSizeBytes)
    if (bytes.length < pages * meta.pageSizeBytes) damaged(where, 'it cannot be read in full')
    checkPage(where, bytes, number, kind, meta)
    return bytes
  }

  #markUsed(number: number): void {
    const { used } = this.#place
    const [byte, bit] = [Math.floor(number / 8), 1 << (number % 8)]
    const before = used[byte] ?? 0
    if ((before & bit) !== 0) damaged(this.#where(number), 'it is used twice')
    used[byte] = before | bit
  }

  #where(page: number): string {
    return `${this.#place.path}, page ${page}`
  }
}
