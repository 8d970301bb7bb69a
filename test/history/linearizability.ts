/**
 * Is there one order of the operations, each at an instant between its call and its return, in which the store of model.ts
 * gives the answers that were given? The search of Wing and Gong with Lowe's memory of what was tried, as in Porcupine.
 * Answers name the revision they were given at, so the order is almost forced; what may or may not have been carried out
 * is tried only where nothing else can come next.
 */
import { link, relink, unlink, type Entry } from './call-list.ts'
import { agrees, EMPTY, rangeAnswer, step, type State } from './model.ts'
import { namesLease, type Operation } from './operation.ts'
import { prepare, type Candidate, type Prepared, type PrepareOptions } from './prepare.ts'

export interface CheckOptions extends PrepareOptions {
  /** Of the search; beyond it the verdict is `gave-up`. */
  readonly maxSteps: number
}

export type Verdict =
  /** `states`: what the keys were at each revision, of one order that explains the history. */
  | { readonly kind: 'linearizable'; readonly states: ReadonlyMap<number, State> }
  | { readonly kind: 'violation'; readonly explanation: string }
  | { readonly kind: 'gave-up' }

/** Bounds the memory of what was tried. Forgetting all of it costs time and nothing else. */
const MAX_TRIED = 500_000

const DEFAULTS: CheckOptions = { clockDrift: 0, evidence: [], maxSteps: 5_000_000 }

export function checkLinearizable(history: readonly Operation[], options: Partial<CheckOptions> = {}): Verdict {
  const complete = { ...DEFAULTS, ...options }
  const prepared = prepare(history, complete)
  const search = new Search(prepared, complete.maxSteps)
  const found = search.run()
  if (found === 'gave-up') return { kind: 'gave-up' }
  if (found === 'none') return { kind: 'violation', explanation: search.explanation() }
  const problem = firstProblem(prepared.serializable, search.states())
  if (problem === undefined) return { kind: 'linearizable', states: search.states() }
  // The first order that was found is not the only one: another may put in what is of unknown outcome as these reads saw it.
  const stricter = new Search(prepared, complete.maxSteps, byRevisionRead(prepared.serializable))
  if (stricter.run() !== 'found') return { kind: 'violation', explanation: problem }
  return { kind: 'linearizable', states: stricter.states() }
}

function firstProblem(reads: readonly Operation[], states: ReadonlyMap<number, State>): string | undefined {
  for (const read of reads) {
    const problem = serializableProblem(read, states.get(revisionRead(read)))
    if (problem !== undefined) return problem
  }
  return undefined
}

function revisionRead({ request, outcome }: Operation): number {
  if (request.kind === 'range' && request.revision > 0) return request.revision
  return outcome.kind === 'answer' ? (outcome.answer.revision ?? 0) : 0
}

function byRevisionRead(reads: readonly Operation[]): ReadonlyMap<number, readonly Operation[]> {
  return Map.groupBy(reads, revisionRead)
}

interface Frame {
  readonly candidate: Candidate
  /** Undefined for an optional one. */
  readonly entry: Entry | undefined
  readonly before: State
  readonly optionalIndex: number
  readonly doneInOrder: number
}

class Search {
  readonly #required: readonly Candidate[]
  readonly #optional: readonly Candidate[]
  readonly #usedOptional = new Set<number>()
  readonly #head: Entry
  readonly #maxSteps: number
  readonly #tried = new Set<string>()
  readonly #numbers: ReadonlyMap<Operation, number>
  readonly #frames: Frame[] = []
  readonly #made: ReadonlySet<number>
  readonly #seen: Prepared['seen']
  /** Serializable reads that the order must fit, by the revision they saw. */
  readonly #reads: ReadonlyMap<number, readonly Operation[]>
  /** The required ones by the revision they were told, and how many of them from the first are done. */
  readonly #byRevision: readonly Candidate[]
  readonly #done = new Set<Candidate>()
  #doneInOrder = 0
  #state = EMPTY
  #left: number
  #low = 0
  #high = 0
  #best = { depth: -1, state: EMPTY, pending: [] as readonly Candidate[] }

  constructor(
    { required, optional, made, seen }: Prepared,
    maxSteps: number,
    reads: ReadonlyMap<number, readonly Operation[]> = new Map(),
  ) {
    this.#required = required.toSorted((a, b) => a.call - b.call)
    this.#optional = optional.toSorted((a, b) => a.call - b.call)
    this.#maxSteps = maxSteps
    this.#left = required.length
    this.#made = made
    this.#seen = seen
    this.#reads = reads
    this.#byRevision = this.#required.toSorted((a, b) => a.told - b.told)
    this.#numbers = new Map(this.#required.map(({ operation }, index) => [operation, index]))
    this.#head = link(this.#required)
  }

