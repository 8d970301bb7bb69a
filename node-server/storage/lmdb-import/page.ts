/**
 * Pages of an LMDB file, as the library lmdb-js 3 writes them (LMDB's data version 2, little-endian), decoded and checked.
 * There are no checksums in them: what is checked is that every number fits every other one.
 *
 *   page     number (8) ‖ transaction (8) ‖ pad (2) ‖ flags (2) ‖ then lower (2) ‖ upper (2), or overflow pages (4)
 *   meta     page ‖ magic 0xBEEFC0DE (4) ‖ version (4) ‖ address (8) ‖ map size (8) ‖ tree of free pages ‖ main tree
 *            ‖ last page (8) ‖ transaction (8); the first tree's pad is the size of a page
 *   tree     pad (4) ‖ flags (2) ‖ depth (2) ‖ branch pages (8) ‖ leaf pages (8) ‖ overflow pages (8) ‖ entries (8) ‖ root (8)
 *   branch   page ‖ offsets (2 each; so many as half of lower) ‖ … ‖ nodes, from upper on
 *   leaf     the same. Offsets and bounds count from behind the page's header
 *   node     size or child (4) ‖ flags, or the child's upper 16 bits (2) ‖ key size (2) ‖ key ‖ value, in a leaf
 *   value    as it is; with flag 1: overflow page (8) ‖ transaction (8) ‖ pages (8); with flag 2: a named tree
 *   overflow page ‖ the value, over so many pages as belong to it
 *
 * Source: `mdb.c` of lmdb-js 3.5.6.
 */
import { StoreDamaged } from '../../mvcc/backend.ts'

export const PAGE_HEADER_SIZE_BYTES = 24
/** Bounds of what the library makes. */
const MIN_PAGE_SIZE_BYTES = 512
const MAX_PAGE_SIZE_BYTES = 65_536
/** Of a meta page, and so of what must be read to know the size of a page. */
export const META_SIZE_BYTES = 160
const MAGIC = 0xbeefc0de
const VERSION = 2
/** Two keys a page give far less for any file. */
const MAX_DEPTH = 32
const NO_PAGE = 2n ** 64n - 1n
const NODE_HEADER_SIZE_BYTES = 8
const OVERFLOW_REFERENCE_SIZE_BYTES = 24
const TREE_SIZE_BYTES = 48

const PAGE = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const
export type PageKind = keyof typeof PAGE
/** Flags that say what a page is; others the library uses while it works on it. */
const KIND_MASK = 0xff
const NODE = { isOverflow: 1, isTree: 2 } as const

export interface LmdbTree {
  /** Undefined: it is empty. */
  readonly root: number | undefined
  /** Of pages from the root to any leaf, both included. */
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
}

export interface LmdbMeta {
  readonly pageSizeBytes: number
  readonly main: LmdbTree
  readonly lastPage: number
  readonly transaction: number
}

/** What stands in a leaf under a key. */
export type LeafValue =
  | { readonly kind: 'here'; readonly value: Uint8Array }
  | { readonly kind: 'overflow'; readonly page: number; readonly pages: number; readonly sizeBytes: number }
  | { readonly kind: 'tree'; readonly tree: LmdbTree }

export interface LeafNode {
  readonly key: Buffer
  readonly value: LeafValue
}

/** Whether a file that begins so is one of LMDB, sound or not. */
export function isLmdbHead(head: Uint8Array): boolean {
  return head.length >= 28 && Buffer.from(head.buffer, head.byteOffset, head.length).readUInt32LE(24) === MAGIC
}

/** `where` is the page, for a person. Throws `StoreDamaged`, as all here. */
export function decodeMeta(where: string, bytes: Buffer): LmdbMeta {
  if (bytes.length < META_SIZE_BYTES) damaged(where, 'the file ends in it')
  if (kindOf(bytes) !== PAGE.meta || bytes.readUInt32LE(24) !== MAGIC) damaged(where, 'it is not an LMDB file')
  const version = bytes.readUInt32LE(28) & 0xffff
  if (version !== VERSION) damaged(where, `LMDB's format ${version}, this program knows ${VERSION}`)
  const pageSizeBytes = bytes.readUInt32LE(48)
  const isPowerOfTwo = (pageSizeBytes & (pageSizeBytes - 1)) === 0
  if (pageSizeBytes < MIN_PAGE_SIZE_BYTES || pageSizeBytes > MAX_PAGE_SIZE_BYTES || !isPowerOfTwo)
    damaged(where, `a page size of ${pageSizeBytes} bytes`)
  const main = decodeTree(where, bytes.subarray(96, 96 + TREE_SIZE_BYTES))
  return { pageSizeBytes, main, lastPage: numberAt(where, bytes, 144), transaction: numberAt(where, bytes, 152) }
}

