/**
 * etcd's Auth service on a cluster that has no users and no roles and whose authentication is off: the answers are those
 * of such an etcd. What would make the first user or role is refused, because authentication itself is not there yet.
 */
import { err, ok, type Result } from '../../../lib/result.ts'
import { compareBytes } from '../../../lib/bytes.ts'
import type { Method, RpcStatus, ServiceTable } from '../../grpc/service.ts'
import type { NodePort } from '../../node/ports.ts'
import {
  AuthDisableRequest,
  AuthDisableResponse,
  AuthEnableRequest,
  AuthRoleAddRequest,
  AuthRoleDeleteRequest,
  AuthRoleGetRequest,
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
  AuthUserGrantRoleRequest,
  AuthUserListRequest,
  AuthUserListResponse,
  AuthUserRevokeRoleRequest,
  AuthenticateRequest,
} from '../../proto/generated/etcd/rpc.ts'
import { statusOf } from './errors.ts'
import { unary, type MessageType } from './method.ts'
import { header } from './responses.ts'

/** etcd counts from 1, and every change of users and roles adds one. */
const FIRST_AUTH_REVISION = 1n

const refusal = (code: RpcStatus['code'], message: string): Result<never, RpcStatus> => err({ code, message })

const NOT_ENABLED = refusal('FailedPrecondition', 'etcdserver: authentication is not enabled')
const NO_ROOT_USER = refusal('FailedPrecondition', 'etcdserver: root user does not exist')
const NO_SUCH_USER = refusal('FailedPrecondition', 'etcdserver: user name not found')
const NO_SUCH_ROLE = refusal('FailedPrecondition', 'etcdserver: role name not found')
const EMPTY_USER = refusal('InvalidArgument', 'etcdserver: user name is empty')
const EMPTY_ROLE = refusal('InvalidArgument', 'etcdserver: role name is empty')
const NO_PERMISSION_GIVEN = refusal('InvalidArgument', 'etcdserver: permission not given')
const BAD_PERMISSION = refusal('InvalidArgument', 'etcdserver: invalid auth management')
const NOT_THERE_YET = refusal(
  'Unimplemented',
  'etcdserver: users and roles are not supported by this version: authentication is always off',
)

export function authService(node: NodePort): ServiceTable {
  const answer = <Message>(
    type: MessageType<Message>,
    handle: (message: Message) => Result<Uint8Array, RpcStatus>,
  ): Method =>
    unary(node, type, async (message) => {
      // etcd's answers come through the log, and so need a leader.
      const barrier = await node.linearizableBarrier()
      return barrier.ok ? handle(message) : err(statusOf(barrier.error))
    })
  return {
    '/etcdserverpb.Auth/AuthEnable': answer(AuthEnableRequest, () => NO_ROOT_USER),
    '/etcdserverpb.Auth/AuthDisable': answer(AuthDisableRequest, () =>
      ok(AuthDisableResponse.encode({ header: header(node) }).finish()),
    ),
    '/etcdserverpb.Auth/AuthStatus': answer(AuthStatusRequest, () => {
      const response = { header: header(node), enabled: false, authRevision: FIRST_AUTH_REVISION }
      return ok(AuthStatusResponse.encode(response).finish())
    }),
    '/etcdserverpb.Auth/Authenticate': answer(AuthenticateRequest, () => NOT_ENABLED),
    ...userMethods(node, answer),
    ...roleMethods(node, answer),
  }
}

type Answering = <Message>(
  type: MessageType<Message>,
  handle: (message: Message) => Result<Uint8Array, RpcStatus>,
) => Method

function userMethods(node: NodePort, answer: Answering): ServiceTable {
  return {
    '/etcdserverpb.Auth/UserAdd': answer(AuthUserAddRequest, ({ name }) => (name === '' ? EMPTY_USER : NOT_THERE_YET)),
    '/etcdserverpb.Auth/UserGet': answer(AuthUserGetRequest, () => NO_SUCH_USER),
    '/etcdserverpb.Auth/UserList': answer(AuthUserListRequest, () =>
      ok(AuthUserListResponse.encode({ header: header(node), users: [] }).finish()),
    ),
    '/etcdserverpb.Auth/UserDelete': answer(AuthUserDeleteRequest, () => NO_SUCH_USER),
    '/etcdserverpb.Auth/UserChangePassword': answer(AuthUserChangePasswordRequest, () => NO_SUCH_USER),
    '/etcdserverpb.Auth/UserGrantRole': answer(AuthUserGrantRoleRequest, () => NO_SUCH_USER),
    '/etcdserverpb.Auth/UserRevokeRole': answer(AuthUserRevokeRoleRequest, () => NO_SUCH_USER),
  }
}

function roleMethods(node: NodePort, answer: Answering): ServiceTable {
  return {
    '/etcdserverpb.Auth/RoleAdd': answer(AuthRoleAddRequest, ({ name }) => (name === '' ? EMPTY_ROLE : NOT_THERE_YET)),
    '/etcdserverpb.Auth/RoleGet': answer(AuthRoleGetRequest, () => NO_SUCH_ROLE),
    '/etcdserverpb.Auth/RoleList': answer(AuthRoleListRequest, () =>
      ok(AuthRoleListResponse.encode({ header: header(node), roles: [] }).finish()),
    ),
    '/etcdserverpb.Auth/RoleDelete': answer(AuthRoleDeleteRequest, () => NO_SUCH_ROLE),
    '/etcdserverpb.Auth/RoleGrantPermission': answer(AuthRoleGrantPermissionRequest, ({ perm }) => {
      if (perm === undefined) return NO_PERMISSION_GIVEN
      return isPermissionRange(perm.key, perm.rangeEnd) ? NO_SUCH_ROLE : BAD_PERMISSION
    }),
    '/etcdserverpb.Auth/RoleRevokePermission': answer(AuthRoleRevokePermissionRequest, () => NO_SUCH_ROLE),
  }
}

/** A zero byte as the end means every key from `key` on. */
function isPermissionRange(key: Uint8Array, rangeEnd: Uint8Array): boolean {
  if (key.length === 0) return false
  const isOpenEnded = rangeEnd.length === 1 && rangeEnd[0] === 0
  return rangeEnd.length === 0 || isOpenEnded || compareBytes(key, rangeEnd) < 0
}
