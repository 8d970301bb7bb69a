/**
 * Is a history linearizable, when every change was watched? Watches tell the changes by revision, so there is one order to
 * check, in one pass however long the history is: the changes are replayed, and each answer is held against the state at
 * the revision that it names. An order of revisions that contradicts the order of calls in time is the other way in which
 * a history can be wrong. Operations without an outcome have taken effect if a revision shows it, each at most once.
 *
 * The model and the rules for watches are those of test/history. Not looked at: when a lease ends, only what goes with it.
 */
import type { History } from '../history/json-lines.ts'
import { agrees, step, type State } from '../history/model.ts'
import type { Answer, KeyValue, Operation, Request } from '../history/operation.ts'
import { watchProblem, type WatchEvent, type WatchHistory } from '../history/watches.ts'

/** Of one revision. */
type Change = readonly WatchEvent[]
type Note = (problem: string) => void
type Answered = Operation & { readonly outcome: { readonly kind: 'answer'; readonly answer: Answer } }

const MAX_PROBLEMS = 20

export function checkRevisions(history: History): readonly string[] {
  const problems: string[] = []
  const note = (problem: string): void => void (problems.length < MAX_PROBLEMS && problems.push(problem))
  const changes = changesOf(history.watches, note)
  const states = replay(history, changes)
  for (const watch of history.watches) checkWatch(watch, states, note)
  checkRevoked(history.operations, note)
  const floor = floors(history.operations)
  checkTime(history.operations, floor, note)
  checkStates(history.operations, { changes, states, floor }, note)
  return problems
}

/** All that any watch was told, by revision. Where they contradict each other, all but one contradict the states. */
function changesOf(watches: readonly WatchHistory[], note: Note): ReadonlyMap<number, Change> {
  const changes = new Map<number, Change>()
  for (const { responses } of watches)
    for (const { events } of responses)
      for (const [revision, change] of Map.groupBy(events, ({ kv }) => kv.modRevision))
        if (!changes.has(revision)) changes.set(revision, change)
  const last = highest(changes)
  for (let revision = 2; revision <= last; revision++)
    if (!changes.has(revision)) note(`no watch was told of revision ${revision}, though of ${last}`)
  return changes
}

function highest(byRevision: ReadonlyMap<number, unknown>): number {
  let last = 1
  for (const revision of byRevision.keys()) last = Math.max(last, revision)
  return last
}

/** The state at each revision. In all of them all leases are there, and all is compacted that anyone has asked for. */
function replay({ operations }: History, changes: ReadonlyMap<number, Change>): ReadonlyMap<number, State> {
  const leases = new Map<string, number>()
  let compacted = 0
  for (const { request } of operations) {
    if (request.kind === 'grant') leases.set(request.id, request.ttlSeconds)
    if (request.kind === 'compact') compacted = Math.max(compacted, request.revision)
  }
  let keys: ReadonlyMap<string, KeyValue> = new Map()
  const states = new Map<number, State>([[1, { revision: 1, compacted, keys, leases, changes: [] }]])
  for (let revision = 2; revision <= highest(changes); revision++) {
    const before = keys
    const after = new Map(before)
    const told = changes.get(revision) ?? []
    for (const { kind, kv } of told)
      if (kind === 'put') after.set(kv.key, kv)
      else after.delete(kv.key)
    keys = after
    const changed = told.map(({ kind, kv }) => ({
      key: kv.key,
      before: before.get(kv.key),
      after: kind === 'put' ? kv : undefined,
    }))
    states.set(revision, { revision, compacted, keys, leases, changes: changed })
  }
  return states
}

function checkWatch(watch: WatchHistory, states: ReadonlyMap<number, State>, note: Note): void {
  const problem = watchProblem(watch, states)
  if (problem !== undefined) note(problem)
  let last = 0
  for (const { revision } of watch.responses) {
    if (revision < last) note(`a watch on ${watch.member} goes back from header revision ${last} to ${revision}`)
    last = revision
  }
}

