/** The store as one would write it without caring for speed: a whole copy of the key space for every revision. */
import {
  Compare_CompareResult as Outcome,
  Compare_CompareTarget as CompareTarget,
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as SortTarget,
  type Compare,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from '../../proto/generated/etcd/rpc.ts'
import { validateTxn } from '../validate.ts'

export interface TwinKeyValue {
  readonly key: string
  readonly value: string
  readonly create: number
  readonly mod: number
  readonly version: number
  readonly lease: bigint
}

type Keys = Map<string, TwinKeyValue>

export type TwinResult =
  | { readonly kind: 'range'; revision: number; kvs: TwinKeyValue[]; count: number; more: boolean }
  | { readonly kind: 'put'; revision: number; prevKv: TwinKeyValue | undefined }
  | { readonly kind: 'delete-range'; revision: number; deleted: number; prevKvs: TwinKeyValue[] }
  | { readonly kind: 'txn'; revision: number | undefined; succeeded: boolean; responses: TwinResult[] }
  | { readonly kind: 'compact'; revision: number }
  | { readonly kind: 'lease-grant'; revision: number; id: bigint; ttlSeconds: number }
  | { readonly kind: 'lease-revoke'; revision: number; id: bigint }
  | { readonly kind: 'error'; error: string }

export type TwinCommand =
  | { readonly kind: 'put'; readonly request: PutRequest }
  | { readonly kind: 'delete-range'; readonly request: DeleteRangeRequest }
  | { readonly kind: 'txn'; readonly request: TxnRequest }
  | { readonly kind: 'compact'; readonly revision: number }
  | { readonly kind: 'lease-grant'; readonly id: bigint; readonly ttlSeconds: number }
  | { readonly kind: 'lease-revoke'; readonly id: bigint }

const failed = (error: string): TwinResult => ({ kind: 'error', error })
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

export class Twin {
  revision = 1
  compacted = -1
  /** TTL of each lease. */
  readonly leases = new Map<bigint, number>()
  /** Key space after each revision. */
  readonly #at = new Map<number, Keys>([[1, new Map()]])
  #now: Keys = new Map()
  #hasChanged = false

  apply(command: TwinCommand): TwinResult {
    this.#now = new Map(this.#at.get(this.revision))
    this.#hasChanged = false
    const result = this.#execute(command)
    if (this.#hasChanged) this.#at.set(++this.revision, this.#now)
    return result
  }

  #execute(command: TwinCommand): TwinResult {
    switch (command.kind) {
      case 'put':
        return this.#refuse({ $case: 'requestPut', value: command.request }) ?? this.#put(command.request)
      case 'delete-range':
        return this.#delete(command.request)
      case 'txn':
        return this.#txn(command.request)
      case 'compact':
        if (command.revision <= this.compacted) return failed('compacted')
        if (command.revision > this.revision) return failed('future-revision')
        this.compacted = command.revision
        return { kind: 'compact', revision: this.revision }
      case 'lease-grant':
        if (this.leases.has(command.id)) return failed('lease-exists')
        this.leases.set(command.id, command.ttlSeconds)
        return { kind: 'lease-grant', revision: this.revision, id: command.id, ttlSeconds: command.ttlSeconds }
      case 'lease-revoke': {
        if (!this.leases.delete(command.id)) return failed('lease-not-found')
        for (const key of this.keysOf(command.id, this.#now)) {
          this.#now.delete(key)
          this.#hasChanged = true
        }
        return { kind: 'lease-revoke', revision: this.#current(), id: command.id }
      }
      default:
        return failed('unknown')
    }
  }

  /** Of the live keys those that name the lease, in key order. */
  keysOf(lease: bigint, keys: Keys = this.#at.get(this.revision) ?? new Map()): string[] {
    return [...keys.values()]
      .filter((kv) => kv.lease === lease)
      .map(({ key }) => key)
      .toSorted()
  }

  range(request: RangeRequest): TwinResult {
    this.#now = new Map(this.#at.get(this.revision))
    this.#hasChanged = false
    return this.#range(request)
  }

  #current(): number {
    return this.revision + (this.#hasChanged ? 1 : 0)
  }

  #inRange(keys: Keys, key: Buffer, rangeEnd: Buffer): TwinKeyValue[] {
    const end = text(rangeEnd)
    return [...keys.values()]
      .filter((kv) => (end === '' ? kv.key === text(key) : kv.key >= text(key) && (end === '\0' || kv.key < end)))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1))
  }

  #range(request: RangeRequest): TwinResult {
    const revision = Number(request.revision)
    if (revision > this.#current()) return failed('future-revision')
    if (revision > 0 && revision < this.compacted) return failed('compacted')
    const keys = revision <= 0 || revision > this.revision ? this.#now : (this.#at.get(revision) ?? new Map())
    const all = this.#inRange(keys, request.key, request.rangeEnd)
    const base = { kind: 'range', revision: this.#current(), count: all.length } as const
    if (request.countOnly) return { ...base, kvs: [], more: false }
    const within = (value: number, min: bigint, max: bigint): boolean =>
      value >= Number(min) && (max === 0n || value <= Number(max))
    const kept = all.filter(
      ({ mod, create }) =>
        within(mod, request.minModRevision, request.maxModRevision) &&
        within(create, request.minCreateRevision, request.maxCreateRevision),
    )
    const by = {
      [SortTarget.KEY]: (kv: TwinKeyValue) => kv.key,
      [SortTarget.VERSION]: (kv: TwinKeyValue) => kv.version,
      [SortTarget.CREATE]: (kv: TwinKeyValue) => kv.create,
      [SortTarget.MOD]: (kv: TwinKeyValue) => kv.mod,
      [SortTarget.VALUE]: (kv: TwinKeyValue) => kv.value,
    }[request.sortTarget]
    const limit = Number(request.limit)
    // etcd: without an order and without filters the limit counts before the sorting.
    const isFiltered = [
      request.minModRevision,
      request.maxModRevision,
      request.minCreateRevision,
      request.maxCreateRevision,
    ]
    if (request.sortOrder === Order.NONE && limit > 0 && isFiltered.every((bound) => bound === 0n))
      kept.splice(limit + 1)
    const direction = request.sortOrder === Order.DESCEND ? -1 : 1
    kept.sort((a, b) => direction * (by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : 0))
    // etcd: keys_only is answered from an index without leases, unless the values are read for sorting.
    const lease = (kv: TwinKeyValue): bigint => (request.sortTarget === SortTarget.VALUE ? kv.lease : 0n)
    const kvs = (limit > 0 ? kept.slice(0, limit) : kept).map((kv) =>
      request.keysOnly ? { ...kv, value: '', lease: lease(kv) } : kv,
    )
    return { ...base, kvs, more: kvs.length < kept.length }
  }

  #put(request: PutRequest): TwinResult {
    this.#hasChanged = true
    const key = text(request.key)
    const before = this.#now.get(key)
    const value = request.ignoreValue ? (before?.value ?? '') : text(request.value)
    const create = before?.create ?? this.#current()
    const lease = request.ignoreLease ? (before?.lease ?? 0n) : request.lease
    this.#now.set(key, { key, value, create, mod: this.#current(), version: (before?.version ?? 0) + 1, lease })
    return { kind: 'put', revision: this.#current(), prevKv: request.prevKv ? before : undefined }
  }

  #delete(request: DeleteRangeRequest): TwinResult {
    const gone = this.#inRange(this.#now, request.key, request.rangeEnd)
    for (const { key } of gone) this.#now.delete(key)
    if (gone.length > 0) this.#hasChanged = true
    const prevKvs = request.prevKv ? gone : []
    return { kind: 'delete-range', revision: this.#current(), deleted: gone.length, prevKvs }
  }

  #txn(request: TxnRequest): TwinResult {
    const invalid = validateTxn(request, Infinity)
    if (invalid !== undefined) return failed(invalid.kind)
    const before = new Map(this.#now)
    const refusal = this.#refuseTxn(request, before)
    if (refusal !== undefined) return refusal
    const result = this.#run(request, before)
    return { ...result, revision: this.#current() }
  }

  #branch(request: TxnRequest, before: Keys): { succeeded: boolean; operations: RequestOp[] } {
    const succeeded = request.compare.every((compare) => this.#holds(compare, before))
    return { succeeded, operations: succeeded ? request.success : request.failure }
  }

  #refuseTxn(request: TxnRequest, before: Keys): TwinResult | undefined {
    for (const { request: operation } of this.#branch(request, before).operations) {
      const refusal =
        operation?.$case === 'requestTxn' ? this.#refuseTxn(operation.value, before) : this.#refuse(operation)
      if (refusal !== undefined) return refusal
    }
    return undefined
  }

  #refuse(operation: RequestOp['request']): TwinResult | undefined {
    if (operation?.$case === 'requestPut') {
      const { key, lease, ignoreValue, ignoreLease } = operation.value
      if (lease !== 0n && !this.leases.has(lease)) return failed('lease-not-found')
      return (ignoreValue || ignoreLease) && !this.#now.has(text(key)) ? failed('key-not-found') : undefined
    }
    if (operation?.$case !== 'requestRange') return undefined
    const result = this.#range(operation.value)
    return result.kind === 'error' ? result : undefined
  }

  #run(request: TxnRequest, before: Keys): TwinResult & { kind: 'txn' } {
    const { succeeded, operations } = this.#branch(request, before)
    const responses = operations.map(({ request: operation }): TwinResult => {
      switch (operation?.$case) {
        case 'requestRange':
          return this.#range(operation.value)
        case 'requestPut':
          return this.#put(operation.value)
        case 'requestDeleteRange':
          return this.#delete(operation.value)
        case 'requestTxn':
          return this.#run(operation.value, before)
        default:
          return failed('empty operation')
      }
    })
    return { kind: 'txn', revision: undefined, succeeded, responses }
  }

  #holds(compare: Compare, before: Keys): boolean {
    const found = this.#inRange(before, compare.key, compare.rangeEnd)
    const missing = compare.rangeEnd.length === 0 && found.length === 0
    if (missing || found.length === 0) {
      return (
        compare.target !== CompareTarget.VALUE &&
        this.#matches(compare, { key: '', value: '', create: 0, mod: 0, version: 0, lease: 0n })
      )
    }
    return found.every((kv) => this.#matches(compare, kv))
  }

  #matches({ target, targetUnion, result }: Compare, kv: TwinKeyValue): boolean {
    const wanted = targetUnion?.$case === 'value' ? text(targetUnion.value) : Number(targetUnion?.value ?? 0n)
    const actual = {
      [CompareTarget.VERSION]: kv.version,
      [CompareTarget.CREATE]: kv.create,
      [CompareTarget.MOD]: kv.mod,
      [CompareTarget.VALUE]: kv.value,
      [CompareTarget.LEASE]: Number(kv.lease),
    }[target]
    if (result === Outcome.EQUAL) return actual === wanted
    if (result === Outcome.NOT_EQUAL) return actual !== wanted
    return result === Outcome.GREATER ? actual > wanted : actual < wanted
  }
}
