/**
 * Ranges of keys, asked for those that a key lies in. A search tree over (start, end), kept shallow by priorities that
 * look random (treap), in which every node knows the highest end below it: a question visits the path to the key and the
 * ranges that it returns, a change visits one path. sorted-btree, which we have, cannot carry the highest end.
 *
 * Keys are texts of one character a byte (mvcc/byte-text.ts); an end of `undefined` lies above all keys.
 */

interface Node<Value> {
  readonly start: string
  readonly end: string | undefined
  readonly value: Value
  readonly priority: number
  left: Node<Value> | undefined
  right: Node<Value> | undefined
  highestEnd: string | undefined
}

export class IntervalTree<Value> {
  #root: Node<Value> | undefined
  #inserted = 0

  get(start: string, end: string | undefined): Value | undefined {
    let node = this.#root
    while (node !== undefined) {
      const order = compare(start, end, node)
      if (order === 0) return node.value
      node = order < 0 ? node.left : node.right
    }
    return undefined
  }

  /** The range must not be there yet. */
  insert(start: string, end: string | undefined, value: Value): void {
    const priority = scramble(++this.#inserted)
    const node: Node<Value> = { start, end, value, priority, left: undefined, right: undefined, highestEnd: end }
    this.#root = insertNode(this.#root, node)
  }

  /** Nothing happens when the range is not there. */
  remove(start: string, end: string | undefined): void {
    this.#root = removeNode(this.#root, start, end)
  }

  /** Calls `visit` for every range with start <= key < end. */
  forEachContaining(key: string, visit: (value: Value) => void): void {
    visitContaining(this.#root, key, visit)
  }
}

function visitContaining<Value>(node: Node<Value> | undefined, key: string, visit: (value: Value) => void): void {
  for (let at = node; at !== undefined && isBelow(key, at.highestEnd); at = at.right) {
    visitContaining(at.left, key, visit)
    if (key < at.start) return
    if (isBelow(key, at.end)) visit(at.value)
  }
}

function insertNode<Value>(at: Node<Value> | undefined, node: Node<Value>): Node<Value> {
  if (at === undefined) return node
  if (node.priority > at.priority) {
    const [left, right] = split(at, node)
    node.left = left
    node.right = right
    return refreshed(node)
  }
  if (compare(node.start, node.end, at) < 0) at.left = insertNode(at.left, node)
  else at.right = insertNode(at.right, node)
  return refreshed(at)
}

function removeNode<Value>(
  at: Node<Value> | undefined,
  start: string,
  end: string | undefined,
): Node<Value> | undefined {
  if (at === undefined) return undefined
  const order = compare(start, end, at)
  if (order === 0) return merge(at.left, at.right)
  if (order < 0) at.left = removeNode(at.left, start, end)
  else at.right = removeNode(at.right, start, end)
  return refreshed(at)
}

type Halves<Value> = readonly [below: Node<Value> | undefined, above: Node<Value> | undefined]

function split<Value>(at: Node<Value> | undefined, by: Node<Value>): Halves<Value> {
  if (at === undefined) return [undefined, undefined]
  if (compare(by.start, by.end, at) < 0) {
    const [below, above] = split(at.left, by)
    at.left = above
    return [below, refreshed(at)]
  }
  const [below, above] = split(at.right, by)
  at.right = below
  return [refreshed(at), above]
}

/** Everything in `left` is below everything in `right`. */
function merge<Value>(left: Node<Value> | undefined, right: Node<Value> | undefined): Node<Value> | undefined {
  if (left === undefined || right === undefined) return left ?? right
  if (left.priority > right.priority) {
    left.right = merge(left.right, right)
    return refreshed(left)
  }
  right.left = merge(left, right.left)
  return refreshed(right)
}

function refreshed<Value>(node: Node<Value>): Node<Value> {
  node.highestEnd = node.end
  for (const child of [node.left, node.right]) {
    if (child !== undefined && isBelow(node.highestEnd, child.highestEnd)) node.highestEnd = child.highestEnd
  }
  return node
}

/** Whether `a` < `b`, where undefined lies above everything, itself excluded. */
function isBelow(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && (b === undefined || a < b)
}

function compare<Value>(start: string, end: string | undefined, node: Node<Value>): number {
  if (start !== node.start) return start < node.start ? -1 : 1
  if (end === node.end) return 0
  return isBelow(end, node.end) ? -1 : 1
}

/** Numbers that count up, spread over 32 bits without a pattern that the order of insertions could match (murmur3). */
function scramble(count: number): number {
  let bits = Math.imul(count ^ (count >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
