/**
 * What a store does with one request after the other, written from etcd's documentation and not from our store: the measure
 * that histories are held against. States never change; each step gives a new one.
 */
import {
  covers,
  type Answer,
  type Compare,
  type KeyValue,
  type Refusal,
  type Request,
  type TxnOperation,
} from './operation.ts'

export interface State {
  readonly revision: number
  /** Reads below it are refused; 0 before the first compaction. */
  readonly compacted: number
  readonly keys: ReadonlyMap<string, KeyValue>
  /** Leases there are, with their time to live in seconds. */
  readonly leases: ReadonlyMap<string, number>
}

export const EMPTY: State = { revision: 1, compacted: 0, keys: new Map(), leases: new Map() }

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
  const attached = [...state.keys.values()].filter(({ lease }) => lease === id)
  if (attached.length === 0) return done({ ...state, leases })
  const keys = new Map(state.keys)
  for (const { key } of attached) keys.delete(key)
  return done({ ...state, leases, keys, revision: state.revision + 1 })
}

/** Changes of one txn: they share a revision, and each sees those before it. */
interface Draft {
  readonly before: State
  keys: Map<string, KeyValue> | undefined
  refusal: Refusal | undefined
}

function stepTxn(before: State, request: TxnOperation, past: Past): Step {
  const draft: Draft = { before, keys: undefined, refusal: undefined }
  const answer = perform(draft, request, past)
  if (draft.refusal !== undefined) return { kind: 'refused', refusal: draft.refusal }
  if (draft.keys === undefined) return { kind: 'done', state: before, answer: { ...answer, revision: before.revision } }
  const revision = before.revision + 1
  return { kind: 'done', state: { ...before, keys: draft.keys, revision }, answer: { ...answer, revision } }
}

function perform(draft: Draft, request: TxnOperation, past: Past): Answer {
  switch (request.kind) {
    case 'range': {
      const kvs = inRange(draft, request, past)
      return { kvs, count: kvs.length }
    }
    case 'put':
      return put(draft, request)
    case 'delete': {
      const gone = selected(draft.keys ?? draft.before.keys, request.key, request.rangeEnd)
      if (gone.length > 0) {
        draft.keys ??= new Map(draft.before.keys)
        for (const { key } of gone) draft.keys.delete(key)
      }
      return { deleted: gone.length, ...(request.prevKv ? { prevKvs: gone } : {}) }
    }
    case 'txn': {
      const succeeded = request.compares.every((compare) => holds(draft, compare))
      const operations = succeeded ? request.success : request.failure
      return { succeeded, responses: operations.map((operation) => perform(draft, operation, past)) }
    }
    default:
      return request satisfies never
  }
}

function inRange(draft: Draft, request: Extract<Request, { kind: 'range' }>, past: Past): readonly KeyValue[] {
  const { before } = draft
  const { key, rangeEnd, revision } = request
  if (revision <= 0 || revision === before.revision) return selected(draft.keys ?? before.keys, key, rangeEnd)
  if (revision > before.revision) draft.refusal ??= 'future-revision'
  else if (revision < before.compacted) draft.refusal ??= 'compacted'
  const then = past(revision)
  return then === undefined ? [] : selected(then.keys, key, rangeEnd)
}

function selected(keys: ReadonlyMap<string, KeyValue>, key: string, rangeEnd: string): readonly KeyValue[] {
  if (rangeEnd === '') {
    const one = keys.get(key)
    return one === undefined ? [] : [one]
  }
  const found = [...keys.values()].filter((kv) => covers(key, rangeEnd, kv.key))
  return found.toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

function put(draft: Draft, { key, value, lease, prevKv }: Extract<Request, { kind: 'put' }>): Answer {
  const { before } = draft
  if (lease !== '0' && !before.leases.has(lease)) draft.refusal ??= 'lease-not-found'
  draft.keys ??= new Map(before.keys)
  const old = draft.keys.get(key)
  const modRevision = before.revision + 1
  const createRevision = old?.createRevision ?? modRevision
  draft.keys.set(key, { key, value, createRevision, modRevision, version: (old?.version ?? 0) + 1, lease })
  return prevKv && old !== undefined ? { prevKvs: [old] } : {}
}

function holds({ before, keys }: Draft, { key, target, result, operand }: Compare): boolean {
  const kv = (keys ?? before.keys).get(key)
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
