/**
 * etcd's Auth service. Changes go through the log and are judged there; what only looks at users and roles is read after a
 * barrier, which is the same moment without an entry. Passwords are hashed and compared here, beside the event loop: no log
 * and no other member sees one.
 */
import type { Clock } from '../../../lib/clock.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { Method, RpcStatus, ServiceTable } from '../../grpc/service.ts'
import { encodeAuthChange, encodeAuthenticated, type AuthChangeKind } from '../../mvcc/auth/change.ts'
import type { AuthErrorKind } from '../../mvcc/auth/errors.ts'
import { refuseUnlessAdmin } from '../../mvcc/auth/permissions.ts'
import type { User } from '../../mvcc/auth/rows.ts'
import { ROOT_ROLE, type AuthInfo, type AuthState } from '../../mvcc/auth/state.ts'
import { BcryptPasswords, type Passwords } from '../../node/auth/passwords.ts'
import { SimpleTokens } from '../../node/auth/simple-tokens.ts'
import type { LoggedTokens, SignedTokens, Tokens } from '../../node/auth/tokens.ts'
import type { NodePort } from '../../node/ports.ts'
import { Permission_Type, type Permission } from '../../proto/generated/etcd/auth.ts'
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
} from '../../proto/generated/etcd/rpc.ts'
import { statusOf } from './errors.ts'
import type { Gate } from './gate.ts'
import { HeaderBytes } from './header-bytes.ts'
import { unary, type Answer, type Call, type MessageType } from './method.ts'
import { encodeResult, header } from './responses.ts'

export interface AuthOptions {
  readonly tokens: Tokens
  readonly passwords: Passwords
  /** See `GateParts`. */
  readonly isClientCertAuth: boolean
}

const TOKEN_TTL_MS = 300_000
const BCRYPT_COST = 10

/** etcd's. */
export function defaultAuth(clock: Clock): AuthOptions {
  return {
    tokens: new SimpleTokens(clock, TOKEN_TTL_MS),
    passwords: new BcryptPasswords(BCRYPT_COST),
    isClientCertAuth: false,
  }
}

/** Users and roles may change while a password is compared; then it is compared again. */
const MAX_ATTEMPTS = 5

export function authService(gate: Gate, { tokens, passwords }: AuthOptions): ServiceTable {
  const authenticator = { node: gate.node, tokens, passwords }
  return {
    '/etcdserverpb.Auth/AuthEnable': changing(gate, 'enable', AuthEnableRequest),
    '/etcdserverpb.Auth/AuthDisable': changing(gate, 'disable', AuthDisableRequest),
    '/etcdserverpb.Auth/AuthStatus': reading(gate, AuthStatusRequest, (_, { auth, top }) => {
      const response = { header: top, enabled: auth.isEnabled, authRevision: BigInt(auth.revision) }
      return ok(AuthStatusResponse.encode(response).finish())
    }),
    '/etcdserverpb.Auth/Authenticate': unary(gate, 'anybody', AuthenticateRequest, (request) =>
      authenticate(authenticator, request),
    ),
    ...userMethods(gate, passwords),
    ...roleMethods(gate),
  }
}

