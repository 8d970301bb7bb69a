import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AuthDisableResponse,
  AuthRoleAddRequest,
  AuthRoleGrantPermissionRequest,
  AuthRoleListResponse,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserListResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { answered, call, member } from './testing/api-fixture.ts'

// What is expected here was observed on etcd 3.7.3 without users and roles.

const NOTHING = Buffer.alloc(0)
const ask = (method: string, request: Uint8Array = NOTHING): Promise<Buffer | string> =>
  call(`/etcdserverpb.Auth/${method}`, request)

test('authentication is off, and nobody is there', async () => {
  const path = '/etcdserverpb.Auth'
  const status = await answered(AuthStatusResponse, `${path}/AuthStatus`, NOTHING)
  assert.deepEqual([status.enabled, status.authRevision, status.header?.memberId], [false, 1n, member.memberId])
  assert.deepEqual((await answered(AuthUserListResponse, `${path}/UserList`, NOTHING)).users, [])
  assert.deepEqual((await answered(AuthRoleListResponse, `${path}/RoleList`, NOTHING)).roles, [])
  const disabled = await answered(AuthDisableResponse, `${path}/AuthDisable`, NOTHING)
  assert.equal(disabled.header?.revision, 1n)
})

test('what needs a user, a role or authentication is refused as by an etcd that has none', async () => {
  const expected = {
    AuthEnable: '9 etcdserver: root user does not exist',
    Authenticate: '9 etcdserver: authentication is not enabled',
    UserGet: '9 etcdserver: user name not found',
    UserDelete: '9 etcdserver: user name not found',
    UserChangePassword: '9 etcdserver: user name not found',
    UserGrantRole: '9 etcdserver: user name not found',
    UserRevokeRole: '9 etcdserver: user name not found',
    RoleGet: '9 etcdserver: role name not found',
    RoleDelete: '9 etcdserver: role name not found',
    RoleRevokePermission: '9 etcdserver: role name not found',
    RoleGrantPermission: '3 etcdserver: permission not given',
    UserAdd: '3 etcdserver: user name is empty',
    RoleAdd: '3 etcdserver: role name is empty',
  }
  for (const [method, answer] of Object.entries(expected)) assert.equal(await ask(method), answer, method)
})

test('a permission must be for a key or a range that is one', async () => {
  const grant = (key: string, rangeEnd: string): Promise<Buffer | string> => {
    const perm = { permType: 0 as const, key: Buffer.from(key), rangeEnd: Buffer.from(rangeEnd) }
    return ask('RoleGrantPermission', AuthRoleGrantPermissionRequest.encode({ name: 'r', perm }).finish())
  }
  const unknown = '9 etcdserver: role name not found'
  for (const [key, rangeEnd] of [
    ['a', ''],
    ['a', 'b'],
    ['a', '\0'],
  ] as const)
    assert.equal(await grant(key, rangeEnd), unknown, `${key} ${rangeEnd}`)
  for (const [key, rangeEnd] of [
    ['', ''],
    ['b', 'a'],
    ['a', 'a'],
  ] as const)
    assert.equal(await grant(key, rangeEnd), '3 etcdserver: invalid auth management', `${key} ${rangeEnd}`)
})

test('the first user and the first role are refused in words: authentication is not there yet', async () => {
  const user = AuthUserAddRequest.encode(AuthUserAddRequest.fromPartial({ name: 'root', password: 'x' })).finish()
  assert.match(String(await ask('UserAdd', user)), /^12 etcdserver: .*not supported/)
  assert.match(String(await ask('RoleAdd', AuthRoleAddRequest.encode({ name: 'r' }).finish())), /^12 /)
})

test('without a leader there is no answer', async () => {
  member.problem = 'no-leader'
  for (const method of ['AuthStatus', 'UserList', 'Authenticate', 'UserAdd'])
    assert.equal(await ask(method), '14 etcdserver: no leader')
})