/** What was revoked before a put began cannot be attached to. */
function checkRevoked(operations: readonly Operation[], note: Note): void {
  const revoked = new Map<string, number>()
  for (const { request, outcome, return: returnMs } of operations)
    if (request.kind === 'revoke' && outcome.kind === 'answer')
      revoked.set(request.id, Math.min(returnMs, revoked.get(request.id) ?? Infinity))
  for (const operation of operations) {
    const { request, outcome, call } = operation
    if (request.kind !== 'put' || outcome.kind !== 'answer') continue
    if (call > (revoked.get(request.lease) ?? Infinity)) note(`${told(operation)}\n  but the lease had been revoked`)
  }
}

/** The latest place in the order that was told of before each call: what is called stands there or later. */
function floors(operations: readonly Operation[]): ReadonlyMap<Operation, Answered> {
  const ended = operations.filter(hasPlace).toSorted((a, b) => a.return - b.return)
  const found = new Map<Operation, Answered>()
  let next = 0
  let latest: Answered | undefined
  for (const operation of operations.toSorted((a, b) => a.call - b.call)) {
    for (let other = ended[next]; other !== undefined && other.return < operation.call; other = ended[++next])
      if (latest === undefined || revisionOf(other) > revisionOf(latest)) latest = other
    if (latest !== undefined) found.set(operation, latest)
  }
  return found
}

/** What begins after another call's answer stands at its revision or later, and a write at a later one. */
function checkTime(operations: readonly Operation[], floor: ReadonlyMap<Operation, Answered>, note: Note): void {
  for (const operation of operations.filter(hasPlace)) {
    const before = floor.get(operation)
    if (before === undefined) continue
    const least = revisionOf(before) + (writes(operation.request, operation.outcome.answer) ? 1 : 0)
    if (revisionOf(operation) < least)
      note(`${told(operation)}\n  began after the end of\n  ${told(before)}\n  and stands before it`)
  }
}

/** Whether its answer says where in the order of revisions it stands, as of now and not of some time before. */
function hasPlace(operation: Operation): operation is Answered {
  const { request } = operation
  if (request.kind === 'grant' || request.kind === 'compact') return false
  return isAnswered(operation) && !(request.kind === 'range' && request.serializable)
}

function isAnswered(operation: Operation): operation is Answered {
  return operation.outcome.kind === 'answer'
}

function revisionOf({ outcome }: Answered): number {
  return outcome.answer.revision ?? 0
}

/** Whether the operation made the revision that it names. Of a revocation only the changes themselves tell. */
function writes(request: Request, { deleted = 0, succeeded, responses = [] }: Answer): boolean {
  if (request.kind === 'put') return true
  if (request.kind === 'delete') return deleted > 0
  if (request.kind !== 'txn') return false
  const steps = succeeded === true ? request.success : request.failure
  return steps.some((one, index) => writes(one, responses[index] ?? {}))
}

interface Known {
  readonly changes: ReadonlyMap<number, Change>
  readonly states: ReadonlyMap<number, State>
  readonly floor: ReadonlyMap<Operation, Answered>
}

function checkStates(operations: readonly Operation[], known: Known, note: Note): void {
  const { states } = known
  const byRevision = Map.groupBy(operations.filter(isAnswered), revisionOf)
  for (const [revision, here] of byRevision) {
    const [before, after] = [states.get(revision - 1), states.get(revision)]
    if (after === undefined) {
      note(`no watch was told of revision ${revision}, which is in\n  ${here.map(told).join('\n  ')}`)
      continue
    }
    const writers = here.filter(({ request, outcome }) => writes(request, outcome.answer))
    if (writers.length > 1) note(`revision ${revision} was given to two writes:\n  ${writers.map(told).join('\n  ')}`)
    for (const writer of writers) checkWriter(writer, before, after, note)
    for (const reader of here) if (!writers.includes(reader)) checkReader(reader, after, note)
  }
  checkUnclaimed(byRevision, operations, known, note)
}

