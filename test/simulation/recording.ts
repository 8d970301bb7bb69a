/** What clients asked and were told, as it went over the wire. */
import type { RpcStatus } from '../../node-server/grpc/service.ts'
import type { WatchCreateRequest } from '../../node-server/proto/generated/etcd/rpc.ts'

export const PATHS = {
  range: '/etcdserverpb.KV/Range',
  put: '/etcdserverpb.KV/Put',
  delete: '/etcdserverpb.KV/DeleteRange',
  txn: '/etcdserverpb.KV/Txn',
  compact: '/etcdserverpb.KV/Compact',
  grant: '/etcdserverpb.Lease/LeaseGrant',
  revoke: '/etcdserverpb.Lease/LeaseRevoke',
  timeToLive: '/etcdserverpb.Lease/LeaseTimeToLive',
} as const

export type MethodName = keyof typeof PATHS

/** `lost`: whether it was carried out is not known. */
export type Reply =
  | { readonly kind: 'answer'; readonly bytes: Uint8Array }
  | { readonly kind: 'status'; readonly status: RpcStatus }
  | { readonly kind: 'lost' }

export interface CallRecord {
  readonly method: MethodName
  readonly client: number
  readonly member: string
  readonly callMs: number
  readonly returnMs: number
  readonly request: Uint8Array
  readonly told: Reply
}

/** One watch on one stream, from its creation to wherever it ended. */
export interface WatchRecord {
  readonly watcher: number
  readonly member: string
  readonly create: WatchCreateRequest
  readonly openedMs: number
  /** See WatchHistory. */
  mustTellThrough?: number
  readonly told: { readonly atMs: number; readonly bytes: Uint8Array }[]
}
