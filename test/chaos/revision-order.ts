/**
 * Is a history linearizable? etcd's answers name their revision, so there is one order to check, in one pass: what the
 * watches tell is replayed revision by revision, and each answer is held against the state at its revision. An order of
 * revisions that contradicts the order of calls in time is the other way in which a history can be wrong.
 *
 * Operations without an outcome have taken effect if a revision shows it, each at most once. Leases are looked at only
 * through the keys that go with them.
 */
import type { History, Operation, Request, Response, TxnStep, Version, WatchEvent } from './record.ts'
import { checkWatch } from './watch-order.ts'

type State = Map<string, Version>
/** Of one revision, in their order. */
type Change = readonly WatchEvent[]

const MAX_PROBLEMS = 20

export function checkRevisions(history: History): readonly string[] {
  const problems: string[] = []
  const note = (problem: string): void => void (problems.length < MAX_PROBLEMS && problems.push(problem))
  const changes = changesOf(history, note)
  const revisions = [...changes.keys()].toSorted((a, b) => a - b)
  for (const watch of history.watches) for (const problem of checkWatch(watch, revisions)) note(problem)
  checkRevoked(history.operations, note)
  checkTime(history.operations, note)
  checkStates(history.operations, changes, note)
  return problems
}

/** All that any watch was told, by revision; watches that contradict each other are problems. */
function changesOf({ watches }: History, note: (problem: string) => void): ReadonlyMap<number, Change> {
  const changes = new Map<number, { readonly change: Change; readonly member: string; readonly text: string }>()
  for (const { member, responses } of watches)
    for (const { events } of responses)
      for (const change of byRevision(events)) {
        const revision = change[0]?.kv.modRevision ?? 0
        const text = JSON.stringify(change)
        const known = changes.get(revision)
        if (known === undefined) changes.set(revision, { change, member, text })
        else if (known.text !== text)
          note(`revision ${revision}: a watch on ${member} is told ${text}, one on ${known.member} ${known.text}`)
      }
  const last = Math.max(1, ...changes.keys())
  for (let revision = 2; revision <= last; revision++)
    if (!changes.has(revision)) note(`no watch was told of revision ${revision}, though of ${last}`)
  return new Map([...changes].map(([revision, { change }]) => [revision, change]))
}

function byRevision(events: readonly WatchEvent[]): readonly Change[] {
  return [...Map.groupBy(events, ({ kv }) => kv.modRevision).values()]
}

/** What begins after another call's answer stands at its revision or later, and a write at a later one. */
function checkTime(operations: readonly Operation[], note: (problem: string) => void): void {
  const ended = operations.filter(hasPlace).toSorted((a, b) => a.returnMs - b.returnMs)
  const begun = ended.toSorted((a, b) => a.callMs - b.callMs)
  let next = 0
  let highest: Placed | undefined
  for (const operation of begun) {
    for (let other = ended[next]; other !== undefined && other.returnMs < operation.callMs; other = ended[++next])
      if (highest === undefined || revisionOf(other) > revisionOf(highest)) highest = other
    if (highest === undefined) continue
    const isLate = writes(operation)
      ? revisionOf(operation) > revisionOf(highest)
      : revisionOf(operation) >= revisionOf(highest)
    if (!isLate) note(`${told(operation)}\n  began after the end of\n  ${told(highest)}\n  and stands before it`)
  }
}

/** What was revoked before a put began cannot be attached to. */
function checkRevoked(operations: readonly Operation[], note: (problem: string) => void): void {
  const revoked = new Map<string, number>()
  for (const { request, response, returnMs } of operations)
    if (request.kind === 'lease-revoke' && response?.kind === 'lease-revoke' && returnMs !== undefined)
      revoked.set(request.lease, Math.min(returnMs, revoked.get(request.lease) ?? Infinity))
  for (const operation of operations) {
    const { request, response, callMs } = operation
    if (request.kind !== 'put' || response?.kind !== 'put') continue
    const sinceMs = revoked.get(request.lease)
    if (sinceMs !== undefined && callMs > sinceMs) note(`${told(operation)}\n  but the lease had been revoked`)
  }
}

