/** The calls and returns of a history as the list of Wing and Gong's search: O(1) to take an operation out and put it back. */

export interface Span {
  readonly call: number
  readonly return: number
}

/** Calls and returns in the order of time, linked so that an operation can be taken out and put back. */
export interface Entry {
  readonly index: number
  readonly isCall: boolean
  previous: Entry | undefined
  next: Entry | undefined
  match: Entry | undefined
}

/** Returns the head, which stands for nothing. */
export function link(candidates: readonly Span[]): Entry {
  const times = candidates.flatMap(({ call, return: end }, index) => [
    { index, isCall: true, at: call },
    { index, isCall: false, at: end },
  ])
  // What returns at the instant at which another is called may still have come after it.
  const ordered = times.toSorted((a, b) => a.at - b.at || Number(b.isCall) - Number(a.isCall))
  const head: Entry = { index: -1, isCall: false, previous: undefined, next: undefined, match: undefined }
  const calls = new Map<number, Entry>()
  let last = head
  for (const { index, isCall } of ordered) {
    const entry: Entry = { index, isCall, previous: last, next: undefined, match: undefined }
    last.next = entry
    last = entry
    if (isCall) calls.set(index, entry)
    else {
      const call = calls.get(index)
      if (call !== undefined) call.match = entry
    }
  }
  return head
}

/** Takes a call and its return out; they keep their neighbours, for {@link relink}. */
export function unlink(entry: Entry): void {
  for (const each of [entry, entry.match]) {
    if (each?.previous !== undefined) each.previous.next = each.next
    if (each?.next !== undefined) each.next.previous = each.previous
  }
}

/** Undoes the newest {@link unlink} that is not undone yet. */
export function relink(entry: Entry): void {
  for (const each of [entry.match, entry]) {
    if (each?.previous !== undefined) each.previous.next = each
    if (each?.next !== undefined) each.next.previous = each
  }
}
