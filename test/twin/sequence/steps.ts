/**
 * Steps of a generated sequence as plain data. Revisions are said relative to what is known when the step runs, so that a
 * sequence means the same on servers that have seen other runs before.
 */
import type {
  Compare_CompareResult as CompareResult,
  RangeRequest_SortOrder as SortOrder,
  RangeRequest_SortTarget as SortTarget,
  WatchCreateRequest_FilterType as FilterType,
} from '../../../node-server/proto/generated/etcd/rpc.ts'

export type RevisionRef = { readonly from: 'zero' | 'current' | 'compacted' | 'start'; readonly plus: number }

/** Where a key stands alone, `end` is empty. */
export interface Keys {
  readonly key: string
  readonly end: string
}

export interface RangeStep extends Keys {
  readonly kind: 'range' | 'rangeStream'
  readonly limit: number
  readonly revision: RevisionRef
  readonly sortOrder: SortOrder
  readonly sortTarget: SortTarget
  readonly serializable: boolean
  readonly keysOnly: boolean
  readonly countOnly: boolean
  readonly minMod: RevisionRef
  readonly maxMod: RevisionRef
  readonly minCreate: RevisionRef
  readonly maxCreate: RevisionRef
}

export interface PutStep {
  readonly kind: 'put'
  readonly key: string
  readonly value: string
  readonly lease: number
  readonly prevKv: boolean
  readonly ignoreValue: boolean
  readonly ignoreLease: boolean
}

export interface DeleteStep extends Keys {
  readonly kind: 'delete'
  readonly prevKv: boolean
}

export interface CompareSpec extends Keys {
  readonly result: CompareResult
  readonly target: 'version' | 'createRevision' | 'modRevision' | 'value' | 'lease'
  readonly revision: RevisionRef
  readonly value: string
  readonly count: number
}

export interface TxnStep {
  readonly kind: 'txn'
  readonly compare: readonly CompareSpec[]
  readonly success: readonly Operation[]
  readonly failure: readonly Operation[]
}

export type Operation = PutStep | DeleteStep | RangeStep | TxnStep | { readonly kind: 'nothing' }

export interface WatchStep extends Keys {
  readonly kind: 'watch'
  readonly stream: number
  readonly start: RevisionRef
  readonly watchId: number
  readonly prevKv: boolean
  readonly filters: readonly FilterType[]
  readonly fragment: boolean
}

export type Step =
  | PutStep
  | DeleteStep
  | RangeStep
  | TxnStep
  | WatchStep
  | { readonly kind: 'compact'; readonly revision: RevisionRef; readonly physical: boolean }
  | { readonly kind: 'grant'; readonly lease: number; readonly ttl: number }
  | { readonly kind: 'revoke'; readonly lease: number }
  | { readonly kind: 'timeToLive'; readonly lease: number; readonly keys: boolean }
  | { readonly kind: 'keepAlive'; readonly lease: number }
  | { readonly kind: 'leases' }
  | { readonly kind: 'cancel'; readonly stream: number; readonly watchId: number }
