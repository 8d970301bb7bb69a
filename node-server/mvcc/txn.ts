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
import { beginChange, deleteKeys, endChange, putKey, revisionWithin, type Change } from './change.ts'
import type { StoreError } from './errors.ts'
import type { IndexRecord } from './key-index.ts'
import { valueOf } from './key-value.ts'
import { hasLease } from './lease.ts'
import { range, refuseRevision } from './range.ts'
import { keyRange, readCurrent, readKeyValue, scanCurrent } from './read.ts'
import type { ApplyResult, OperationResult, TxnResult } from './results.ts'
import type { Store } from './store.ts'
import { assert } from '../../lib/assert.ts'
import { err, ok } from '../../lib/result.ts'

/** A txn whose compares have been decided: what will run. */
interface Plan {
  readonly succeeded: boolean
  readonly steps: readonly Step[]
}

type Step =
  | Exclude<NonNullable<RequestOp['request']>, { readonly $case: 'requestTxn' }>
  | { readonly $case: 'plan'; readonly plan: Plan }

/** The request has passed `validateTxn`. A txn of reads only may also be called on a store that is not applying. */
export function txn(store: Store, request: TxnRequest): ApplyResult {
  const plan = decide(store, request)
  const refusal = refusePlan(store, plan)
  if (refusal !== undefined) return err(refusal)
  const change = beginChange(store)
  const responses = execute(store, change, plan)
  endChange(store, change)
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

function decide(store: Store, request: TxnRequest): Plan {
  const succeeded = request.compare.every((compare) => holds(store, compare))
  const branch = succeeded ? request.success : request.failure
  const steps = branch.flatMap(({ request: operation }): readonly Step[] => {
    if (operation === undefined) return []
    return operation.$case === 'requestTxn' ? [{ $case: 'plan', plan: decide(store, operation.value) }] : [operation]
  })
  return { succeeded, steps }
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
      return refuseRevision(store, Number(step.value.revision), store.revision)
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

/** `ignore_value` and `ignore_lease` keep what the key has, so it must be there. */
export function refuseIgnored(store: Store, request: PutRequest): StoreError | undefined {
  const isKept = request.ignoreValue || request.ignoreLease
  return isKept && readCurrent(store, request.key) === undefined ? { kind: 'key-not-found' } : undefined
}

/** A key can be attached only to a lease that is there. */
export function refuseLease(store: Store, { lease }: PutRequest): StoreError | undefined {
  return lease === 0n || hasLease(store, lease) ? undefined : { kind: 'lease-not-found' }
}

function execute(store: Store, change: Change, plan: Plan): readonly OperationResult[] {
  return plan.steps.map((step): OperationResult => {
    switch (step.$case) {
      case 'requestRange': {
        const result = range(store, step.value, revisionWithin(store, change))
        assert(result.ok, 'a range that was checked before the txn wrote is not refused')
        return result.value
      }
      case 'requestPut':
        return putKey(store, change, step.value)
      case 'requestDeleteRange':
        return deleteKeys(store, change, step.value)
      case 'plan':
        return innerTxn(store, change, step.plan)
      default:
        return unreachable(step)
    }
  })
}

function innerTxn(store: Store, change: Change, plan: Plan): TxnResult {
  return { kind: 'txn', revision: undefined, succeeded: plan.succeeded, responses: execute(store, change, plan) }
}

/** A ranged compare must hold for every key there is; without any it is decided as for a missing key. */
function holds(store: Store, compare: Compare): boolean {
  const keys = keyRange(compare.key, compare.rangeEnd)
  const records: (IndexRecord | undefined)[] = []
  if (keys === undefined) records.push(readCurrent(store, compare.key))
  else for (const { record } of scanCurrent(store, keys)) records.push(record)
  if (records.length === 0) records.push(undefined)
  return records.every((record) => holdsFor(store, compare, record))
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