/** That the page is the one that was asked for, of that kind, and of no later transaction. */
export function checkPage(where: string, bytes: Buffer, number: number, kind: PageKind, meta: LmdbMeta): void {
  const found = numberAt(where, bytes, 0)
  if (found !== number) damaged(where, `it says that it is page ${found}`)
  const transaction = numberAt(where, bytes, 8)
  if (transaction > meta.transaction)
    damaged(where, `it is of transaction ${transaction}, the file of ${meta.transaction}`)
  if (kindOf(bytes) !== PAGE[kind]) damaged(where, `it is no ${kind} page`)
}

/** The children, in the order of their keys. */
export function decodeBranch(where: string, page: Buffer): readonly number[] {
  const children = nodesOf(where, page).map((node) => {
    part(where, node, NODE_HEADER_SIZE_BYTES, node.readUInt16LE(6))
    return node.readUInt32LE(0) + node.readUInt16LE(4) * 2 ** 32
  })
  if (children.length < 2) damaged(where, `a branch of ${children.length}`)
  return children
}

export function decodeLeaf(where: string, page: Buffer): readonly LeafNode[] {
  return nodesOf(where, page).map((node) => {
    const [sizeBytes, flags, keySizeBytes] = [node.readUInt32LE(0), node.readUInt16LE(4), node.readUInt16LE(6)]
    const key = part(where, node, NODE_HEADER_SIZE_BYTES, keySizeBytes)
    const valueAt = NODE_HEADER_SIZE_BYTES + keySizeBytes
    switch (flags) {
      case 0:
        return { key, value: { kind: 'here', value: part(where, node, valueAt, sizeBytes) } }
      case NODE.isOverflow: {
        const reference = part(where, node, valueAt, OVERFLOW_REFERENCE_SIZE_BYTES)
        const [first, pages] = [numberAt(where, reference, 0), numberAt(where, reference, 16)]
        return { key, value: { kind: 'overflow', page: first, pages, sizeBytes } }
      }
      case NODE.isTree:
        if (sizeBytes !== TREE_SIZE_BYTES) damaged(where, `a tree described in ${sizeBytes} bytes`)
        return { key, value: { kind: 'tree', tree: decodeTree(where, part(where, node, valueAt, sizeBytes)) } }
      default:
        return damaged(where, `an entry with the flags ${flags}`)
    }
  })
}

/** Of the first page of an overflow value: how many belong to it. */
export function overflowPagesOf(page: Buffer): number {
  return page.readUInt32LE(20)
}

function decodeTree(where: string, bytes: Buffer): LmdbTree {
  const flags = bytes.readUInt16LE(4)
  const root = bytes.readBigUInt64LE(40)
  const tree: LmdbTree = {
    root: root === NO_PAGE ? undefined : numberAt(where, bytes, 40),
    depth: bytes.readUInt16LE(6),
    branchPages: numberAt(where, bytes, 8),
    leafPages: numberAt(where, bytes, 16),
    overflowPages: numberAt(where, bytes, 24),
    entries: numberAt(where, bytes, 32),
  }
  // No flag that another order of keys, or several values of one, would need.
  if (flags !== 0) damaged(where, `a tree with the flags ${flags}`)
  if (tree.depth > MAX_DEPTH || (tree.depth === 0) !== (tree.root === undefined))
    damaged(where, `a tree of depth ${tree.depth}${tree.root === undefined ? ' without a root' : ''}`)
  return tree
}

function nodesOf(where: string, page: Buffer): readonly Buffer[] {
  const body = page.subarray(PAGE_HEADER_SIZE_BYTES)
  const [lower, upper] = [page.readUInt16LE(20), page.readUInt16LE(22)]
  if (lower > upper || upper > body.length || lower % 2 !== 0) damaged(where, `its bounds are ${lower} and ${upper}`)
  return Array.from({ length: lower / 2 }, (_, i) => {
    const offset = body.readUInt16LE(2 * i)
    if (offset < upper || offset + NODE_HEADER_SIZE_BYTES > body.length) damaged(where, `an entry at ${offset}`)
    return body.subarray(offset)
  })
}

function part(where: string, node: Buffer, from: number, sizeBytes: number): Buffer {
  if (from + sizeBytes > node.length) damaged(where, `an entry of ${sizeBytes} bytes goes beyond it`)
  return node.subarray(from, from + sizeBytes)
}

function kindOf(page: Buffer): number {
  return page.readUInt16LE(18) & KIND_MASK
}

function numberAt(where: string, bytes: Buffer, offset: number): number {
  const value = bytes.readBigUInt64LE(offset)
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) damaged(where, `the number ${value}`)
  return Number(value)
}

export function damaged(where: string, what: string): never {
  throw new StoreDamaged(where, what)
}