function userMethods(gate: Gate, passwords: Passwords): ServiceTable {
  return {
    '/etcdserverpb.Auth/UserAdd': unary(gate, 'handler', AuthUserAddRequest, async (request, call) => {
      if (request.options?.noPassword === true) {
        const bytes = AuthUserAddRequest.encode({ ...request, password: '', hashedPassword: '' }).finish()
        return change(gate, 'user-add', bytes, call)
      }
      return withHash(gate, passwords, request, call, (hashed) =>
        change(gate, 'user-add', AuthUserAddRequest.encode(hashed).finish(), call),
      )
    }),
    '/etcdserverpb.Auth/UserChangePassword': unary(
      gate,
      'handler',
      AuthUserChangePasswordRequest,
      async (request, call) => {
        const propose = (hashed: AuthUserChangePasswordRequest): Promise<Answer> =>
          change(gate, 'user-change-password', AuthUserChangePasswordRequest.encode(hashed).finish(), call)
        return request.password === '' ? propose(request) : withHash(gate, passwords, request, call, propose)
      },
    ),
    // Its own is anybody's; whoever has no name is told that there is no such user (etcd).
    '/etcdserverpb.Auth/UserGet': reading(gate, AuthUserGetRequest, ({ name }, { auth, authInfo, top }) => {
      const denied = name === (authInfo?.username ?? '') ? undefined : refuseUnlessAdmin(auth, authInfo)
      if (denied !== undefined) return err(denied)
      const user = auth.user(name)
      if (user === undefined) return err('user-not-found')
      return ok(AuthUserGetResponse.encode({ header: top, roles: [...user.roles] }).finish())
    }),
    '/etcdserverpb.Auth/UserList': reading(gate, AuthUserListRequest, (_, { auth, authInfo, top }) => {
      const denied = refuseUnlessAdmin(auth, authInfo)
      return denied === undefined
        ? ok(AuthUserListResponse.encode({ header: top, users: auth.userNames() }).finish())
        : err(denied)
    }),
    '/etcdserverpb.Auth/UserDelete': changing(gate, 'user-delete', AuthUserDeleteRequest),
    '/etcdserverpb.Auth/UserGrantRole': changing(gate, 'user-grant-role', AuthUserGrantRoleRequest),
    '/etcdserverpb.Auth/UserRevokeRole': changing(gate, 'user-revoke-role', AuthUserRevokeRoleRequest),
  }
}

function roleMethods(gate: Gate): ServiceTable {
  return {
    '/etcdserverpb.Auth/RoleAdd': changing(gate, 'role-add', AuthRoleAddRequest),
    '/etcdserverpb.Auth/RoleGet': reading(gate, AuthRoleGetRequest, ({ role: name }, { auth, authInfo, top }) => {
      const own = authInfo && auth.user(authInfo.username)
      const denied = own?.roles.includes(name) === true ? undefined : refuseUnlessAdmin(auth, authInfo)
      if (denied !== undefined) return err(denied)
      const role = auth.role(name)
      if (role === undefined) return err('role-not-found')
      const perm = name === ROOT_ROLE ? [EVERYTHING] : [...role.permissions]
      return ok(AuthRoleGetResponse.encode({ header: top, perm }).finish())
    }),
    '/etcdserverpb.Auth/RoleList': reading(gate, AuthRoleListRequest, (_, { auth, authInfo, top }) => {
      const denied = refuseUnlessAdmin(auth, authInfo)
      return denied === undefined
        ? ok(AuthRoleListResponse.encode({ header: top, roles: auth.roleNames() }).finish())
        : err(denied)
    }),
    '/etcdserverpb.Auth/RoleDelete': changing(gate, 'role-delete', AuthRoleDeleteRequest),
    '/etcdserverpb.Auth/RoleGrantPermission': changing(gate, 'role-grant-permission', AuthRoleGrantPermissionRequest),
    '/etcdserverpb.Auth/RoleRevokePermission': changing(
      gate,
      'role-revoke-permission',
      AuthRoleRevokePermissionRequest,
    ),
  }
}

/** What the role root may, whatever was granted to it. */
const EVERYTHING: Permission = {
  permType: Permission_Type.READWRITE,
  key: Buffer.alloc(0),
  rangeEnd: Buffer.of(0),
}

/** A change whose request goes into the log as it came. */
function changing<Message>(gate: Gate, kind: AuthChangeKind, type: MessageType<Message>): Method {
  return unary(gate, 'handler', type, (_, call) => change(gate, kind, call.bytes, call))
}

async function change(gate: Gate, kind: AuthChangeKind, request: Uint8Array, { context }: Call): Promise<Answer> {
  const { node } = gate
  const identified = await gate.identify(context)
  if (!identified.ok) return identified
  return answerOf(node, await node.propose('auth', encodeAuthChange(kind, request), context, identified.value))
}

interface Passworded {
  readonly password: string
  readonly hashedPassword: string
}

