/** What is due next, of many: a binary heap, so that neither a new deadline nor a tick looks at all of them. */

export interface Due {
  /** On the clock that never goes back. Must not change while it is in the heap. */
  readonly dueMs: number
}

export function addDue<Item extends Due>(heap: Item[], item: Item): void {
  let at = heap.length
  heap.push(item)
  while (at > 0) {
    const parentAt = (at - 1) >> 1
    const parent = heap[parentAt]
    if (parent === undefined || parent.dueMs <= item.dueMs) break
    heap[at] = parent
    at = parentAt
  }
  heap[at] = item
}

/** Takes out the item with the earliest time not after `nowMs`; undefined when nothing is due. */
export function takeDue<Item extends Due>(heap: Item[], nowMs: number): Item | undefined {
  const [first] = heap
  if (first === undefined || first.dueMs > nowMs) return undefined
  const last = heap.pop()
  if (last !== undefined && last !== first) sinkFromTop(heap, last)
  return first
}

function sinkFromTop<Item extends Due>(heap: Item[], item: Item): void {
  let at = 0
  for (;;) {
    const left = heap[2 * at + 1]
    if (left === undefined) break
    const right = heap[2 * at + 2]
    const isRight = right !== undefined && right.dueMs < left.dueMs
    const child = isRight ? right : left
    if (child.dueMs >= item.dueMs) break
    heap[at] = child
    at = 2 * at + (isRight ? 2 : 1)
  }
  heap[at] = item
}
