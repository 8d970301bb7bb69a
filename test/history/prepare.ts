/** A history as the search wants it: what must have happened, what may have, and what is known of single revisions. */
import type { Answer, KeyValue, Operation, Request, TxnOperation } from './operation.ts'

/** Something that took effect at one instant between `call` and `return`, or, when `isOptional`, maybe never. */
export interface Candidate {
  readonly operation: Operation
  readonly request: Request
  readonly call: number
  readonly return: number
  readonly isOptional: boolean
  /** The only revision it can have made, when answers of others tell; 0 when nothing is known. */
  readonly pinned: number
  /** The revision that its answer names: it was at this when the operation had taken effect. Infinity without one. */
  readonly told: number
  /** The store has got at least this far by then. */
  readonly atLeast?: number
}

/** Somebody was told that this revision put the key so, or deleted it. */
export interface Sighting {
  readonly revision: number
  readonly key: string
  /** Undefined: deleted. */
  readonly value: string | undefined
}

export interface PrepareOptions {
  /** How much too fast the leader's clock may run, as a share: leases may end so much earlier. */
  readonly clockDrift: number
  /** Changes that watches have told of. */
  readonly evidence: readonly Sighting[]
}

export interface Prepared {
  readonly required: readonly Candidate[]
  readonly optional: readonly Candidate[]
  readonly serializable: readonly Operation[]
  /** Revisions that answered operations have made: nothing else has. */
  readonly made: ReadonlySet<number>
  /** What is known of the revisions that nothing answered has made. */
  readonly seen: ReadonlyMap<number, readonly Sighting[]>
}

export function prepare(history: readonly Operation[], options: PrepareOptions): Prepared {
  const required: Candidate[] = []
  const optional: Candidate[] = []
  const serializable: Operation[] = []
  const made = new Set<number>()
  const sightings = [...options.evidence, ...answered(history)]
  const pins = findPins(history, sightings)
  for (const operation of history) {
    const { request, outcome } = operation
    const told = outcome.kind === 'answer' ? (outcome.answer.revision ?? Infinity) : Infinity
    const candidate = { operation, request, call: operation.call, return: operation.return, pinned: 0, told }
    if (outcome.kind === 'answer' && hasChanged(request, outcome.answer)) made.add(told)
    if (request.kind === 'range' && request.serializable) serializable.push(operation)
    else if (outcome.kind === 'unknown') {
      if (request.kind !== 'range' && request.kind !== 'renew')
        optional.push({ ...candidate, return: Infinity, isOptional: true, pinned: pins(request) })
    } else if (outcome.kind === 'answer' || outcome.refusal !== 'refused')
      required.push({ ...candidate, isOptional: false })
  }
  const newest = Math.max(newestOf(sightings), newestOf(serializable.map(toldRevision)))
  if (newest > 0) required.push(reached(newest))
  return {
    required,
    optional: [...optional, ...expiries(history, options.clockDrift)],
    serializable,
    made,
    seen: Map.groupBy(sightings, ({ revision }) => revision),
  }
}

function toldRevision({ outcome }: Operation): { readonly revision: number } {
  return { revision: outcome.kind === 'answer' ? (outcome.answer.revision ?? 0) : 0 }
}

function newestOf(told: readonly { readonly revision: number }[]): number {
  return told.reduce((newest, { revision }) => Math.max(newest, revision), 0)
}

/**
 * Somebody was told of this revision, so the store got there, if only by what nobody had an answer to: a read at the end
 * of time, of a key that nobody writes.
 */
function reached(revision: number): Candidate {
  const request = { kind: 'range', key: '', rangeEnd: '', revision: 0, serializable: false } as const
  const at = { call: Number.MAX_VALUE, return: Number.MAX_VALUE }
  const outcome = { kind: 'answer', answer: {} } as const
  const operation: Operation = { client: -1, member: '', ...at, request, outcome }
  return { operation, request, ...at, isOptional: false, pinned: 0, told: Infinity, atLeast: revision }
}

/**
 * A lease may end by itself once the time is up that its grant, and every answered renewal, has promised. An ID that was
 * granted again belongs to another lease from then on.
 */
function expiries(history: readonly Operation[], clockDrift: number): Candidate[] {
  const lives: { readonly id: string; operation: Operation; call: number }[] = []
  const newest = new Map<string, (typeof lives)[number]>()
  for (const operation of history.toSorted((a, b) => a.call - b.call)) {
    const { request, outcome } = operation
    const isRenewal = request.kind === 'renew' && outcome.kind === 'answer'
    const isGrant = request.kind === 'grant' && outcome.kind !== 'refusal'
    if (!isRenewal && !isGrant) continue
    const call = operation.call + request.ttlSeconds * 1000 * (1 - clockDrift)
    const known = newest.get(request.id)
    if (isGrant || known === undefined) {
      const life = { id: request.id, operation, call }
      lives.push(life)
      newest.set(request.id, life)
    } else if (known.call < call) Object.assign(known, { operation, call })
  }
  return lives.map(({ id, operation, call }) => ({
    operation,
    request: { kind: 'revoke', id },
    call,
    return: Infinity,
    isOptional: true,
    pinned: 0,
    told: Infinity,
  }))
}

/** What was written once and was seen at a revision was written at that revision. */
function findPins(history: readonly Operation[], sightings: readonly Sighting[]): (request: Request) => number {
  const writers = new Map<string, number>()
  for (const { request } of history)
    for (const write of writes(request)) writers.set(write, (writers.get(write) ?? 0) + 1)
  const seen = new Map<string, number>()
  for (const { key, value, revision } of sightings) if (value !== undefined) seen.set(`${key}\0${value}`, revision)
  return (request) => {
    for (const write of writes(request)) {
      const revision = seen.get(write)
      if (revision !== undefined && writers.get(write) === 1) return revision
    }
    return 0
  }
}

function* writes(request: Request): Generator<string> {
  if (request.kind === 'put') yield `${request.key}\0${request.value}`
  else if (request.kind === 'txn')
    for (const operation of [...request.success, ...request.failure] satisfies TxnOperation[]) yield* writes(operation)
}

function answered(history: readonly Operation[]): Sighting[] {
  return history.flatMap(({ outcome }) =>
    outcome.kind === 'answer'
      ? [...told(outcome.answer)].map(({ key, value, modRevision }) => ({ key, value, revision: modRevision }))
      : [],
  )
}

function* told(answer: Answer): Generator<KeyValue> {
  yield* answer.kvs ?? []
  yield* answer.prevKvs ?? []
  for (const response of answer.responses ?? []) yield* told(response)
}

function hasChanged(request: Request, answer: Answer): boolean {
  if (request.kind === 'put') return true
  if (request.kind === 'delete') return (answer.deleted ?? 0) > 0
  if (request.kind !== 'txn') return false
  const operations = answer.succeeded === true ? request.success : request.failure
  return operations.some((operation, i) => hasChanged(operation, answer.responses?.[i] ?? {}))
}