/** Only for who may change users: hashing costs more than everything else. */
async function withHash<Message extends Passworded>(
  gate: Gate,
  passwords: Passwords,
  message: Message,
  { context }: Call,
  propose: (hashed: Message) => Promise<Answer>,
): Promise<Answer> {
  const barrier = await gate.node.linearizableBarrier()
  if (!barrier.ok) return err(statusOf(barrier.error))
  const admitted = await gate.admit('admin', context)
  if (!admitted.ok) return admitted
  const hashed = await passwords.hash(message.password)
  if (!hashed.ok) return err(statusOf(hashed.error))
  return propose({ ...message, password: '', hashedPassword: Buffer.from(hashed.value).toString('base64') })
}

interface Reading {
  readonly auth: AuthState
  readonly authInfo: AuthInfo | undefined
  readonly top: ReturnType<typeof header>
}

/** What looks at users and roles as they are once everything that was committed is applied here. */
function reading<Message>(
  gate: Gate,
  type: MessageType<Message>,
  read: (message: Message, reading: Reading) => Result<Uint8Array, AuthErrorKind>,
): Method {
  const { node } = gate
  return unary(gate, 'handler', type, async (message, { context }) => {
    const barrier = await node.linearizableBarrier()
    if (!barrier.ok) return err(statusOf(barrier.error))
    const identified = await gate.identify(context)
    if (!identified.ok) return identified
    const answer = read(message, { auth: node.store.auth, authInfo: identified.value, top: header(node) })
    return answer.ok ? answer : err(statusOf(answer.error))
  })
}

interface Authenticator {
  readonly node: NodePort
  readonly tokens: Tokens
  readonly passwords: Passwords
}

async function authenticate(authenticator: Authenticator, request: AuthenticateRequest): Promise<Answer> {
  const { node, tokens } = authenticator
  const barrier = await node.linearizableBarrier()
  if (!barrier.ok) return err(statusOf(barrier.error))
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const checked = await checkPassword(authenticator, request)
    if (!checked.ok) return checked
    const answer =
      tokens.kind === 'signed' ? await signed(node, tokens, checked.value) : await logged(node, tokens, checked.value)
    if (answer !== 'stale') return answer
  }
  return err(statusOf('auth-old-revision'))
}

async function checkPassword(
  { node, passwords }: Authenticator,
  { name, password }: AuthenticateRequest,
): Promise<Result<AuthInfo, RpcStatus>> {
  const { auth } = node.store
  if (!auth.isEnabled) return err(statusOf('auth-not-enabled'))
  const { revision } = auth
  const user: User | undefined = auth.user(name)
  if (user === undefined) return err(statusOf('auth-failed'))
  if (user.isWithoutPassword) return err(statusOf('no-password-user'))
  const matches = await passwords.matches(password, user.passwordHash)
  if (!matches.ok) return err(statusOf(matches.error))
  return matches.value ? ok({ username: name, revision }) : err(statusOf('auth-failed'))
}

/** It says at which revision the password was right; nobody has to know of it but who gets it. */
async function signed(node: NodePort, tokens: SignedTokens, info: AuthInfo): Promise<Answer | 'stale'> {
  if (node.store.auth.revision !== info.revision) return 'stale'
  const token = await tokens.sign(info)
  if (token === undefined)
    return err({ code: 'Unknown', message: 'auth: token signing attempted with verify-only key' })
  return ok(AuthenticateResponse.encode({ header: header(node), token }).finish())
}

async function logged(node: NodePort, tokens: LoggedTokens, info: AuthInfo): Promise<Answer | 'stale'> {
  const authenticated = encodeAuthenticated({ ...info, tokenPrefix: tokens.newPrefix() })
  const applied = await node.propose('auth', encodeAuthChange('authenticate', authenticated))
  if (applied.ok && !applied.value.ok && applied.value.error.kind === 'auth-old-revision') return 'stale'
  return answerOf(node, applied)
}

function answerOf(node: NodePort, applied: Awaited<ReturnType<NodePort['propose']>>): Answer {
  if (!applied.ok) return err(statusOf(applied.error))
  const result = applied.value
  return result.ok ? ok(encodeResult(new HeaderBytes(node), result.value)) : err(statusOf(result.error.kind))
}
