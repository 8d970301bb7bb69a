/** Changes of users and roles at apply: the state in memory and the table `auth` change together. Answers are etcd's. */
import { unreachable } from '../../../lib/assert.ts'
import { compareBytes } from '../../../lib/bytes.ts'
import type { LogIndex } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { Permission } from '../../proto/generated/etcd/auth.ts'
import {
  AuthRoleAddRequest,
  AuthRoleDeleteRequest,
  AuthRoleGrantPermissionRequest,
  AuthRoleRevokePermissionRequest,
  AuthUserAddRequest,
  AuthUserChangePasswordRequest,
  AuthUserDeleteRequest,
  AuthUserGrantRoleRequest,
  AuthUserRevokeRoleRequest,
} from '../../proto/generated/etcd/rpc.ts'
import { RequestReader } from '../request-reader.ts'
import type { ApplyResult, AuthEffect } from '../results.ts'
import type { Store } from '../store.ts'
import { decodeAuthChange, decodeAuthenticated, type AuthChangeKind, type Authenticated } from './change.ts'
import type { AuthErrorKind } from './errors.ts'
import { refuseUnlessAdmin } from './permissions.ts'
import { MAX_NAME_SIZE_BYTES, type User } from './rows.ts'
import { hasRootRole, inByteOrder, ROOT_ROLE, ROOT_USER, type AuthInfo, type AuthState } from './state.ts'

type Outcome = Result<AuthEffect, AuthErrorKind>

const DONE: Outcome = ok({ kind: 'none' })

/** `index` is the entry's: a simple token is named by it. */
export function applyAuth(store: Store, index: LogIndex, info: AuthInfo | undefined, bytes: Uint8Array): ApplyResult {
  const { auth } = store
  const change = decodeAuthChange(bytes)
  if (change === undefined) return err({ kind: 'malformed-request' })
  const refusal = change.kind === 'authenticate' ? undefined : refuseUnlessAdmin(auth, info)
  if (refusal !== undefined) return err({ kind: refusal })
  let outcome: Outcome
  try {
    outcome = carryOut(auth, index, change.kind, change.request)
  } catch {
    return err({ kind: 'malformed-request' })
  }
  if (!outcome.ok) return err({ kind: outcome.error })
  store.update({})
  return ok({ kind: 'auth', revision: store.revision, effect: outcome.value })
}

/** Throws when the bytes are not that request; nothing has changed then. */
function carryOut(auth: AuthState, index: LogIndex, kind: AuthChangeKind, request: Uint8Array): Outcome {
  const reader = new RequestReader(request)
  switch (kind) {
    case 'enable':
      return enable(auth)
    case 'disable':
      return disable(auth)
    case 'authenticate':
      return authenticate(auth, index, decodeAuthenticated(request))
    case 'user-add':
      return addUser(auth, AuthUserAddRequest.decode(reader))
    case 'user-delete':
      return deleteUser(auth, AuthUserDeleteRequest.decode(reader))
    case 'user-change-password':
      return changePassword(auth, AuthUserChangePasswordRequest.decode(reader))
    case 'user-grant-role':
      return grantRole(auth, AuthUserGrantRoleRequest.decode(reader))
    case 'user-revoke-role':
      return revokeRole(auth, AuthUserRevokeRoleRequest.decode(reader))
    case 'role-add':
      return addRole(auth, AuthRoleAddRequest.decode(reader))
    case 'role-delete':
      return deleteRole(auth, AuthRoleDeleteRequest.decode(reader))
    case 'role-grant-permission':
      return grantPermission(auth, AuthRoleGrantPermissionRequest.decode(reader))
    case 'role-revoke-permission':
      return revokePermission(auth, AuthRoleRevokePermissionRequest.decode(reader))
    default:
      return unreachable(kind)
  }
}

function enable(auth: AuthState): Outcome {
  if (auth.isEnabled) return DONE
  const root = auth.user(ROOT_USER)
  if (root === undefined) return err('root-user-missing')
  if (!hasRootRole(root)) return err('root-role-missing')
  auth.enable()
  return DONE
}

function disable(auth: AuthState): Outcome {
  if (!auth.isEnabled) return DONE
  auth.disable()
  return ok({ kind: 'disabled' })
}

function authenticate(auth: AuthState, index: LogIndex, asked: Authenticated): Outcome {
  const { username, revision, tokenPrefix } = asked
  if (!auth.isEnabled) return err('auth-not-enabled')
  // The password may be another one by now: the caller has to check again.
  if (revision !== auth.revision) return err('auth-old-revision')
  const user = auth.user(username)
  if (user === undefined || user.isWithoutPassword) return err('auth-failed')
  return ok({ kind: 'authenticated', username, token: `${tokenPrefix}.${index}` })
}

function addUser(auth: AuthState, { name, hashedPassword, options }: AuthUserAddRequest): Outcome {
  if (name === '') return err('user-empty')
  if (isTooLong(name)) return err('name-too-long')
  if (auth.user(name) !== undefined) return err('user-exists')
  const isWithoutPassword = options?.noPassword === true
  auth.putUser({ name, isWithoutPassword, passwordHash: hashFor({ isWithoutPassword }, hashedPassword), roles: [] })
  auth.countChange()
  return DONE
}

