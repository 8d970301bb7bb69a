/**
 * What watches must have told, by the states that the linearized history went through (etcd's guarantees for watches):
 * ordered, unique, atomic, reliable, resumable, bookmarkable, filtered, exact previous values.
 */
import type { Change, State } from './model.ts'
import { covers, type KeyValue } from './operation.ts'

export interface WatchEvent {
  readonly kind: 'put' | 'delete'
  /** Of a delete only key and modRevision count. */
  readonly kv: KeyValue
  readonly prevKv: KeyValue | undefined
}

export interface WatchResponse {
  readonly at: number
  /** Of the header. */
  readonly revision: number
  readonly isCreated: boolean
  readonly isCanceled: boolean
  readonly compactRevision: number
  /** More of the same revision follows in the next response. */
  readonly isFragment: boolean
  readonly events: readonly WatchEvent[]
}

/** One watch on one stream. */
export interface WatchHistory {
  readonly watcher: number
  readonly member: string
  readonly key: string
  readonly rangeEnd: string
  /** 0 for "from now on". */
  readonly startRevision: number
  readonly prevKv: boolean
  readonly noPut: boolean
  readonly noDelete: boolean
  /** Open and undisturbed since this revision was made, for so long that it must have told all up to it. */
  readonly mustTellThrough?: number
  readonly responses: readonly WatchResponse[]
}

/**
 * Undefined when all is well. `states` as checkLinearizable gives them; `mayBeCompacted`: the highest revision that somebody
 * asked to compact and had no answer.
 */
export function watchProblem(
  watch: WatchHistory,
  states: ReadonlyMap<number, State>,
  mayBeCompacted = 0,
): string | undefined {
  const expected = new Expected(watch, states, Math.max(mayBeCompacted, compactedInTheEnd(states)))
  for (const response of watch.responses) {
    const problem = expected.take(response)
    if (problem === undefined) continue
    return `${problem}\n  watch: ${JSON.stringify({ ...watch, responses: [] })}\n  response: ${JSON.stringify(response)}`
  }
  const missing = expected.missingThrough(watch.mustTellThrough ?? 0)
  return missing === undefined
    ? undefined
    : `revision ${missing} was never told\n  watch: ${JSON.stringify({ ...watch, responses: [] })}`
}

function compactedInTheEnd(states: ReadonlyMap<number, State>): number {
  let compacted = 0
  for (const state of states.values()) compacted = Math.max(compacted, state.compacted)
  return compacted
}

class Expected {
  readonly #watch: WatchHistory
  readonly #states: ReadonlyMap<number, State>
  /** In the end; what was visible when an event was told is not known. */
  readonly #compacted: number
  #header = 0
  #isOver = false
  /** Everything up to here was told. */
  #through = 0
  #isOpen = false
  /** Events of the revision that a fragment has begun. */
  #begun: WatchEvent[] = []

  constructor(watch: WatchHistory, states: ReadonlyMap<number, State>, compacted: number) {
    this.#watch = watch
    this.#states = states
    this.#compacted = compacted
  }