type Placed = Operation & { readonly returnMs: number; readonly response: Exclude<Response, { kind: 'refused' }> }

/** Whether its answer says where in the order of revisions it stands, as of now and not of some time before. */
function hasPlace(operation: Operation): operation is Placed {
  const { response, request, returnMs } = operation
  if (returnMs === undefined || response === undefined || response.kind === 'refused') return false
  if (request.kind === 'lease-grant' || request.kind === 'compact') return false
  return !(request.kind === 'range' && request.isSerializable)
}

function revisionOf({ response }: Placed): number {
  return response.revision
}

/** Whether the operation made the revision that it names. */
function writes({ request, response }: Operation): boolean {
  if (response === undefined || response.kind === 'refused') return false
  switch (response.kind) {
    case 'put':
      return true
    case 'delete':
      return response.previous.length > 0
    case 'txn':
      return response.responses.some((answer) => writes({ request, response: answer } as Operation))
    case 'range':
    case 'compact':
    case 'lease-grant':
    case 'lease-revoke': // only the changes themselves tell whether the lease had keys
      return false
    default:
      return response satisfies never
  }
}

function checkStates(
  operations: readonly Operation[],
  changes: ReadonlyMap<number, Change>,
  note: (problem: string) => void,
): void {
  const isKnown = ({ response }: Operation): boolean => response !== undefined
  const byPlace = Map.groupBy(operations.filter(isKnown), ({ response }) =>
    response === undefined || response.kind === 'refused' ? 0 : response.revision,
  )
  const unknown = new Set(operations.filter((operation) => !isKnown(operation)))
  const highestChange = Math.max(1, ...changes.keys())
  for (const revision of byPlace.keys())
    if (revision > highestChange) note(`an answer names revision ${revision}, no watch was told of it`)
  const state: State = new Map()
  for (let revision = 1; revision <= highestChange; revision++) {
    const here = byPlace.get(revision) ?? []
    const change = changes.get(revision) ?? []
    const writers = here.filter(writes)
    const [writer] = writers
    if (writers.length > 1) note(`revision ${revision} was given to two writes:\n  ${writers.map(told).join('\n  ')}`)
    if (change.length > 0) {
      if (writer !== undefined) checkWriter(writer, state, change, note)
      else checkUnclaimed(change, state, unknown, here, note)
    } else if (writer !== undefined) note(`${told(writer)}\n  is in no watch`)
    replay(state, change, note)
    for (const operation of here) if (!writes(operation)) checkReader(operation, state, note)
  }
}

/** What the operation does to that state: its events and its answer. */
function checkWriter(writer: Operation, state: State, change: Change, note: (problem: string) => void): void {
  const revision = change[0]?.kv.modRevision ?? 0
  const expected = carryOut(writer.request, state, revision)
  compare(`what the watches are told of revision ${revision}`, change, expected.events, writer, note)
  compare('the answer', writer.response, expected.response, writer, note)
}

/** Nobody was told that he made it: a call without outcome, a lease that ended. */
function checkUnclaimed(
  change: Change,
  state: State,
  unknown: Set<Operation>,
  here: readonly Operation[],
  note: (problem: string) => void,
): void {
  const revision = change[0]?.kv.modRevision ?? 0
  const text = JSON.stringify(change)
  for (const operation of unknown) {
    if (JSON.stringify(carryOut(operation.request, state, revision).events) !== text) continue
    unknown.delete(operation)
    return
  }
  const leases = new Set(change.map(({ previous }) => previous?.lease ?? '0'))
  const [lease = '0'] = leases
  const isOneLease = leases.size === 1 && lease !== '0' && change.every(({ kind }) => kind === 'delete')
  const isWhole = [...state.values()].every(
    (kv) => kv.lease !== lease || change.some((event) => event.kv.key === kv.key),
  )
  if (isOneLease && isWhole) return
  note(`nobody has made revision ${revision}: ${text}; answers that name it:\n  ${here.map(told).join('\n  ')}`)
}