function deleteUser(auth: AuthState, { name }: AuthUserDeleteRequest): Outcome {
  if (auth.isEnabled && name === ROOT_USER) return err('invalid-auth-management')
  if (auth.user(name) === undefined) return err('user-not-found')
  auth.removeUser(name)
  auth.countChange()
  return ok({ kind: 'signed-out', username: name })
}

function changePassword(auth: AuthState, { name, hashedPassword }: AuthUserChangePasswordRequest): Outcome {
  const user = auth.user(name)
  if (user === undefined) return err('user-not-found')
  auth.putUser({ ...user, passwordHash: hashFor(user, hashedPassword) })
  auth.countChange()
  return ok({ kind: 'signed-out', username: name })
}

function grantRole(auth: AuthState, { user: name, role }: AuthUserGrantRoleRequest): Outcome {
  const user = auth.user(name)
  if (user === undefined) return err('user-not-found')
  if (role !== ROOT_ROLE && auth.role(role) === undefined) return err('role-not-found')
  if (user.roles.includes(role)) return DONE
  auth.putUser({ ...user, roles: inByteOrder([...user.roles, role]) })
  auth.countChange()
  return DONE
}

function revokeRole(auth: AuthState, { name, role }: AuthUserRevokeRoleRequest): Outcome {
  if (auth.isEnabled && name === ROOT_USER && role === ROOT_ROLE) return err('invalid-auth-management')
  const user = auth.user(name)
  if (user === undefined) return err('user-not-found')
  if (!user.roles.includes(role)) return err('role-not-granted')
  auth.putUser(withoutRole(user, role))
  auth.countChange()
  return DONE
}

function addRole(auth: AuthState, { name }: AuthRoleAddRequest): Outcome {
  if (name === '') return err('role-empty')
  if (isTooLong(name)) return err('name-too-long')
  if (auth.role(name) !== undefined) return err('role-exists')
  auth.putRole({ name, permissions: [] })
  auth.countChange()
  return DONE
}

function deleteRole(auth: AuthState, { role: name }: AuthRoleDeleteRequest): Outcome {
  if (auth.isEnabled && name === ROOT_ROLE) return err('invalid-auth-management')
  if (auth.role(name) === undefined) return err('role-not-found')
  auth.removeRole(name)
  for (const user of auth.users()) if (user.roles.includes(name)) auth.putUser(withoutRole(user, name))
  auth.countChange()
  return DONE
}

function grantPermission(auth: AuthState, { name, perm }: AuthRoleGrantPermissionRequest): Outcome {
  if (perm === undefined) return err('permission-not-given')
  if (!isPermissionRange(perm)) return err('invalid-auth-management')
  const role = auth.role(name)
  if (role === undefined) return err('role-not-found')
  const others = role.permissions.filter((held) => !isSameRange(held, perm))
  const permissions = [...others, copyOf(perm)].sort(
    (a, b) => compareBytes(a.key, b.key) || compareBytes(a.rangeEnd, b.rangeEnd),
  )
  auth.putRole({ ...role, permissions })
  auth.countChange()
  return DONE
}

function revokePermission(auth: AuthState, revoked: AuthRoleRevokePermissionRequest): Outcome {
  const role = auth.role(revoked.role)
  if (role === undefined) return err('role-not-found')
  const permissions = role.permissions.filter((held) => !isSameRange(held, revoked))
  if (permissions.length === role.permissions.length) return err('permission-not-granted')
  auth.putRole({ ...role, permissions })
  auth.countChange()
  return DONE
}

/** In base64 as the request has it. */
function hashFor({ isWithoutPassword }: Pick<User, 'isWithoutPassword'>, hashedPassword: string): Buffer {
  return isWithoutPassword ? Buffer.alloc(0) : Buffer.from(hashedPassword, 'base64')
}

function withoutRole(user: User, role: string): User {
  return { ...user, roles: user.roles.filter((held) => held !== role) }
}

type Bounds = Pick<Permission, 'key' | 'rangeEnd'>

function isSameRange(a: Bounds, b: Bounds): boolean {
  return compareBytes(a.key, b.key) === 0 && compareBytes(a.rangeEnd, b.rangeEnd) === 0
}

/** A zero byte as the end means every key from `key` on. */
function isPermissionRange({ key, rangeEnd }: Bounds): boolean {
  if (key.length === 0) return false
  const isOpenEnded = rangeEnd.length === 1 && rangeEnd[0] === 0
  return rangeEnd.length === 0 || isOpenEnded || compareBytes(key, rangeEnd) < 0
}

/** The request's bytes are the entry's, which does not stay. */
function copyOf({ permType, key, rangeEnd }: Permission): Permission {
  return { permType, key: Buffer.from(key), rangeEnd: Buffer.from(rangeEnd) }
}

function isTooLong(name: string): boolean {
  return Buffer.byteLength(name) > MAX_NAME_SIZE_BYTES
}