  take(response: WatchResponse): string | undefined {
    if (this.#isOver) return 'an answer after the watch was cancelled'
    // A cancellation by a compaction names none: etcd leaves it 0.
    if (response.revision < this.#header && !(response.isCanceled && response.revision === 0))
      return `a header of ${response.revision} after one of ${this.#header}`
    this.#header = response.revision
    if (response.isCreated) {
      if (this.#isOpen) return 'created twice'
      this.#isOpen = true
      const { startRevision } = this.#watch
      this.#through = startRevision === 0 ? response.revision : startRevision - 1
      return undefined
    }
    if (response.isCanceled) return this.#canceled(response)
    if (!this.#isOpen) return 'an answer before the watch was created'
    return response.events.length === 0 ? this.#progress(response) : this.#events(response)
  }

  /** The first revision up to that one that should have been told by now. */
  missingThrough(revision: number): number | undefined {
    return this.#isOver || !this.#isOpen ? undefined : this.#nextRevision(revision)
  }

  #canceled({ compactRevision }: WatchResponse): string | undefined {
    this.#isOver = true
    if (compactRevision > 0 && this.#through + 1 >= compactRevision)
      return `cancelled as compacted at ${compactRevision}, but it had got everything through ${this.#through}`
    return undefined
  }

  /** Bookmarkable: what is at or below this revision has been told, and what comes is above it. */
  #progress({ revision }: WatchResponse): string | undefined {
    if (revision < this.#through)
      return `a progress notification at ${revision}, but what the watch tells is above ${this.#through}`
    const missing = this.#nextRevision(revision)
    if (missing !== undefined) return `a progress notification at ${revision}, but revision ${missing} was not told`
    this.#through = Math.max(this.#through, revision)
    return undefined
  }

  #events({ events, isFragment, revision: header }: WatchResponse): string | undefined {
    const all = [...this.#begun, ...events]
    this.#begun = []
    for (let at = 0; at < all.length;) {
      const revision = all[at]?.kv.modRevision ?? 0
      if (revision > header) return `an event of revision ${revision} under a header of ${header}`
      if (revision <= this.#through) return `an event of revision ${revision} after everything through ${this.#through}`
      const group = all.slice(at).filter(({ kv }) => kv.modRevision === revision)
      if (all.slice(at, at + group.length).some(({ kv }) => kv.modRevision !== revision)) return 'events out of order'
      at += group.length
      if (isFragment && at >= all.length) {
        this.#begun = group
        return undefined
      }
      const problem = this.#group(revision, group)
      if (problem !== undefined) return problem
    }
    return undefined
  }

  #group(revision: number, events: readonly WatchEvent[]): string | undefined {
    const missing = this.#nextRevision(revision - 1)
    if (missing !== undefined) return `revision ${missing} was skipped`
    const expected = this.#changesAt(revision)
    if (expected === undefined) return `there was no revision ${revision}`
    if (events.length !== expected.length)
      return `revision ${revision} has ${expected.length} events for this watch, it was told ${events.length}`
    for (const [i, event] of events.entries()) {
      const change = expected[i]
      if (change?.key !== event.kv.key) return `revision ${revision}: key ${event.kv.key} was told for ${change?.key}`
      const problem = this.#eventProblem(event, change)
      if (problem !== undefined) return `revision ${revision}, key ${event.kv.key}: ${problem}`
    }
    this.#through = revision
    return undefined
  }

  #eventProblem(event: WatchEvent, { before, after }: Change): string | undefined {
    if (event.kind === 'delete') {
      if (after !== undefined) return 'a delete was told, it was a put'
    } else {
      if (after === undefined) return 'a put was told, it was a delete'
      if (!isSame(event.kv, after)) return `told ${JSON.stringify(event.kv)}, it was ${JSON.stringify(after)}`
    }
    if (!this.#watch.prevKv) return undefined
    if (event.prevKv === undefined) return before === undefined ? undefined : this.#hiddenPrevious(before)
    return before !== undefined && isSame(event.prevKv, before)
      ? undefined
      : `told before ${JSON.stringify(event.prevKv)}, it was ${JSON.stringify(before)}`
  }

  /** What a compaction has removed since cannot be told any more. */
  #hiddenPrevious(before: KeyValue): string | undefined {
    return before.modRevision < this.#compacted ? undefined : `told nothing before, it was ${JSON.stringify(before)}`
  }

  /** The first revision above {@link #through}, up to `last`, that has an event for this watch. */
  #nextRevision(last: number): number | undefined {
    for (let revision = this.#through + 1; revision <= last; revision++)
      if ((this.#changesAt(revision)?.length ?? 0) > 0) return revision
    return undefined
  }

  #changesAt(revision: number): readonly Change[] | undefined {
    const { key, rangeEnd, noPut, noDelete } = this.#watch
    return this.#states
      .get(revision)
      ?.changes.filter(
        (change) => covers(key, rangeEnd, change.key) && !(change.after === undefined ? noDelete : noPut),
      )
  }
}

function isSame(a: KeyValue, b: KeyValue): boolean {
  return (
    a.key === b.key &&
    a.value === b.value &&
    a.createRevision === b.createRevision &&
    a.modRevision === b.modRevision &&
    a.version === b.version &&
    a.lease === b.lease
  )
}
