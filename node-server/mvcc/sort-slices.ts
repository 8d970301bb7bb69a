/** A stable sort that lets others work in between. */

/** Sorted as `toSorted` would have it. Yields after each `steps` comparisons, about. */
export function* sortInSlices<Item>(
  items: readonly Item[],
  compare: (a: Item, b: Item) => number,
  steps: number,
): Generator<undefined, readonly Item[]> {
  let runs: (readonly Item[])[] = []
  for (let offset = 0; offset < items.length; offset += steps) {
    if (offset > 0) yield
    runs.push(items.slice(offset, offset + steps).toSorted(compare))
  }
  while (runs.length > 1) {
    const merged: (readonly Item[])[] = []
    for (let position = 0; position < runs.length; position += 2)
      merged.push(yield* merge(runs[position] ?? [], runs[position + 1] ?? [], compare, steps))
    runs = merged
  }
  return runs[0] ?? []
}

function* merge<Item>(
  left: readonly Item[],
  right: readonly Item[],
  compare: (a: Item, b: Item) => number,
  steps: number,
): Generator<undefined, readonly Item[]> {
  const merged: Item[] = []
  let l = 0
  let r = 0
  while (l < left.length || r < right.length) {
    const a = left[l]
    const b = right[r]
    if (b === undefined || (a !== undefined && compare(a, b) <= 0)) {
      if (a !== undefined) merged.push(a)
      l++
    } else {
      merged.push(b)
      r++
    }
    if (merged.length % steps === 0) yield
  }
  return merged
}