function replay(state: State, change: Change, note: (problem: string) => void): void {
  for (const { kind, kv, previous } of change) {
    const before = state.get(kv.key)
    if (JSON.stringify(before) !== JSON.stringify(previous))
      note(
        `revision ${kv.modRevision}: a watch has ${JSON.stringify(previous)} before it, it was ${JSON.stringify(before)}`,
      )
    if (kind === 'delete') state.delete(kv.key)
    else state.set(kv.key, kv)
  }
}

/** A read, or a write that changed nothing. */
function checkReader(operation: Operation, state: State, note: (problem: string) => void): void {
  const { request, response } = operation
  if (response === undefined || response.kind === 'refused') return
  if (request.kind === 'compact' || request.kind === 'lease-grant' || request.kind === 'lease-revoke') return
  const expected = carryOut(request, state, response.revision)
  compare(`the state at revision ${response.revision}`, response, expected.response, operation, note)
}

function compare(
  what: string,
  actual: unknown,
  expected: unknown,
  operation: Operation,
  note: (problem: string) => void,
): void {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (is !== should) note(`${told(operation)}\n  ${what}: ${is}\n  should be ${should}`)
}

interface Effect {
  readonly events: readonly WatchEvent[]
  readonly response: Response
}

/** What the request does to the state if it makes (or reads at) that revision; the state itself stays. */
function carryOut(request: Request, state: State, revision: number): Effect {
  const later: State = new Map(state)
  return request.kind === 'txn' ? transact(request, later, revision) : single(request, later, revision)
}

function transact(request: Extract<Request, { kind: 'txn' }>, state: State, revision: number): Effect {
  const succeeded = request.compares.every(({ key, modRevision }) => (state.get(key)?.modRevision ?? 0) === modRevision)
  const effects = (succeeded ? request.success : request.failure).map((step) => single(step, state, revision))
  return {
    events: effects.flatMap(({ events }) => events),
    response: { kind: 'txn', revision, succeeded, responses: effects.map(({ response }) => response) },
  }
}

/** Changes the state. */
function single(request: Exclude<Request, { kind: 'txn' }> | TxnStep, state: State, revision: number): Effect {
  switch (request.kind) {
    case 'range': {
      const kvs = within(state, request.key, request.rangeEnd)
      return { events: [], response: { kind: 'range', revision, kvs } }
    }
    case 'put': {
      const { key, value, lease } = request
      const previous = state.get(key)
      const createRevision = previous?.createRevision ?? revision
      const kv = { key, value, createRevision, modRevision: revision, version: (previous?.version ?? 0) + 1, lease }
      state.set(key, kv)
      return { events: [{ kind: 'put', kv, previous }], response: { kind: 'put', revision, previous } }
    }
    case 'delete': {
      const previous = within(state, request.key, request.rangeEnd)
      return {
        events: previous.map((kv) => deletion(kv, state, revision)),
        response: { kind: 'delete', revision, previous },
      }
    }
    case 'lease-revoke': {
      const attached = [...state.values()].filter(({ lease }) => lease === request.lease).toSorted(byKey)
      return {
        events: attached.map((kv) => deletion(kv, state, revision)),
        response: { kind: 'lease-revoke', revision },
      }
    }
    case 'compact':
    case 'lease-grant':
      return { events: [], response: { kind: request.kind, revision } }
    default:
      return request satisfies never
  }
}

function deletion(previous: Version, state: State, revision: number): WatchEvent {
  const { key } = previous
  state.delete(key)
  const kv = { key, value: '', createRevision: 0, modRevision: revision, version: 0, lease: '0' }
  return { kind: 'delete', kv, previous }
}

function within(state: State, key: string, rangeEnd: string): readonly Version[] {
  return [...state.values()]
    .filter((kv) => (rangeEnd === '' ? kv.key === key : kv.key >= key && kv.key < rangeEnd))
    .toSorted(byKey)
}

function byKey(a: Version, b: Version): number {
  return a.key < b.key ? -1 : 1
}

function told({ client, member, callMs, returnMs, request, response }: Operation): string {
  const time = `${callMs.toFixed(1)}-${returnMs?.toFixed(1) ?? '?'} ms`
  return `${client} at ${member}, ${time}: ${JSON.stringify(request)} → ${JSON.stringify(response)}`
}
