/**
 * What a request must be whatever the state of the store. The API calls these before it proposes, to answer quickly; apply
 * calls them again, because what is in the log is executed by every member and must be refused by all alike. Order and
 * kind of the refusals are etcd's.
 */
import { err, ok, type Result } from '../../lib/result.ts'
import {
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as Target,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from '../proto/generated/etcd/rpc.ts'
import { textOfBytes } from './byte-text.ts'
import type { StoreError } from './errors.ts'

/** For apply: the limit is a flag of each member, so only the API may check it. */
export const ANY_NUMBER_OF_OPERATIONS = Infinity

export function validateRange(request: RangeRequest): StoreError | undefined {
  if (request.key.length === 0) return { kind: 'empty-key' }
  const isOrder = request.sortOrder >= Order.NONE && request.sortOrder <= Order.DESCEND
  const isTarget = request.sortTarget >= Target.KEY && request.sortTarget <= Target.VALUE
  return isOrder && isTarget ? undefined : { kind: 'invalid-sort-option' }
}

export function validatePut(request: PutRequest): StoreError | undefined {
  if (request.key.length === 0) return { kind: 'empty-key' }
  if (request.ignoreValue && request.value.length > 0) return { kind: 'value-provided' }
  return request.ignoreLease && request.lease !== 0n ? { kind: 'lease-provided' } : undefined
}

export function validateDeleteRange(request: DeleteRangeRequest): StoreError | undefined {
  return request.key.length === 0 ? { kind: 'empty-key' } : undefined
}

/** `maxOperations` bounds the longest of compare, success and failure; an inner txn gets what its outer one left. */
export function validateTxn(request: TxnRequest, maxOperations: number): StoreError | undefined {
  const problem = validateOperations(request, maxOperations)
  if (problem !== undefined) return problem
  for (const branch of [request.success, request.failure]) {
    const touched = collectTouched(branch)
    if (!touched.ok) return touched.error
  }
  return undefined
}

function validateOperations(request: TxnRequest, maxOperations: number): StoreError | undefined {
  const operations = Math.max(request.compare.length, request.success.length, request.failure.length)
  if (operations > maxOperations) return { kind: 'too-many-operations' }
  if (request.compare.some((compare) => compare.key.length === 0)) return { kind: 'empty-key' }
  for (const branch of [request.success, request.failure]) {
    for (const operation of branch) {
      const problem = validateOperation(operation, maxOperations - operations)
      if (problem !== undefined) return problem
    }
  }
  return undefined
}

function validateOperation({ request }: RequestOp, maxOperations: number): StoreError | undefined {
  switch (request?.$case) {
    case 'requestRange':
      return validateRange(request.value)
    case 'requestPut':
      return validatePut(request.value)
    case 'requestDeleteRange':
      return validateDeleteRange(request.value)
    case 'requestTxn':
      return validateOperations(request.value, maxOperations)
    default:
      return { kind: 'key-not-found' }
  }
}

/** Keys from `start` on and below `end`. */
interface DeletedRange {
  readonly start: string
  readonly end: string
}

interface Touched {
  readonly puts: ReadonlySet<string>
  readonly deletes: readonly DeletedRange[]
}

const DUPLICATE: Result<never, StoreError> = err({ kind: 'duplicate-key' })

/**
 * Keys that a branch may put and ranges that it may delete; an error when it could put a key twice or put what it also
 * deletes. Only one of an inner txn's branches runs, so those two may put the same key, or put what the other deletes.
 * As in etcd a delete in an inner txn is not held against the puts of the inner txns before it.
 */
function collectTouched(branch: readonly RequestOp[]): Result<Touched, StoreError> {
  const puts = new Set<string>()
  const deletes = branch.flatMap(({ request }) =>
    request?.$case === 'requestDeleteRange' ? [deletedRange(request.value)] : [],
  )
  const isTouched = (key: string): boolean => puts.has(key) || isDeleted(deletes, key)
  for (const { request } of branch) {
    if (request?.$case !== 'requestTxn') continue
    const success = collectTouched(request.value.success)
    if (!success.ok) return success
    const failure = collectTouched(request.value.failure)
    if (!failure.ok) return failure
    const innerPuts = success.value.puts.union(failure.value.puts)
    for (const key of innerPuts) if (isTouched(key)) return DUPLICATE
    for (const key of innerPuts) puts.add(key)
    for (const range of success.value.deletes) deletes.push(range)
    for (const range of failure.value.deletes) deletes.push(range)
  }
  for (const { request } of branch) {
    if (request?.$case !== 'requestPut') continue
    const key = textOfBytes(request.value.key)
    if (isTouched(key)) return DUPLICATE
    puts.add(key)
  }
  return ok({ puts, deletes })
}

/** etcd takes the zero byte that means "and all above" for an end like any other here, so such a delete is of nothing. */
function deletedRange({ key, rangeEnd }: DeleteRangeRequest): DeletedRange {
  const start = textOfBytes(key)
  return { start, end: rangeEnd.length === 0 ? `${start}\0` : textOfBytes(rangeEnd) }
}

function isDeleted(deletes: readonly DeletedRange[], key: string): boolean {
  return deletes.some(({ start, end }) => start <= key && key < end)
}
