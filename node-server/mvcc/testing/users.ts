/** Users and roles for tests: what makes them, and requests in their name. */
import assert from 'node:assert/strict'
import { Permission_Type } from '../../proto/generated/etcd/auth.ts'
import {
  AuthRoleAddRequest,
  AuthRoleGrantPermissionRequest,
  AuthRoleRevokePermissionRequest,
  AuthUserAddRequest,
  AuthUserGrantRoleRequest,
  AuthUserRevokeRoleRequest,
} from '../../proto/generated/etcd/rpc.ts'
import { apply } from '../apply.ts'
import { encodeAuthChange, type AuthChangeKind } from '../auth/change.ts'
import type { AuthInfo } from '../auth/state.ts'
import type { StoreCommand } from '../command.ts'
import type { ApplyResult } from '../results.ts'
import type { Store } from '../store.ts'
import { nextPosition } from './requests.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

/** The result as a word: `ok`, or why not. */
export function said(result: ApplyResult): string {
  return result.ok ? 'ok' : result.error.kind
}

export function applyAs(
  store: Store,
  authInfo: AuthInfo | undefined,
  kind: StoreCommand['kind'],
  request: Uint8Array,
): ApplyResult {
  return apply(store, nextPosition(store), { kind, requestId: 0n, request, authInfo })
}

/** As root, when there is one that counts. */
export function changeUsers(store: Store, kind: AuthChangeKind, request: Uint8Array = bytes('')): string {
  const root = { username: 'root', revision: store.auth.revision }
  return said(applyAs(store, root, 'auth', encodeAuthChange(kind, request)))
}

export const addUser = (store: Store, name: string, fields: Partial<AuthUserAddRequest> = {}): string =>
  changeUsers(
    store,
    'user-add',
    AuthUserAddRequest.encode(AuthUserAddRequest.fromPartial({ name, ...fields })).finish(),
  )
export const addRole = (store: Store, name: string): string =>
  changeUsers(store, 'role-add', AuthRoleAddRequest.encode({ name }).finish())
export const grantRole = (store: Store, user: string, role: string): string =>
  changeUsers(store, 'user-grant-role', AuthUserGrantRoleRequest.encode({ user, role }).finish())
export const revokeRole = (store: Store, name: string, role: string): string =>
  changeUsers(store, 'user-revoke-role', AuthUserRevokeRoleRequest.encode({ name, role }).finish())

export function grantPermission(
  store: Store,
  name: string,
  permType: keyof typeof Permission_Type,
  key: string,
  rangeEnd = '',
): string {
  const perm = { permType: Permission_Type[permType], key: bytes(key), rangeEnd: bytes(rangeEnd) }
  return changeUsers(store, 'role-grant-permission', AuthRoleGrantPermissionRequest.encode({ name, perm }).finish())
}

export function revokePermission(store: Store, role: string, key: string, rangeEnd = ''): string {
  const request = { role, key: bytes(key), rangeEnd: bytes(rangeEnd) }
  return changeUsers(store, 'role-revoke-permission', AuthRoleRevokePermissionRequest.encode(request).finish())
}

/** Roots, and whoever is named with what it may, each by a role of its own; then authentication is on. */
export function enableWith(store: Store, users: Readonly<Record<string, readonly (readonly string[])[]>>): void {
  const steps = [addUser(store, 'root'), grantRole(store, 'root', 'root')]
  for (const [user, permissions] of Object.entries(users)) {
    steps.push(addUser(store, user), addRole(store, `${user}s`), grantRole(store, user, `${user}s`))
    for (const [type = 'READ', key = '', rangeEnd] of permissions)
      steps.push(grantPermission(store, `${user}s`, type as keyof typeof Permission_Type, key, rangeEnd))
  }
  steps.push(changeUsers(store, 'enable'))
  assert.ok(
    steps.every((step) => step === 'ok'),
    steps.join(),
  )
}

/** As found out just now. */
export function as(store: Store, username: string): AuthInfo {
  return { username, revision: store.auth.revision }
}
