/**
 * etcd's Auth service at a member, by gRPC: what any other client of etcd has, since users and roles are etcd's, and a member of the
 * operator is to have no second way to them. A connection a call: there are few, and pods come and go with their addresses.
 *
 * Neighbours: node-server/proto and node-server/grpc/client.ts (the messages, and who carries them), main.ts (the guard).
 */
import { type ClientTls, GrpcClient, errorMessage } from '../node-server/grpc/client.ts'
import { Permission_Type } from '../node-server/proto/generated/etcd/auth.ts'
import {
  AuthDisableRequest,
  AuthEnableRequest,
  AuthenticateRequest,
  AuthenticateResponse,
  AuthRoleAddRequest,
  AuthRoleDeleteRequest,
  AuthRoleGetRequest,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionRequest,
  AuthRoleListRequest,
  AuthRoleListResponse,
  AuthRoleRevokePermissionRequest,
  AuthStatusRequest,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserChangePasswordRequest,
  AuthUserDeleteRequest,
  AuthUserGetRequest,
  AuthUserGetResponse,
  AuthUserGrantRoleRequest,
  AuthUserListRequest,
  AuthUserListResponse,
  AuthUserRevokeRoleRequest,
} from '../node-server/proto/generated/etcd/rpc.ts'
import { unreachable } from '../lib/assert.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { type MutationGuard, MUTATION_TIMEOUT_MS, STATUS_TIMEOUT_MS } from './admin-client.ts'
import type { AdminIdentity, Permission, UsersClient, UsersFailure, UserStep } from './cluster/ports.ts'

const NO_TLS = { caFile: undefined, certFile: undefined, keyFile: undefined }
/** gRPC: no answer in time, and not reached. */
const UNREACHABLE: readonly unknown[] = [4, 14]

type Answer<Value> = Promise<Result<Value, UsersFailure>>

export class EtcdUsersClient implements UsersClient {
  readonly #guard: MutationGuard

  readonly #tls: ClientTls | AdminIdentity

  constructor(guard: MutationGuard, identity?: AdminIdentity) {
    this.#guard = guard
    this.#tls = identity ?? NO_TLS
  }

  secured(identity: AdminIdentity): EtcdUsersClient {
    return new EtcdUsersClient(this.#guard, identity)
  }

  async status(url: string): ReturnType<UsersClient['status']> {
    const answer = await this.#call(url, 'AuthStatus', AuthStatusRequest.encode({}).finish(), STATUS_TIMEOUT_MS)
    if (!answer.ok) return answer
    const { enabled, authRevision } = AuthStatusResponse.decode(answer.value)
    return ok({ isEnabled: enabled, revision: Number(authRevision) })
  }

  async login(url: string, name: string, password: string): Answer<string> {
    const request = AuthenticateRequest.encode({ name, password }).finish()
    const answer = await this.#call(url, 'Authenticate', request, MUTATION_TIMEOUT_MS)
    return answer.ok ? ok(AuthenticateResponse.decode(answer.value).token) : answer
  }

  async users(url: string, token: string, names: readonly string[]): Answer<ReadonlyMap<string, readonly string[]>> {
    const list = await this.#call(url, 'UserList', AuthUserListRequest.encode({}).finish(), STATUS_TIMEOUT_MS, token)
    if (!list.ok) return list
    const present = AuthUserListResponse.decode(list.value).users.filter((name) => names.includes(name))
    return each(present, async (name) => {
      const answer = await this.#call(
        url,
        'UserGet',
        AuthUserGetRequest.encode({ name }).finish(),
        STATUS_TIMEOUT_MS,
        token,
      )
      return answer.ok ? ok(AuthUserGetResponse.decode(answer.value).roles) : answer
    })
  }