  run(): 'found' | 'none' | 'gave-up' {
    let entry = this.#head.next
    let optionalIndex = 0
    for (let steps = 0; this.#left > 0; steps++) {
      if (steps > this.#maxSteps) return 'gave-up'
      if (entry?.isCall === true) {
        if (this.#take(this.#required[entry.index], entry, 0)) {
          entry = this.#head.next
          optionalIndex = 0
        } else entry = entry.next
        continue
      }
      // A return: whatever is behind it comes later. First what may have happened, then the step before is taken back.
      const before = this.#required[entry?.index ?? 0]?.return ?? Infinity
      this.#noteBest()
      const chosen = this.#takeOptional(optionalIndex, before)
      if (chosen) {
        entry = this.#head.next
        optionalIndex = 0
        continue
      }
      const frame = this.#undo()
      if (frame === undefined) return 'none'
      if (frame.entry === undefined) {
        // Only optional ones are left to try at that place.
        optionalIndex = frame.optionalIndex + 1
        entry = this.#firstReturn()
      } else {
        optionalIndex = 0
        entry = frame.entry.next
      }
    }
    return 'found'
  }

  #take(candidate: Candidate | undefined, entry: Entry | undefined, optionalIndex: number): boolean {
    if (candidate === undefined) return false
    const before = this.#state
    const after = this.#step(candidate)
    if (after === undefined || this.#isTooLate(after, candidate)) return false
    const [low, high] = this.#toggled(candidate, optionalIndex)
    const key = `${low}:${high}:${fingerprint(after)}`
    if (this.#tried.has(key)) return false
    if (this.#tried.size >= MAX_TRIED) this.#tried.clear()
    this.#tried.add(key)
    this.#low = low
    this.#high = high
    this.#state = after
    this.#frames.push({ candidate, entry, before, optionalIndex, doneInOrder: this.#doneInOrder })
    this.#done.add(candidate)
    this.#advance()
    if (entry === undefined) this.#usedOptional.add(optionalIndex)
    else {
      unlink(entry)
      this.#left -= 1
    }
    return true
  }

  /** Somebody who is still to come was told an earlier revision, or the revision is another's or was seen otherwise. */
  #isTooLate(after: State, candidate: Candidate): boolean {
    const isNew = after.revision > this.#state.revision
    if (isNew && candidate.isOptional && !this.#mayHaveMade(after)) return true
    if (isNew && !this.#fitsReads(after)) return true
    for (let i = this.#doneInOrder; i < this.#byRevision.length; i++) {
      const next = this.#byRevision[i]
      if (next === undefined || next.told >= after.revision) return false
      if (next !== candidate && !this.#done.has(next)) return true
    }
    return false
  }

  /** That a key is not there is not enough where somebody saw it deleted: an earlier revision may have done that. */
  #mayHaveMade({ revision, changes }: State): boolean {
    if (this.#made.has(revision)) return false
    return (this.#seen.get(revision) ?? []).every(({ key, value }) =>
      changes.some((change) => change.key === key && change.after?.value === value),
    )
  }

  #fitsReads(state: State): boolean {
    return (this.#reads.get(state.revision) ?? []).every((read) => serializableProblem(read, state) === undefined)
  }

  #advance(): void {
    for (;;) {
      const next = this.#byRevision[this.#doneInOrder]
      if (next === undefined || !this.#done.has(next)) return
      this.#doneInOrder += 1
    }
  }

  #step({ request, operation, isOptional, pinned, atLeast = 0 }: Candidate): State | undefined {
    const state = this.#state
    if (state.revision < atLeast) return undefined
    if (pinned !== 0 && pinned !== state.revision + 1) return undefined
    const result = step(state, request, (revision) => this.#at(revision))
    if (isOptional) return result.kind === 'done' && result.state !== state ? result.state : undefined
    const { outcome } = operation
    if (result.kind === 'refused')
      return outcome.kind === 'refusal' && outcome.refusal === result.refusal ? state : undefined
    return outcome.kind === 'answer' && agrees(outcome.answer, result.answer) ? result.state : undefined
  }

  #takeOptional(from: number, before: number): boolean {
    for (let index = from; index < this.#optional.length; index++) {
      const candidate = this.#optional[index]
      if (candidate === undefined || candidate.call > before) return false
      if (this.#usedOptional.has(index) || !this.#mayMatter(candidate)) continue
      if (this.#take(candidate, undefined, index)) return true
    }
    return false
  }

  /**
   * What makes no revision can as well come later, unless somebody who is next depends on it: without this, every lease
   * that may have ended by itself would double the search.
   */
  #mayMatter({ request }: Candidate): boolean {
    if (request.kind === 'revoke') {
      for (const { lease } of this.#state.keys.values()) if (lease === request.id) return true
      return this.#someNext(
        ({ request: next, outcome }) =>
          namesLease(next, request.id) &&
          (next.kind === 'grant' || (outcome.kind === 'refusal' && outcome.refusal === 'lease-not-found')),
      )
    }
    if (request.kind === 'compact')
      return this.#someNext(({ outcome }) => outcome.kind === 'refusal' && outcome.refusal === 'compacted')
    return true
  }

  #someNext(holds: (operation: Operation) => boolean): boolean {
    for (let entry = this.#head.next; entry?.isCall === true; entry = entry.next) {
      const candidate = this.#required[entry.index]
      if (candidate !== undefined && holds(candidate.operation)) return true
    }
    return false
  }

  #undo(): Frame | undefined {
    const frame = this.#frames.pop()
    if (frame === undefined) return undefined
    this.#state = frame.before
    this.#done.delete(frame.candidate)
    this.#doneInOrder = frame.doneInOrder
    const [low, high] = this.#toggled(frame.candidate, frame.optionalIndex)
    this.#low = low
    this.#high = high
    if (frame.entry === undefined) this.#usedOptional.delete(frame.optionalIndex)
    else {
      relink(frame.entry)
      this.#left += 1
    }
    return frame
  }

  #firstReturn(): Entry | undefined {
    let entry = this.#head.next
    while (entry?.isCall === true) entry = entry.next
    return entry
  }

  /** The keys at an earlier revision of the order so far. */
  #at(revision: number): State | undefined {
    // The newest frame that left this revision behind knows its state.
    let low = 0
    let high = this.#frames.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#frames[middle]?.before.revision ?? 0) <= revision) low = middle
      else high = middle - 1
    }
    const found = this.#frames[low]?.before
    return found?.revision === revision ? found : undefined
  }

