/**
 * etcd's Txn: compares, inner ones too, look at the state before the txn; the chosen operations are checked against that
 * state as well, so that a txn which starts to write also ends; then they run in order and see what came before them.
 */
import { unreachable } from '../../lib/assert.ts'
import { compareBytes, EMPTY_BYTES } from '../../lib/bytes.ts'
import {
  Compare_CompareResult as Outcome,
  Compare_CompareTarget as Target,
  type Compare,
  type PutRequest,
  type RequestOp,
  type TxnRequest,
} from '../proto/generated/etcd/rpc.ts'
import {
  beginChange,
  beginLongChange,
  deleteOne,
  deleteRange,
  endChange,
  putKey,
  revisionWithin,
  type Change,
} from './change.ts'
import type { StoreError } from './errors.ts'
import type { IndexRecord } from './key-index.ts'
import { valueOf } from './key-value.ts'
import { hasLease } from './lease.ts'
import type { Pace, Slices } from './pace.ts'
import { rangeWithin, refuseRevision } from './range.ts'
import { keyRange, readCurrent, readKeyValue, type KeyRange } from './read.ts'
import type { ApplyResult, OperationResult } from './results.ts'
import { sliceCurrent } from './slices.ts'
import type { Store } from './store.ts'
import { err, ok } from '../../lib/result.ts'

/** A txn whose compares have been decided: what will run. */
interface Plan {
  readonly succeeded: boolean
  readonly steps: readonly Step[]
}

type Step =
  | Exclude<NonNullable<RequestOp['request']>, { readonly $case: 'requestTxn' }>
  | { readonly $case: 'plan'; readonly plan: Plan }

/**
 * The request has passed `validateTxn`. A txn of reads only may also be called on a store that is not applying, and must
 * then be driven to its end at once.
 */
export function* txn(store: Store, request: TxnRequest, pace: Pace): Slices<ApplyResult> {
  const plan = yield* decide(store, request, pace)
  const refusal = refusePlan(store, plan)
  if (refusal !== undefined) return err(refusal)
  const change = isLong(plan) ? beginLongChange(store) : beginChange(store)
  const responses = yield* execute(store, change, plan, pace)
  endChange(store, change)
  if (countOperations(plan) > 1) store.operations.txns++
  return ok({ kind: 'txn', revision: store.revision, succeeded: plan.succeeded, responses })
}

/** Whether it can be answered without the log, like a Range. */
export function isReadOnlyTxn(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].every(
    ({ request: operation }) =>
      operation === undefined ||
      operation.$case === 'requestRange' ||
      (operation.$case === 'requestTxn' && isReadOnlyTxn(operation.value)),
  )
}

function* decide(store: Store, request: TxnRequest, pace: Pace): Slices<Plan> {
  let succeeded = true
  for (const compare of request.compare) {
    const keys = keyRange(compare.key, compare.rangeEnd)
    succeeded &&=
      keys === undefined
        ? holdsFor(store, compare, readCurrent(store, compare.key))
        : yield* holdsForAll(store, compare, keys, pace)
  }
  const steps: Step[] = []
  for (const { request: operation } of succeeded ? request.success : request.failure) {
    if (operation?.$case === 'requestTxn')
      steps.push({ $case: 'plan', plan: yield* decide(store, operation.value, pace) })
    else if (operation !== undefined) steps.push(operation)
  }
  return { succeeded, steps }
}

/** Whether it changes something and may take more than a slice. */
function isLong(plan: Plan): boolean {
  return hasStep(plan, isRanged) && hasStep(plan, ({ $case }) => $case !== 'requestRange')
}

type Operation = Exclude<Step, { readonly $case: 'plan' }>

function hasStep({ steps }: Plan, isMeant: (operation: Operation) => boolean): boolean {
  return steps.some((step) => (step.$case === 'plan' ? hasStep(step.plan, isMeant) : isMeant(step)))
}

function countOperations({ steps }: Plan): number {
  let count = 0
  for (const step of steps) count += step.$case === 'plan' ? countOperations(step.plan) : 1
  return count
}

function isRanged(operation: Operation): boolean {
  return operation.$case !== 'requestPut' && operation.value.rangeEnd.length > 0
}

