import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AuthDisableResponse,
  AuthenticateRequest,
  AuthenticateResponse,
  AuthRoleGrantPermissionRequest,
  AuthRoleListResponse,
  AuthStatusResponse,
  AuthUserAddRequest,
  AuthUserChangePasswordRequest,
  AuthUserGetRequest,
  AuthUserGrantRoleRequest,
  AuthUserListResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { Metadata } from '@grpc/grpc-js'
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

const user = (name: string, password = ''): Uint8Array =>
  AuthUserAddRequest.encode(AuthUserAddRequest.fromPartial({ name, password })).finish()
const signIn = (name: string, password: string): Promise<Buffer | string> =>
  ask('Authenticate', AuthenticateRequest.encode({ name, password }).finish())

async function enable(): Promise<void> {
  for (const [method, request] of [
    ['UserAdd', user('root', 'rootpw')],
    ['UserGrantRole', AuthUserGrantRoleRequest.encode({ user: 'root', role: 'root' }).finish()],
    ['UserAdd', user('u', 'upw')],
    ['AuthEnable', NOTHING],
  ] as const)
    assert.ok(typeof (await ask(method, request)) !== 'string', method)
}

async function tokenOf(name: string, password: string): Promise<Metadata> {
  const answer = await signIn(name, password)
  assert.ok(typeof answer !== 'string', String(answer))
  const metadata = new Metadata()
  metadata.set('token', AuthenticateResponse.decode(answer).token)
  return metadata
}

const asUser = (metadata: Metadata, method: string, request: Uint8Array = NOTHING): Promise<Buffer | string> =>
  call(`/etcdserverpb.Auth/${method}`, request, metadata)

test('a password is good for a token, and the token for what its user may do', async () => {
  await enable()
  assert.equal(await signIn('u', 'wrong'), '3 etcdserver: authentication failed, invalid user ID or password')
  assert.equal(await signIn('x', 'upw'), '3 etcdserver: authentication failed, invalid user ID or password')
  assert.equal(await ask('UserList'), '3 etcdserver: user name is empty')
  const [root, own] = [await tokenOf('root', 'rootpw'), await tokenOf('u', 'upw')]
  assert.match(String(root.get('token')[0]), /^[a-zA-Z]{16}\.\d+$/)
  const listed = await asUser(root, 'UserList')
  assert.ok(typeof listed !== 'string')
  assert.deepEqual(AuthUserListResponse.decode(listed).users, ['root', 'u'])
  assert.equal(await asUser(own, 'UserList'), '7 etcdserver: permission denied')
  const get = (name: string): Uint8Array => AuthUserGetRequest.encode({ name }).finish()
  assert.ok(typeof (await asUser(own, 'UserGet', get('u'))) !== 'string')
  assert.equal(await asUser(own, 'UserGet', get('root')), '7 etcdserver: permission denied')
  assert.equal(await asUser(own, 'UserGet', get('x')), '7 etcdserver: permission denied')
})

test('a new password ends the tokens of its user, and so does its end', async () => {
  await enable()
  const [root, own] = [await tokenOf('root', 'rootpw'), await tokenOf('u', 'upw')]
  const changed = AuthUserChangePasswordRequest.fromPartial({ name: 'u', password: 'other' })
  const answer = await asUser(root, 'UserChangePassword', AuthUserChangePasswordRequest.encode(changed).finish())
  assert.ok(typeof answer !== 'string')
  assert.equal(await asUser(own, 'RoleList'), '16 etcdserver: invalid auth token')
  assert.equal(await signIn('u', 'upw'), '3 etcdserver: authentication failed, invalid user ID or password')
  assert.equal(await asUser(await tokenOf('u', 'other'), 'RoleList'), '7 etcdserver: permission denied')
})

test('a token is told of in the metadata token, or as a bearer in authorization; the first counts', async () => {
  await enable()
  const token = String((await tokenOf('root', 'rootpw')).get('token')[0])
  const say = async (headers: Readonly<Record<string, string>>): Promise<string> => {
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
    const answer = await asUser(metadata, 'RoleList')
    return typeof answer === 'string' ? answer : 'ok'
  }
  assert.equal(await say({ token }), 'ok')
  assert.equal(await say({ authorization: token }), 'ok')
  assert.equal(await say({ authorization: `Bearer ${token}` }), 'ok')
  const invalid = '16 etcdserver: invalid auth token'
  for (const headers of [{ token: 'x' }, { token: '' }, { token: 'x', authorization: token }, { token: `${token}0` }])
    assert.equal(await say(headers), invalid, JSON.stringify(headers))
})

test('no password, and no hash of one that a client makes up for another, is in the log', async () => {
  const proposed: string[] = []
  const propose = member.propose
  member.propose = (...args) => {
    proposed.push(Buffer.from(args[1]).toString('latin1'))
    return propose(...args)
  }
  await enable()
  const withBoth = { name: 'v', password: 'vpassword', options: { noPassword: true }, hashedPassword: 'aGFzaA==' }
  const root = await tokenOf('root', 'rootpw')
  await asUser(root, 'UserAdd', AuthUserAddRequest.encode(withBoth).finish())
  assert.ok(proposed.length >= 5)
  for (const bytes of proposed) assert.doesNotMatch(bytes, /rootpw|upw|vpassword|aGFzaA/)
})

test('a user without a password has no token, and one that is too long is none', async () => {
  await enable()
  const root = await tokenOf('root', 'rootpw')
  const certified = AuthUserAddRequest.fromPartial({ name: 'certified', options: { noPassword: true } })
  await asUser(root, 'UserAdd', AuthUserAddRequest.encode(certified).finish())
  assert.match(String(await signIn('certified', '')), /^2 auth: .* no password user$/)
  const long = await asUser(root, 'UserAdd', user('long', 'x'.repeat(73)))
  assert.equal(long, '2 bcrypt: password length exceeds 72 bytes')
})

test('without a leader there is no answer', async () => {
  member.problem = 'no-leader'
  for (const method of ['AuthStatus', 'UserList', 'Authenticate', 'UserAdd'])
    assert.equal(await ask(method), '14 etcdserver: no leader')
})