  /** Which operations are done, as two numbers that change by the one that is added or taken back. */
  #toggled({ isOptional, operation }: Candidate, optionalIndex: number): readonly [number, number] {
    const seed = isOptional ? -1 - optionalIndex : 1 + (this.#numbers.get(operation) ?? 0)
    return [this.#low ^ scatter(seed, 0x9e3779b1), this.#high ^ scatter(seed, 0x85ebca77)]
  }

  #noteBest(): void {
    if (this.#frames.length <= this.#best.depth) return
    const pending: Candidate[] = []
    for (let entry = this.#head.next; entry?.isCall === true; entry = entry.next) {
      const candidate = this.#required[entry.index]
      if (candidate !== undefined) pending.push(candidate)
    }
    this.#best = { depth: this.#frames.length, state: this.#state, pending }
  }

  states(): ReadonlyMap<number, State> {
    const states = new Map<number, State>()
    for (const { before } of this.#frames) states.set(before.revision, before)
    return states.set(this.#state.revision, this.#state)
  }

  explanation(): string {
    const { depth, state, pending } = this.#best
    const lines = pending.map(({ operation, request }) => {
      const result = step(state, request, (revision) => this.#at(revision))
      return `  ${JSON.stringify(operation)}\n    here: ${JSON.stringify(result, asPlain)}`
    })
    return [
      `not linearizable: after ${depth} operations, at revision ${state.revision}, none of these fits`,
      ...lines,
    ].join('\n')
  }
}

function asPlain(_name: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value)
  return value
}

function scatter(seed: number, factor: number): number {
  let mixed = Math.imul(seed ^ (seed >>> 16), factor)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

/** Everything that answers can tell apart: equal texts, equal futures. */
function fingerprint({ revision, compacted, keys, leases }: State): string {
  let text = `${revision}/${compacted}`
  for (const { key, modRevision, createRevision, version, lease, value } of keys.values())
    text += `/${key}=${modRevision},${createRevision},${version},${lease}=${value}`
  for (const id of leases.keys()) text += `#${id}`
  return text
}

/** A member's own answer may be old, but it must have been true at its revision. */
function serializableProblem({ request, outcome, ...rest }: Operation, state: State | undefined): string | undefined {
  if (request.kind !== 'range' || outcome.kind !== 'answer') return undefined
  const { revision: _header, ...told } = outcome.answer
  const expected = state === undefined ? undefined : rangeAnswer(state.keys, request)
  if (expected !== undefined && agrees(told, expected)) return undefined
  return `a serializable read was never true: ${JSON.stringify({ request, outcome, ...rest })}\n  at that revision: ${JSON.stringify(expected)}`
}
