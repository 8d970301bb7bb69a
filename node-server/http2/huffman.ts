/**
 * The Huffman code of HPACK (RFC 7541 §5.2, appendix B), for decoding alone: what a server sends again and again is indexed,
 * and its few other values are short. Pure.
 *
 * The code is canonical: the lengths of its 256 symbols, and one of 30 bits for the end that never comes, say all.
 */
// prettier-ignore
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
]
const END_LENGTH = 30

/**
 * A node of the tree and the next four bits lead to a node, and at times past a symbol on the way: no symbol is shorter than
 * five bits, so there is one at most. In each number: the node from bit 9, whether a symbol was passed in bit 8, the symbol.
 */
const NIBBLES = 16
const NODE_SHIFT = 9
const HAS_SYMBOL = 0x100
const NO_NODE = -1

interface Tree {
  readonly steps: Int32Array
  /** Nodes at which a string may end: fewer than eight bits below the root, and all of them ones (padding). */
  readonly mayEnd: Uint8Array
}

const TREE = buildTree()

/** Writes what it decodes into `out` from its beginning and returns its length; -1 for what is no such string or too long. */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, out: Uint8Array): number {
  const { steps, mayEnd } = TREE
  let node = 0
  let length = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    for (let shift = 4; shift >= 0; shift -= 4) {
      const step = steps[node * NIBBLES + ((byte >>> shift) & 0xf)] ?? NO_NODE
      if (step === NO_NODE) return -1
      if ((step & HAS_SYMBOL) !== 0) {
        if (length === out.length) return -1
        out[length++] = step & 0xff
      }
      node = step >>> NODE_SHIFT
    }
  }
  return mayEnd[node] === 1 ? length : -1
}

/** Children of the inner nodes, two each; a leaf is written as -1 - symbol. */
function buildChildren(): number[] {
  const END = LENGTHS.length
  const symbols = LENGTHS.map((length, symbol) => ({ length, symbol }))
  symbols.push({ length: END_LENGTH, symbol: END })
  symbols.sort((a, b) => a.length - b.length || a.symbol - b.symbol)
  const children: number[] = [0, 0]
  let code = 0
  let codeLength = 0
  for (const { length, symbol } of symbols) {
    code *= 2 ** (length - codeLength)
    codeLength = length
    let node = 0
    for (let bit = length - 1; bit > 0; bit--) {
      const at = 2 * node + (Math.floor(code / 2 ** bit) % 2)
      let next = children[at] ?? 0
      if (next === 0) {
        next = children.length / 2
        children[at] = next
        children.push(0, 0)
      }
      node = next
    }
    children[2 * node + (code % 2)] = -1 - symbol
    code += 1
  }
  return children
}

function buildTree(): Tree {
  const children = buildChildren()
  const nodes = children.length / 2
  const steps = new Int32Array(nodes * NIBBLES)
  for (let node = 0; node < nodes; node++)
    for (let nibble = 0; nibble < NIBBLES; nibble++) steps[node * NIBBLES + nibble] = stepFrom(children, node, nibble)
  const mayEnd = new Uint8Array(nodes)
  for (let node = 0, depth = 0; depth < 8; depth++) {
    mayEnd[node] = 1
    node = children[2 * node + 1] ?? 0
  }
  return { steps, mayEnd }
}

function stepFrom(children: readonly number[], from: number, nibble: number): number {
  let node = from
  let passed = 0
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[2 * node + ((nibble >>> bit) & 1)] ?? 0
    if (next < 0) {
      const symbol = -1 - next
      if (symbol === LENGTHS.length) return NO_NODE // the end of a string must not be in it
      passed = HAS_SYMBOL | symbol
      node = 0
    } else node = next
  }
  return (node << NODE_SHIFT) | passed
}
