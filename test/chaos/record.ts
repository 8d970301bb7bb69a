/**
 * What clients asked and were told. Instants are milliseconds of one steady clock, that of the process in which all the
 * clients run: an interval may be longer than the call took, never shorter.
 */
export interface Version {
  readonly key: string
  readonly value: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  /** '0': none. */
  readonly lease: string
}

export type Request =
  | { readonly kind: 'range'; readonly key: string; readonly rangeEnd: string; readonly isSerializable: boolean }
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease: string }
  | { readonly kind: 'delete'; readonly key: string; readonly rangeEnd: string }
  | {
      readonly kind: 'txn'
      /** All on the mod revision; 0: the key is not there. */
      readonly compares: readonly { readonly key: string; readonly modRevision: number }[]
      readonly success: readonly TxnStep[]
      readonly failure: readonly TxnStep[]
    }
  | { readonly kind: 'compact'; readonly revision: number }
  | { readonly kind: 'lease-grant'; readonly lease: string; readonly ttlSeconds: number }
  | { readonly kind: 'lease-revoke'; readonly lease: string }

export type TxnStep = Extract<Request, { kind: 'range' | 'put' | 'delete' }>

export type Response =
  | { readonly kind: 'range'; readonly revision: number; readonly kvs: readonly Version[] }
  | { readonly kind: 'put'; readonly revision: number; readonly previous: Version | undefined }
  | { readonly kind: 'delete'; readonly revision: number; readonly previous: readonly Version[] }
  | {
      readonly kind: 'txn'
      readonly revision: number
      readonly succeeded: boolean
      readonly responses: readonly Response[]
    }
  | { readonly kind: 'compact' | 'lease-grant' | 'lease-revoke'; readonly revision: number }
  /** Told by the server, which has changed nothing then. */
  | { readonly kind: 'refused'; readonly message: string }

export interface Operation {
  readonly client: string
  /** Asked member. */
  readonly member: string
  readonly callMs: number
  /** Undefined when the outcome is not known: it may take effect at any time after the call, or never. */
  readonly returnMs: number | undefined
  readonly request: Request
  readonly response: Response | undefined
}

export interface WatchEvent {
  readonly kind: 'put' | 'delete'
  /** Of a deletion: the key and, as its mod revision, when it was deleted. */
  readonly kv: Version
  readonly previous: Version | undefined
}

export interface WatchResponse {
  readonly atMs: number
  readonly revision: number
  readonly isCreated: boolean
  readonly isCanceled: boolean
  readonly compactRevision: number
  readonly events: readonly WatchEvent[]
}

/** One watch of all keys with previous versions, from its creation to its end. */
export interface Watch {
  readonly member: string
  readonly openedMs: number
  readonly startRevision: number
  readonly responses: WatchResponse[]
}

export interface History {
  readonly operations: Operation[]
  readonly watches: Watch[]
}
