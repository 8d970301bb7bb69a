/**
 * What clients of an etcd-v3 store asked and were told, with the instants, as plain data. Keys and values are strings of
 * one character a byte, IDs of leases decimal strings, so that a history is JSON.
 */

export interface KeyValue {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  /** '0' for none. */
  readonly lease: string
}

export interface RangeRequest {
  readonly kind: 'range'
  readonly key: string
  /** Empty for the one key; a zero byte for everything from `key` on, as in etcd. */
  readonly rangeEnd: string
  /** 0 for the newest. */
  readonly revision: number
  /** Answered by the member alone, from what it has. */
  readonly serializable: boolean
  /** At most so many key-values are told; the count is of all. Absent or 0 for no limit. */
  readonly limit?: number
  readonly countOnly?: boolean
}

export interface PutRequest {
  readonly kind: 'put'
  readonly key: string
  readonly value: string
  readonly lease: string
  readonly prevKv: boolean
  /** Keeps the value that the key has; refused as `key-not-found` when there is none. */
  readonly ignoreValue?: boolean
  /** Keeps the lease that the key has, likewise. */
  readonly ignoreLease?: boolean
}

export interface DeleteRequest {
  readonly kind: 'delete'
  readonly key: string
  readonly rangeEnd: string
  readonly prevKv: boolean
}

export interface Compare {
  readonly key: string
  /** Must hold for every key there is from `key` on and below it; absent or empty for the one key. */
  readonly rangeEnd?: string
  readonly target: 'version' | 'create' | 'mod' | 'value' | 'lease'
  readonly result: '=' | '!=' | '<' | '>'
  /** A number for the first three targets. */
  readonly operand: number | string
}

export interface TxnRequest {
  readonly kind: 'txn'
  readonly compares: readonly Compare[]
  readonly success: readonly TxnOperation[]
  readonly failure: readonly TxnOperation[]
}

export type TxnOperation = RangeRequest | PutRequest | DeleteRequest | TxnRequest

export type Request =
  | TxnOperation
  | { readonly kind: 'compact'; readonly revision: number }
  | { readonly kind: 'grant'; readonly id: string; readonly ttlSeconds: number }
  | { readonly kind: 'revoke'; readonly id: string }
  /** A keep-alive or a question for the time to live that was answered: the lease was there. */
  | { readonly kind: 'renew'; readonly id: string; readonly ttlSeconds: number }

/** The part of an answer that tells of the state; `revision` is that of the header, and absent inside of a txn. */
export interface Answer {
  readonly revision?: number
  readonly kvs?: readonly KeyValue[]
  readonly count?: number
  readonly prevKvs?: readonly KeyValue[]
  readonly deleted?: number
  readonly succeeded?: boolean
  readonly responses?: readonly Answer[]
}

/** What has surely not been carried out, and why. `refused`: for a reason that does not depend on the state. */
export type Refusal = 'compacted' | 'future-revision' | 'lease-not-found' | 'lease-exists' | 'key-not-found' | 'refused'

/** `unknown`: a time-out, a lost connection, a change of leader: it may have been carried out, once, at any time since. */
export type Outcome =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'refusal'; readonly refusal: Refusal }
  | { readonly kind: 'unknown' }

export interface Operation {
  readonly client: number
  readonly member: string
  /** Instants of one clock, in milliseconds. */
  readonly call: number
  readonly return: number
  readonly request: Request
  readonly outcome: Outcome
}

export function covers(key: string, rangeEnd: string, other: string): boolean {
  if (rangeEnd === '') return other === key
  return other >= key && (rangeEnd === '\0' || other < rangeEnd)
}

/** Whether what it does, or whether it is refused, may depend on this lease being there. */
export function namesLease(request: Request, id: string): boolean {
  switch (request.kind) {
    case 'put':
      return request.lease === id
    case 'txn':
      return [...request.success, ...request.failure].some((operation) => namesLease(operation, id))
    case 'grant':
    case 'revoke':
    case 'renew':
      return request.id === id
    case 'range':
    case 'delete':
    case 'compact':
      return false
    default:
      return request satisfies never
  }
}
