/**
 * What a store does with one request after the other, written from etcd's documentation and not from our store: the measure
 * that histories are held against. States never change; each step gives a new one.
 */
import {
  covers,
  type Answer,
  type Compare,
  type KeyValue,
  type PutRequest,
  type RangeRequest,
  type Refusal,
  type Request,
  type TxnOperation,
} from './operation.ts'

/** One event of a revision. `before` is what the key was at the revision before, also when a txn changes it twice. */
export interface Change {
  readonly key: string
  readonly before: KeyValue | undefined
  /** Undefined: deleted. */
  readonly after: KeyValue | undefined
}

export interface State {
  readonly revision: number
  /** Reads below it are refused; 0 before the first compaction. */
  readonly compacted: number
  readonly keys: ReadonlyMap<string, KeyValue>
  /** Leases there are, with their time to live in seconds. */
  readonly leases: ReadonlyMap<string, number>
  /** What this revision changed, in the order of the operations; a delete and a revoke in that of the keys. */
  readonly changes: readonly Change[]
}

export const EMPTY: State = { revision: 1, compacted: 0, keys: new Map(), leases: new Map(), changes: [] }

export type Step =
  | { readonly kind: 'done'; readonly state: State; readonly answer: Answer }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/** State at an earlier revision, for reads in the past. */
export type Past = (revision: number) => State | undefined

export function step(state: State, request: Request, past: Past): Step {
  switch (request.kind) {
    case 'range':
    case 'put':
    case 'delete':
    case 'txn':
      return stepTxn(state, request, past)
    case 'compact':
      if (request.revision <= state.compacted) return { kind: 'refused', refusal: 'compacted' }
      if (request.revision > state.revision) return { kind: 'refused', refusal: 'future-revision' }
      return done({ ...state, compacted: request.revision })
    case 'grant': {
      if (state.leases.has(request.id)) return { kind: 'refused', refusal: 'lease-exists' }
      return done({ ...state, leases: new Map(state.leases).set(request.id, request.ttlSeconds) })
    }
    case 'revoke':
      return revoke(state, request.id)
    case 'renew':
      return state.leases.has(request.id) ? done(state) : { kind: 'refused', refusal: 'lease-not-found' }
    default:
      return request satisfies never
  }
}

function done(state: State): Step {
  return { kind: 'done', state, answer: { revision: state.revision } }
}

/** The keys of a lease go with it, in one revision. */
function revoke(state: State, id: string): Step {
  if (!state.leases.has(id)) return { kind: 'refused', refusal: 'lease-not-found' }
  const leases = new Map(state.leases)
  leases.delete(id)
  const attached = [...state.keys.values()].filter(({ lease }) => lease === id).toSorted(byKey)
  if (attached.length === 0) return done({ ...state, leases })
  const keys = new Map(state.keys)
  for (const { key } of attached) keys.delete(key)
  const changes = attached.map((before) => ({ key: before.key, before, after: undefined }))
  return done({ ...state, leases, keys, changes, revision: state.revision + 1 })
}

/** Changes of one txn: they share a revision, and each sees those before it. */
interface Draft {
  readonly before: State
  keys: Map<string, KeyValue> | undefined
  readonly changes: Change[]
  refusal: Refusal | undefined
}

function stepTxn(before: State, request: TxnOperation, past: Past): Step {
  const draft: Draft = { before, keys: undefined, changes: [], refusal: undefined }
  const answer = perform(draft, request, past)
  if (draft.refusal !== undefined) return { kind: 'refused', refusal: draft.refusal }
  if (draft.keys === undefined) return { kind: 'done', state: before, answer: { ...answer, revision: before.revision } }
  const revision = before.revision + 1
  const { keys, changes } = draft
  return { kind: 'done', state: { ...before, keys, changes, revision }, answer: { ...answer, revision } }
}

function perform(draft: Draft, request: TxnOperation, past: Past): Answer {
  switch (request.kind) {
    case 'range':
      return rangeAnswer(keysToRead(draft, request, past), request)
    case 'put':
      return put(draft, request)
    case 'delete': {
      const gone = selected(draft.keys ?? draft.before.keys, request.key, request.rangeEnd)
      if (gone.length > 0) {
        draft.keys ??= new Map(draft.before.keys)
        for (const { key } of gone) {
          draft.keys.delete(key)
          draft.changes.push({ key, before: draft.before.keys.get(key), after: undefined })
        }
      }
      return { deleted: gone.length, ...(request.prevKv ? { prevKvs: gone } : {}) }
    }
    case 'txn': {
      const succeeded = request.compares.every((compare) => holds(draft.before, compare))
      const operations = succeeded ? request.success : request.failure
      return { succeeded, responses: operations.map((operation) => perform(draft, operation, past)) }
    }
    default:
      return request satisfies never
  }
}

