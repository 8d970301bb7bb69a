/** Steps as the requests that etcd knows. */
import { unreachable } from '../../../lib/assert.ts'
import type {
  Compare,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
  WatchCreateRequest,
} from '../../../node-server/proto/generated/etcd/rpc.ts'
import { Compare_CompareTarget as Target } from '../../../node-server/proto/generated/etcd/rpc.ts'
import type { Part } from '../methods.ts'
import type { CompareSpec, Operation, PutStep, RangeStep, RevisionRef, TxnStep, WatchStep } from './steps.ts'

/** Revisions as etcd named them before the step. */
export interface Now {
  readonly start: bigint
  readonly current: bigint
  readonly compacted: bigint
}

export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

export function resolve({ from, plus }: RevisionRef, now: Now): bigint {
  return (from === 'zero' ? 0n : now[from]) + BigInt(plus)
}

export function rangePart(step: RangeStep, now: Now): Part<RangeRequest> {
  return {
    key: bytes(step.key),
    rangeEnd: bytes(step.end),
    limit: BigInt(step.limit),
    revision: resolve(step.revision, now),
    sortOrder: step.sortOrder,
    sortTarget: step.sortTarget,
    serializable: step.serializable,
    keysOnly: step.keysOnly,
    countOnly: step.countOnly,
    minModRevision: resolve(step.minMod, now),
    maxModRevision: resolve(step.maxMod, now),
    minCreateRevision: resolve(step.minCreate, now),
    maxCreateRevision: resolve(step.maxCreate, now),
  }
}

export function putPart({ key, value, lease, prevKv, ignoreValue, ignoreLease }: PutStep): Part<PutRequest> {
  return { key: bytes(key), value: bytes(value), lease: BigInt(lease), prevKv, ignoreValue, ignoreLease }
}

export function txnPart(step: TxnStep, now: Now): Part<TxnRequest> {
  return {
    compare: step.compare.map((spec) => comparePart(spec, now)),
    success: step.success.map((operation) => operationPart(operation, now)),
    failure: step.failure.map((operation) => operationPart(operation, now)),
  }
}

function operationPart(operation: Operation, now: Now): Part<RequestOp> {
  switch (operation.kind) {
    case 'put':
      return { request: { $case: 'requestPut', value: putPart(operation) } }
    case 'delete': {
      const { key, end, prevKv } = operation
      return { request: { $case: 'requestDeleteRange', value: { key: bytes(key), rangeEnd: bytes(end), prevKv } } }
    }
    case 'range':
    case 'rangeStream':
      return { request: { $case: 'requestRange', value: rangePart(operation, now) } }
    case 'txn':
      return { request: { $case: 'requestTxn', value: txnPart(operation, now) } }
    case 'nothing':
      return {}
    default:
      return unreachable(operation)
  }
}

const TARGETS: Readonly<Record<CompareSpec['target'], Compare['target']>> = {
  version: Target.VERSION,
  createRevision: Target.CREATE,
  modRevision: Target.MOD,
  value: Target.VALUE,
  lease: Target.LEASE,
}

function comparePart({ key, end, result, target, revision, value, count }: CompareSpec, now: Now): Part<Compare> {
  const against = {
    version: BigInt(count),
    createRevision: resolve(revision, now),
    modRevision: resolve(revision, now),
    lease: BigInt(count),
  }
  const targetUnion =
    target === 'value'
      ? ({ $case: 'value', value: bytes(value) } as const)
      : ({ $case: target, value: against[target] } as const)
  return { key: bytes(key), rangeEnd: bytes(end), result, target: TARGETS[target], targetUnion }
}

/** Without the revision to start at. */
export function watchPart(step: WatchStep): Part<WatchCreateRequest> {
  return {
    key: bytes(step.key),
    rangeEnd: bytes(step.end),
    watchId: BigInt(step.watchId),
    prevKv: step.prevKv,
    filters: [...step.filters],
    fragment: step.fragment,
  }
}