  async roles(
    url: string,
    token: string,
    names: readonly string[],
  ): Answer<ReadonlyMap<string, readonly Permission[]>> {
    const list = await this.#call(url, 'RoleList', AuthRoleListRequest.encode({}).finish(), STATUS_TIMEOUT_MS, token)
    if (!list.ok) return list
    const present = AuthRoleListResponse.decode(list.value).roles.filter((name) => names.includes(name))
    return each(present, async (role) => {
      const answer = await this.#call(
        url,
        'RoleGet',
        AuthRoleGetRequest.encode({ role }).finish(),
        STATUS_TIMEOUT_MS,
        token,
      )
      if (!answer.ok) return answer
      const { perm } = AuthRoleGetResponse.decode(answer.value)
      return ok(
        perm.map(({ permType, key, rangeEnd }) => ({
          key: Buffer.from(key),
          rangeEnd: Buffer.from(rangeEnd),
          access: ACCESS[permType] ?? 'ReadWrite',
        })),
      )
    })
  }

  async change(url: string, token: string, step: UserStep, password: string): Answer<undefined> {
    const permit = this.#guard()
    if (!permit.isAllowed) return err({ kind: 'unreachable', message: `not sent: ${permit.reason}` })
    const [method, request] = requestOf(step, password)
    const timeoutMs = Math.max(1, Math.floor(Math.min(MUTATION_TIMEOUT_MS, permit.withinMs)))
    const answer = await this.#call(url, method, request, timeoutMs, token)
    return answer.ok ? ok(undefined) : answer
  }

  async #call(url: string, method: string, request: Uint8Array, timeoutMs: number, token = ''): Answer<Buffer> {
    const client = new GrpcClient(url, this.#tls)
    try {
      return ok(await client.unary(`/etcdserverpb.Auth/${method}`, request, timeoutMs, token))
    } catch (error) {
      const code: unknown = Object(error).code
      return err({ kind: UNREACHABLE.includes(code) ? 'unreachable' : 'refused', message: errorMessage(error) })
    } finally {
      client.close()
    }
  }
}

const ACCESS: Readonly<Record<number, Permission['access']>> = {
  [Permission_Type.READ]: 'Read',
  [Permission_Type.WRITE]: 'Write',
  [Permission_Type.READWRITE]: 'ReadWrite',
}
const PERMISSION_TYPE = {
  Read: Permission_Type.READ,
  Write: Permission_Type.WRITE,
  ReadWrite: Permission_Type.READWRITE,
} as const

function requestOf(step: UserStep, password: string): readonly [method: string, request: Uint8Array] {
  switch (step.kind) {
    case 'role-add':
      return ['RoleAdd', AuthRoleAddRequest.encode({ name: step.role }).finish()]
    case 'role-delete':
      return ['RoleDelete', AuthRoleDeleteRequest.encode({ role: step.role }).finish()]
    case 'grant-permission': {
      const { key, rangeEnd, access } = step.permission
      const perm = { permType: PERMISSION_TYPE[access], key, rangeEnd }
      return ['RoleGrantPermission', AuthRoleGrantPermissionRequest.encode({ name: step.role, perm }).finish()]
    }
    case 'revoke-permission': {
      const { key, rangeEnd } = step.permission
      return [
        'RoleRevokePermission',
        AuthRoleRevokePermissionRequest.encode({ role: step.role, key, rangeEnd }).finish(),
      ]
    }
    case 'user-add': {
      const options = { noPassword: step.certificateOnly }
      const user = { name: step.user, password, hashedPassword: '', options }
      return ['UserAdd', AuthUserAddRequest.encode(user).finish()]
    }
    case 'user-delete':
      return ['UserDelete', AuthUserDeleteRequest.encode({ name: step.user }).finish()]
    case 'change-password': {
      const change = { name: step.user, password, hashedPassword: '' }
      return ['UserChangePassword', AuthUserChangePasswordRequest.encode(change).finish()]
    }
    case 'grant-role':
      return ['UserGrantRole', AuthUserGrantRoleRequest.encode({ user: step.user, role: step.role }).finish()]
    case 'revoke-role':
      return ['UserRevokeRole', AuthUserRevokeRoleRequest.encode({ name: step.user, role: step.role }).finish()]
    case 'enable':
      return ['AuthEnable', AuthEnableRequest.encode({}).finish()]
    case 'disable':
      return ['AuthDisable', AuthDisableRequest.encode({}).finish()]
    default:
      return unreachable(step)
  }
}

/** One after the other, up to the first that fails. */
async function each<Value>(
  names: readonly string[],
  read: (name: string) => Answer<Value>,
): Answer<ReadonlyMap<string, Value>> {
  const found = new Map<string, Value>()
  for (const name of names) {
    const answer = await read(name)
    if (!answer.ok) return answer
    found.set(name, answer.value)
  }
  return ok(found)
}
