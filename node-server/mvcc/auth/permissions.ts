/**
 * Who may do what, as etcd decides it. All of it is pure and of one moment: called at apply for what goes through the log, so
 * that every member decides alike, and where it is read for what does not. Undefined: the user may.
 * Source: etcd's server/auth/store.go (isOpPermitted, IsAdminPermitted) and etcdserver/apply/auth.go.
 */
import { leaseKey, leaseKeyRange, userKeyOf } from '../lease.ts'
import type { Store } from '../store.ts'
import type { AuthErrorKind } from './errors.ts'
import { coversRange, rangeWith } from './ranges.ts'
import { askedRange, hasRootRole, type AuthInfo, type AuthState } from './state.ts'

export type Access = 'read' | 'write'

/** An empty `rangeEnd` means one key, a zero byte every key from `key` on. */
export function refuseAccess(
  auth: AuthState,
  info: AuthInfo | undefined,
  access: Access,
  key: Uint8Array,
  rangeEnd: Uint8Array,
): AuthErrorKind | undefined {
  if (!auth.isEnabled) return undefined
  const refusal = refuseIdentity(auth, info)
  if (refusal !== undefined) return refusal
  const user = userOf(auth, info)
  if (user === undefined) return 'permission-denied'
  if (hasRootRole(user)) return undefined
  const isGranted = coversRange(auth.granted(user)[access], askedRange(key, rangeEnd))
  return isGranted ? undefined : 'permission-denied'
}

/** What only who has the role root may do. It counts as it is now, whenever the user was identified (etcd). */
export function refuseUnlessAdmin(auth: AuthState, info: AuthInfo | undefined): AuthErrorKind | undefined {
  if (!auth.isEnabled) return undefined
  if (info === undefined || info.username === '') return 'user-empty'
  const user = auth.user(info.username)
  if (user === undefined) return 'user-not-found'
  return hasRootRole(user) ? undefined : 'permission-denied'
}

/** What anybody may do who says who it is. */
export function refuseUnlessKnown(auth: AuthState, info: AuthInfo | undefined): AuthErrorKind | undefined {
  return auth.isEnabled && info === undefined ? 'user-empty' : undefined
}

/**
 * Whoever revokes a lease deletes its keys, and whoever attaches a key to one must be able to revoke it: both need to write
 * them all. To see the keys of a lease is to read them.
 */
export function refuseLeaseKeys(
  store: Store,
  info: AuthInfo | undefined,
  access: Access,
  lease: bigint,
): AuthErrorKind | undefined {
  const { auth } = store
  if (lease === 0n || refuseUnlessAdmin(auth, info) === undefined) return undefined
  const { start, end } = leaseKeyRange(lease)
  for (let next = start; ;) {
    const [row] = store.buffer.scan('leaseKeys', next, end, { limit: 1 })
    if (row === undefined) return undefined
    const key = userKeyOf(row.key)
    const refusal = refuseAccess(auth, info, access, key, NO_END)
    if (refusal !== undefined) return refusal
    const user = userOf(auth, info)
    const granted = user && rangeWith(auth.granted(user)[access], key)
    if (granted?.end === undefined) return undefined
    next = leaseKey(lease, granted.end) // the keys up to there are in the same range: a lease may have very many
  }
}

/** Users or roles have changed since somebody was identified: what was read meanwhile is not to be shown. */
export function isOld(auth: AuthState, info: AuthInfo | undefined): boolean {
  return info !== undefined && info.revision !== 0 && info.revision !== auth.revision
}

const NO_END = Buffer.alloc(0)

function refuseIdentity(auth: AuthState, info: AuthInfo | undefined): AuthErrorKind | undefined {
  if (info === undefined || info.revision === 0) return 'user-empty'
  return info.revision < auth.revision ? 'auth-old-revision' : undefined
}

function userOf(auth: AuthState, info: AuthInfo | undefined): ReturnType<AuthState['user']> {
  return info && auth.user(info.username)
}