/** A revision that is named is read as it was before the txn, whatever the txn has changed so far. */
function keysToRead(draft: Draft, { revision }: RangeRequest, past: Past): State['keys'] {
  const { before } = draft
  if (revision <= 0) return draft.keys ?? before.keys
  if (revision === before.revision) return before.keys
  if (revision > before.revision) draft.refusal ??= 'future-revision'
  else if (revision < before.compacted) draft.refusal ??= 'compacted'
  return past(revision)?.keys ?? EMPTY.keys
}

/** What a range tells of these keys. */
export function rangeAnswer(
  keys: State['keys'],
  { key, rangeEnd, limit = 0, countOnly = false }: RangeRequest,
): Answer {
  const found = selected(keys, key, rangeEnd)
  const kvs = countOnly ? [] : limit > 0 ? found.slice(0, limit) : found
  return { kvs, count: found.length }
}

const byKey = (a: KeyValue, b: KeyValue): number => (a.key < b.key ? -1 : 1)

function selected(keys: ReadonlyMap<string, KeyValue>, key: string, rangeEnd: string): readonly KeyValue[] {
  if (rangeEnd === '') {
    const one = keys.get(key)
    return one === undefined ? [] : [one]
  }
  const found = [...keys.values()].filter((kv) => covers(key, rangeEnd, kv.key))
  return found.toSorted(byKey)
}

function put(draft: Draft, request: PutRequest): Answer {
  const { before } = draft
  const { key, prevKv, ignoreValue = false, ignoreLease = false } = request
  if (request.lease !== '0' && !before.leases.has(request.lease)) draft.refusal ??= 'lease-not-found'
  // Like the compares, and unlike what a range reads: asked before the txn begins.
  if ((ignoreValue || ignoreLease) && !before.keys.has(key)) draft.refusal ??= 'key-not-found'
  draft.keys ??= new Map(before.keys)
  const old = draft.keys.get(key)
  const modRevision = before.revision + 1
  const after = {
    key,
    value: ignoreValue ? (old?.value ?? '') : request.value,
    createRevision: old?.createRevision ?? modRevision,
    modRevision,
    version: (old?.version ?? 0) + 1,
    lease: ignoreLease ? (old?.lease ?? '0') : request.lease,
  }
  draft.keys.set(key, after)
  draft.changes.push({ key, before: before.keys.get(key), after })
  return prevKv && old !== undefined ? { prevKvs: [old] } : {}
}

/** All compares, inner ones too, look at the state before the txn. */
function holds({ keys }: State, compare: Compare): boolean {
  const { key, rangeEnd = '' } = compare
  const found = selected(keys, key, rangeEnd)
  return found.length === 0 ? holdsFor(undefined, compare) : found.every((kv) => holdsFor(kv, compare))
}

function holdsFor(kv: KeyValue | undefined, { target, result, operand }: Compare): boolean {
  // A key that is not there has no value to compare; its numbers are 0.
  if (target === 'value' && kv === undefined) return false
  const actual = {
    version: kv?.version ?? 0,
    create: kv?.createRevision ?? 0,
    mod: kv?.modRevision ?? 0,
    value: kv?.value ?? '',
    lease: BigInt(kv?.lease ?? '0'),
  }[target]
  const expected = target === 'lease' ? BigInt(operand) : operand
  switch (result) {
    case '=':
      return actual === expected
    case '!=':
      return actual !== expected
    case '<':
      return actual < expected
    case '>':
      return actual > expected
    default:
      return result satisfies never
  }
}

/** Whether the store may have told this: every part that the client was told is as in the model. */
export function agrees(told: Answer, expected: Answer): boolean {
  if (told.revision !== undefined && told.revision !== expected.revision) return false
  if (told.count !== undefined && told.count !== expected.count) return false
  if (told.deleted !== undefined && told.deleted !== expected.deleted) return false
  if (told.succeeded !== undefined && told.succeeded !== expected.succeeded) return false
  if (told.kvs !== undefined && !areSame(told.kvs, expected.kvs ?? [])) return false
  if (told.prevKvs !== undefined && !areSame(told.prevKvs, expected.prevKvs ?? [])) return false
  if (told.responses === undefined) return true
  const responses = expected.responses ?? []
  return (
    told.responses.length === responses.length &&
    told.responses.every((response, i) => agrees(response, responses[i] ?? {}))
  )
}

export function areSame(told: readonly KeyValue[], expected: readonly KeyValue[]): boolean {
  return (
    told.length === expected.length &&
    told.every((kv, i) => {
      const other = expected[i]
      return (
        other !== undefined &&
        kv.key === other.key &&
        kv.value === other.value &&
        kv.modRevision === other.modRevision &&
        kv.createRevision === other.createRevision &&
        kv.version === other.version &&
        kv.lease === other.lease
      )
    })
  )
}