/** Revisions that nobody was told to have made: each needs a maker of its own among the calls without outcome. */
function checkUnclaimed(
  byRevision: ReadonlyMap<number, readonly Answered[]>,
  operations: readonly Operation[],
  known: Known,
  note: Note,
): void {
  const unknown = operations.filter(({ outcome }) => outcome.kind === 'unknown')
  const makers = new Map<number, readonly Operation[]>()
  for (const revision of known.changes.keys()) {
    const here = byRevision.get(revision) ?? []
    if (here.some(({ request, outcome }) => writes(request, outcome.answer))) continue
    const [before, after] = [known.states.get(revision - 1), known.states.get(revision)]
    if (before === undefined || after === undefined || isOfLease(before, after)) continue
    makers.set(
      revision,
      unknown.filter((operation) => mayHaveMade(operation, before, after, known)),
    )
  }
  for (const revision of unmatched(makers)) {
    const here = (byRevision.get(revision) ?? []).map(told)
    note(`nobody has made revision ${revision}; answers that name it:\n  ${here.join('\n  ')}`)
  }
}

/** Those that are left over when as many as possible get a maker of their own (augmenting paths). */
function unmatched(makers: ReadonlyMap<number, readonly Operation[]>): readonly number[] {
  const madeBy = new Map<Operation, number>()
  const assign = (revision: number, tried: Set<Operation>): boolean => {
    for (const maker of makers.get(revision) ?? []) {
      if (tried.has(maker)) continue
      tried.add(maker)
      const other = madeBy.get(maker)
      if (other !== undefined && !assign(other, tried)) continue
      madeBy.set(maker, revision)
      return true
    }
    return false
  }
  return [...makers.keys()].filter((revision) => !assign(revision, new Set()))
}

function checkWriter(writer: Answered, before: State | undefined, after: State, note: Note): void {
  const done = before === undefined ? undefined : carriedOut(writer.request, before)
  if (done === undefined || !isSame(done.state.keys, after.keys))
    note(`${told(writer)}\n  the watches tell another change of revision ${after.revision}`)
  else if (!agrees(writer.outcome.answer, done.answer))
    note(`${told(writer)}\n  should be ${JSON.stringify(done.answer)}`)
}

/** A read, or a write that changed nothing. */
function checkReader(reader: Answered, state: State, note: Note): void {
  const { request, outcome } = reader
  if (request.kind === 'compact' || request.kind === 'grant' || request.kind === 'revoke') return
  const done = carriedOut(request, state)
  if (done === undefined || !agrees(outcome.answer, done.answer))
    note(`${told(reader)}\n  at revision ${state.revision} it should be ${JSON.stringify(done?.answer)}`)
}

/** A lease was revoked or has ended, and its keys with it. */
function isOfLease(before: State, after: State): boolean {
  const gone = [...before.keys.values()].find(({ key }) => !after.keys.has(key))
  if (gone === undefined || gone.lease === '0') return false
  const ended = carriedOut({ kind: 'revoke', id: gone.lease }, before)
  return ended !== undefined && isSame(ended.state.keys, after.keys)
}

function mayHaveMade(operation: Operation, before: State, after: State, { floor }: Known): boolean {
  const { request } = operation
  const atLeast = floor.get(operation)
  if (atLeast !== undefined && revisionOf(atLeast) >= after.revision) return false
  // Most can be told without trying: no two puts have the same value.
  if (request.kind === 'put' && after.keys.get(request.key)?.value !== request.value) return false
  const done = carriedOut(request, before)
  return done?.state.revision === after.revision && isSame(done.state.keys, after.keys)
}

/** Undefined when the store would have refused it. */
function carriedOut(request: Request, state: State): { readonly state: State; readonly answer: Answer } | undefined {
  const result = step(state, request, () => undefined)
  return result.kind === 'done' ? result : undefined
}

function isSame(a: ReadonlyMap<string, KeyValue>, b: ReadonlyMap<string, KeyValue>): boolean {
  if (a.size !== b.size) return false
  for (const [key, kv] of a) if (JSON.stringify(inOrder(kv)) !== JSON.stringify(inOrder(b.get(key)))) return false
  return true
}

function inOrder(kv: KeyValue | undefined): readonly unknown[] {
  return kv === undefined ? [] : [kv.value, kv.createRevision, kv.modRevision, kv.version, kv.lease]
}

function told({ client, member, call, return: end, request, outcome }: Operation): string {
  const time = `${call.toFixed(1)}-${end.toFixed(1)} ms`
  return `client ${client} at ${member}, ${time}: ${JSON.stringify(request)} → ${JSON.stringify(outcome)}`
}
