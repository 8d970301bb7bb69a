/**
 * The one table from what may go wrong to what a client is told. Codes and texts are etcd's, because clients match on
 * them (etcd: api/v3rpc/rpctypes); where etcd has no such failure the text says in its manner what to do.
 */
import type { RpcStatus } from '../../grpc/service.ts'
import { MAX_NAME_SIZE_BYTES } from '../../mvcc/auth/rows.ts'
import type { StoreError } from '../../mvcc/errors.ts'
import { MAX_KEY_SIZE_BYTES } from '../../mvcc/key-index.ts'
import type { NodeProblem } from '../../node/ports.ts'

type Problem = NodeProblem | StoreError['kind'] | ApiProblem

/** What the handlers themselves refuse. */
type ApiProblem = 'bad-member-urls' | 'canceled' | 'invalid-auth-token' | 'password-too-long'

const STATUS_OF: Readonly<Record<Problem, RpcStatus>> = {
  'empty-key': { code: 'InvalidArgument', message: 'etcdserver: key is not provided' },
  'key-not-found': { code: 'InvalidArgument', message: 'etcdserver: key not found' },
  'value-provided': { code: 'InvalidArgument', message: 'etcdserver: value is provided' },
  'lease-provided': { code: 'InvalidArgument', message: 'etcdserver: lease is provided' },
  'too-many-operations': { code: 'InvalidArgument', message: 'etcdserver: too many operations in txn request' },
  'duplicate-key': { code: 'InvalidArgument', message: 'etcdserver: duplicate key given in txn request' },
  'invalid-sort-option': { code: 'InvalidArgument', message: 'etcdserver: invalid sort option' },
  'request-too-large': { code: 'InvalidArgument', message: 'etcdserver: request is too large' },
  // etcd has no such limit; the store's index has.
  'key-too-long': {
    code: 'InvalidArgument',
    message: `etcdserver: key is too long: at most ${MAX_KEY_SIZE_BYTES} bytes, zero bytes counted twice`,
  },
  'malformed-request': {
    code: 'Internal',
    message: 'grpc: error unmarshalling request: proto: cannot parse invalid wire-format data',
  },
  compacted: { code: 'OutOfRange', message: 'etcdserver: mvcc: required revision has been compacted' },
  'future-revision': { code: 'OutOfRange', message: 'etcdserver: mvcc: required revision is a future revision' },
  'lease-not-found': { code: 'NotFound', message: 'etcdserver: requested lease not found' },
  'lease-exists': { code: 'FailedPrecondition', message: 'etcdserver: lease already exists' },
  'lease-ttl-too-large': { code: 'OutOfRange', message: 'etcdserver: too large lease TTL' },

  'no-leader': { code: 'Unavailable', message: 'etcdserver: no leader' },
  'not-leader': { code: 'FailedPrecondition', message: 'etcdserver: not leader' },
  'leader-changed': { code: 'Unavailable', message: 'etcdserver: leader changed' },
  // etcd's client sends such a request again: it is told of none that may have been proposed.
  'not-proposed': { code: 'DeadlineExceeded', message: 'context deadline exceeded' },
  timeout: { code: 'Unavailable', message: 'etcdserver: request timed out' },
  'leader-failed': {
    code: 'Unavailable',
    message: 'etcdserver: request timed out, possibly due to previous leader failure',
  },
  'connection-lost': {
    code: 'Unavailable',
    message: 'etcdserver: request timed out, possibly due to connection lost',
  },
  'too-many-requests': { code: 'ResourceExhausted', message: 'etcdserver: too many requests' },
  'no-space': { code: 'ResourceExhausted', message: 'etcdserver: mvcc: database space exceeded' },
  'no-room': { code: 'ResourceExhausted', message: 'etcdserver: no room on the disk for a copy of the store' },
  corrupt: { code: 'DataLoss', message: 'etcdserver: corrupt cluster' },
  canceled: { code: 'Canceled', message: 'context canceled' },
  'store-damaged': {
    code: 'Unavailable',
    message: 'etcdserver: the store of this member is damaged: it waits for another from the leader',
  },
  stopped: { code: 'Unavailable', message: 'etcdserver: server stopped' },
  'not-supported-for-learner': {
    code: 'FailedPrecondition',
    message: 'etcdserver: rpc not supported for learner',
  },

  'auth-not-enabled': { code: 'FailedPrecondition', message: 'etcdserver: authentication is not enabled' },
  'auth-failed': {
    code: 'InvalidArgument',
    message: 'etcdserver: authentication failed, invalid user ID or password',
  },
  // The next two have no entry in etcd's table, so they arrive without a code.
  'no-password-user': {
    code: 'Unknown',
    message: 'auth: authentication failed, password was given for no password user',
  },
  'password-too-long': { code: 'Unknown', message: 'bcrypt: password length exceeds 72 bytes' },
  'auth-old-revision': { code: 'InvalidArgument', message: 'etcdserver: revision of auth store is old' },
  'invalid-auth-token': { code: 'Unauthenticated', message: 'etcdserver: invalid auth token' },
  'permission-denied': { code: 'PermissionDenied', message: 'etcdserver: permission denied' },
  'root-user-missing': { code: 'FailedPrecondition', message: 'etcdserver: root user does not exist' },
  'root-role-missing': { code: 'FailedPrecondition', message: 'etcdserver: root user does not have root role' },
  'user-empty': { code: 'InvalidArgument', message: 'etcdserver: user name is empty' },
  'user-exists': { code: 'FailedPrecondition', message: 'etcdserver: user name already exists' },
  'user-not-found': { code: 'FailedPrecondition', message: 'etcdserver: user name not found' },
  'role-empty': { code: 'InvalidArgument', message: 'etcdserver: role name is empty' },
  'role-exists': { code: 'FailedPrecondition', message: 'etcdserver: role name already exists' },
  'role-not-found': { code: 'FailedPrecondition', message: 'etcdserver: role name not found' },
  'role-not-granted': { code: 'FailedPrecondition', message: 'etcdserver: role is not granted to the user' },
  'permission-not-given': { code: 'InvalidArgument', message: 'etcdserver: permission not given' },
  'permission-not-granted': {
    code: 'FailedPrecondition',
    message: 'etcdserver: permission is not granted to the role',
  },
  'invalid-auth-management': { code: 'InvalidArgument', message: 'etcdserver: invalid auth management' },
  // etcd has no such limit; the store's index has.
  'name-too-long': {
    code: 'InvalidArgument',
    message: `etcdserver: name is too long: at most ${MAX_NAME_SIZE_BYTES} bytes`,
  },

  'unhealthy-cluster': { code: 'Unavailable', message: 'etcdserver: unhealthy cluster' },
  // etcd's table has the client's error here instead of the server's, which leaves it without its code.
  'not-enough-started': {
    code: 'Unknown',
    message: 'etcdserver: re-configuration failed due to not enough started members',
  },
  'member-not-found': { code: 'NotFound', message: 'etcdserver: member not found' },
  'member-exists': { code: 'FailedPrecondition', message: 'etcdserver: member ID already exist' },
  'peer-urls-exist': { code: 'FailedPrecondition', message: 'etcdserver: Peer URLs already exists' },
  'bad-member-urls': { code: 'InvalidArgument', message: 'etcdserver: given member URLs are invalid' },
  'member-not-learner': { code: 'FailedPrecondition', message: 'etcdserver: can only promote a learner member' },
  'learner-not-ready': {
    code: 'FailedPrecondition',
    message: 'etcdserver: can only promote a learner member which is in sync with leader',
  },
  'too-many-learners': { code: 'FailedPrecondition', message: 'etcdserver: too many learner members in cluster' },
  // etcd lets the second of two changes time out.
  'change-in-flight': {
    code: 'Unavailable',
    message: 'etcdserver: another membership change is in flight, try again when it is applied',
  },
  'bad-transferee': { code: 'FailedPrecondition', message: 'etcdserver: bad leader transferee' },
  // etcd has no such failure: its versions all know users.
  'members-too-old': {
    code: 'Unavailable',
    message:
      'etcdserver: the first user or role needs every member to be up and of a version that knows users and roles',
  },
  'transfer-timeout': {
    code: 'Unknown',
    message: 'etcdserver: request timed out, leader transfer took too long',
  },
}

/** With the place, for whoever looks after the member. */
export function damagedStatus(damage: string): RpcStatus {
  const { code, message } = STATUS_OF['store-damaged']
  return { code, message: `${message} (${damage})` }
}

export function statusOf(problem: Problem): RpcStatus {
  return STATUS_OF[problem]
}
