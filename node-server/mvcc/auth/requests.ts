/** What each request of a client needs: every key that it looks at, writes or shows, however deep inside of txns. */
import { unreachable } from '../../../lib/assert.ts'
import type {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from '../../proto/generated/etcd/rpc.ts'
import type { Store } from '../store.ts'
import type { AuthErrorKind } from './errors.ts'
import { refuseAccess, refuseLeaseKeys } from './permissions.ts'
import type { AuthInfo } from './state.ts'

const NO_END = Buffer.alloc(0)

export function refusePut(store: Store, info: AuthInfo | undefined, request: PutRequest): AuthErrorKind | undefined {
  if (!store.auth.isEnabled) return undefined
  const { key, lease, prevKv } = request
  return (
    refuseAccess(store.auth, info, 'write', key, NO_END) ??
    refuseLeaseKeys(store, info, 'write', lease) ??
    (prevKv ? refuseAccess(store.auth, info, 'read', key, NO_END) : undefined)
  )
}

export function refuseDelete(
  store: Store,
  info: AuthInfo | undefined,
  { key, rangeEnd, prevKv }: DeleteRangeRequest,
): AuthErrorKind | undefined {
  return (
    refuseAccess(store.auth, info, 'write', key, rangeEnd) ??
    (prevKv ? refuseAccess(store.auth, info, 'read', key, rangeEnd) : undefined)
  )
}

export function refuseRange(
  store: Store,
  info: AuthInfo | undefined,
  { key, rangeEnd }: Pick<RangeRequest, 'key' | 'rangeEnd'>,
): AuthErrorKind | undefined {
  return refuseAccess(store.auth, info, 'read', key, rangeEnd)
}

/** Both branches, whichever will run: which one does tells about the keys that are compared. */
export function refuseTxn(store: Store, info: AuthInfo | undefined, request: TxnRequest): AuthErrorKind | undefined {
  if (!store.auth.isEnabled) return undefined
  for (const { key, rangeEnd } of request.compare) {
    const refusal = refuseAccess(store.auth, info, 'read', key, rangeEnd)
    if (refusal !== undefined) return refusal
  }
  for (const operation of [...request.success, ...request.failure]) {
    const refusal = refuseOperation(store, info, operation)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

function refuseOperation(store: Store, info: AuthInfo | undefined, { request }: RequestOp): AuthErrorKind | undefined {
  switch (request?.$case) {
    case 'requestRange':
      return refuseRange(store, info, request.value)
    case 'requestPut':
      return refusePut(store, info, request.value)
    case 'requestDeleteRange':
      return refuseDelete(store, info, request.value)
    case 'requestTxn':
      return refuseTxn(store, info, request.value)
    case undefined:
      return undefined
    default:
      return unreachable(request)
  }
}