function refusePlan(store: Store, plan: Plan): StoreError | undefined {
  for (const step of plan.steps) {
    const refusal = refuseStep(store, step)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

function refuseStep(store: Store, step: Step): StoreError | undefined {
  switch (step.$case) {
    case 'requestRange':
      return refuseRangeRevision(store, Number(step.value.revision))
    case 'requestPut':
      return refuseLease(store, step.value) ?? refuseIgnored(store, step.value)
    case 'requestDeleteRange':
      return undefined
    case 'plan':
      return refusePlan(store, step.plan)
    default:
      return unreachable(step)
  }
}

/** Stricter than of a Range by itself: a negative revision does not mean the current one once something was compacted. */
function refuseRangeRevision(store: Store, revision: number): StoreError | undefined {
  if (revision !== 0 && revision < store.compactedRevision)
    return { kind: 'compacted', revision: store.compactedRevision }
  return refuseRevision(store, revision, store.revision)
}

/** `ignore_value` and `ignore_lease` keep what the key has, so it must be there. */
export function refuseIgnored(store: Store, request: PutRequest): StoreError | undefined {
  const isKept = request.ignoreValue || request.ignoreLease
  return isKept && readCurrent(store, request.key) === undefined ? { kind: 'key-not-found' } : undefined
}

/** A key can be attached only to a lease that is there. */
export function refuseLease(store: Store, { lease }: PutRequest): StoreError | undefined {
  return lease === 0n || hasLease(store, lease) ? undefined : { kind: 'lease-not-found' }
}

function* execute(store: Store, change: Change, plan: Plan, pace: Pace): Slices<readonly OperationResult[]> {
  const responses: OperationResult[] = []
  for (const step of plan.steps)
    responses.push(
      step.$case === 'requestPut' ? putKey(store, change, step.value) : yield* executeStep(store, change, step, pace),
    )
  return responses
}

type OtherStep = Exclude<Step, { readonly $case: 'requestPut' }>

function* executeStep(store: Store, change: Change, step: OtherStep, pace: Pace): Slices<OperationResult> {
  switch (step.$case) {
    case 'requestRange':
      return yield* rangeWithin(store, step.value, revisionWithin(store, change))
    case 'requestDeleteRange': {
      const keys = keyRange(step.value.key, step.value.rangeEnd)
      if (keys === undefined) return deleteOne(store, change, step.value)
      return yield* deleteRange(store, change, keys, step.value.prevKv, pace)
    }
    case 'plan': {
      const responses = yield* execute(store, change, step.plan, pace)
      return { kind: 'txn', revision: undefined, succeeded: step.plan.succeeded, responses }
    }
    default:
      return unreachable(step)
  }
}

/** A ranged compare must hold for every key there is; without any it is decided as for a missing key. */
function* holdsForAll(store: Store, compare: Compare, keys: KeyRange, pace: Pace): Slices<boolean> {
  let hasKeys = false
  for (let next: Uint8Array | undefined = keys.start; next !== undefined;) {
    const slice = sliceCurrent(store, { start: next, end: keys.end }, pace.rowsLeft)
    for (const { record } of slice.found) if (!holdsFor(store, compare, record)) return false
    hasKeys ||= slice.found.length > 0
    next = slice.next
    if (pace.spend(slice.rows)) yield
  }
  return hasKeys || holdsFor(store, compare, undefined)
}

function holdsFor(store: Store, compare: Compare, record: IndexRecord | undefined): boolean {
  if (record === undefined && compare.target === Target.VALUE) return false // a missing value is not an empty one
  const order = compareTarget(store, compare, record)
  switch (compare.result) {
    case Outcome.EQUAL:
      return order === 0
    case Outcome.NOT_EQUAL:
      return order !== 0
    case Outcome.GREATER:
      return order > 0
    case Outcome.LESS:
      return order < 0
    default:
      return true // an outcome of a newer protocol: etcd lets it pass
  }
}

function compareTarget(store: Store, { target, targetUnion }: Compare, record: IndexRecord | undefined): number {
  const against = (actual: number | bigint, name: NonNullable<Compare['targetUnion']>['$case']): number => {
    const wanted = targetUnion?.$case === name && typeof targetUnion.value === 'bigint' ? targetUnion.value : 0n
    return actual < wanted ? -1 : actual > wanted ? 1 : 0
  }
  switch (target) {
    case Target.VALUE: {
      const actual = record === undefined ? EMPTY_BYTES : valueOf(readKeyValue(store, record))
      return compareBytes(actual, targetUnion?.$case === 'value' ? targetUnion.value : EMPTY_BYTES)
    }
    case Target.VERSION:
      return against(record?.version ?? 0, 'version')
    case Target.CREATE:
      return against(record?.createRevision ?? 0, 'createRevision')
    case Target.MOD:
      return against(record?.modRevision ?? 0, 'modRevision')
    case Target.LEASE:
      return against(record?.lease ?? 0n, 'lease')
    default:
      return 0 // a target of a newer protocol
  }
}
