import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  AuthenticateRequest,
  AuthenticateResponse,
  AuthRoleAddRequest,
  AuthRoleGrantPermissionRequest,
  AuthUserAddRequest,
  AuthUserGrantRoleRequest,
  LeaseGrantRequest,
  PutRequest,
  RangeRequest,
  RangeResponse,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { eventually, leaderOf, Rig, type Cluster, type MemberProcess } from './member-process.ts'

let rig: Rig
let cluster: Cluster

before(async () => {
  rig = await Rig.open()
  cluster = await rig.cluster(['a', 'b', 'c'], ['--bcrypt-cost=4'])
})
after(() => rig.close())

const b = (text: string): Buffer => Buffer.from(text)

async function ask(member: MemberProcess, method: string, request: Uint8Array, token?: string): Promise<Buffer> {
  return member.etcd.callBytes(`/etcdserverpb.${method}`, request, undefined, token)
}

/** `ok`, or why not. */
async function say(member: MemberProcess, method: string, request: Uint8Array, token?: string): Promise<string> {
  return ask(member, method, request, token).then(
    () => 'ok',
    ({ code, details }: { code: number; details: string }) => `${code} ${details}`,
  )
}

const userOf = (name: string, password: string): Uint8Array =>
  AuthUserAddRequest.encode(AuthUserAddRequest.fromPartial({ name, password })).finish()
const putOf = (key: string, lease = 0n): Uint8Array =>
  PutRequest.encode(PutRequest.fromPartial({ key: b(key), value: b('v'), lease })).finish()
const rangeOf = (key: string, rangeEnd = ''): Uint8Array =>
  RangeRequest.encode(RangeRequest.fromPartial({ key: b(key), rangeEnd: b(rangeEnd) })).finish()

async function signIn(member: MemberProcess, name: string): Promise<string> {
  const request = AuthenticateRequest.encode({ name, password: `${name}pw` }).finish()
  return AuthenticateResponse.decode(await ask(member, 'Auth/Authenticate', request)).token
}

test('the first user waits for every member to be up, for one of a version before could not go on; the second does not', async () => {
  const { leader, others } = await leaderOf(cluster.members)
  const [down] = others
  assert.ok(down !== undefined)
  await down.kill('SIGKILL')
  assert.match(
    await say(leader, 'Auth/UserAdd', userOf('root', 'rootpw')),
    /^14 etcdserver: the first user or role needs/,
  )
  await down.start(cluster.flags)
  await down.isReady()
  await eventually('all are asked', async () =>
    assert.equal(await say(leader, 'Auth/UserAdd', userOf('root', 'rootpw')), 'ok'),
  )
  await down.kill('SIGKILL')
  assert.equal(await say(leader, 'Auth/UserAdd', userOf('u', 'upw')), 'ok')
  await down.start(cluster.flags)
  await down.isReady()
})

test('with authentication on, a token of one member counts at the others at once', async () => {
  const { leader, others } = await leaderOf(cluster.members)
  const perm = { permType: 2, key: b('a'), rangeEnd: b('c') } as const
  for (const [method, request] of [
    ['UserGrantRole', AuthUserGrantRoleRequest.encode({ user: 'root', role: 'root' }).finish()],
    ['RoleAdd', AuthRoleAddRequest.encode({ name: 'r' }).finish()],
    ['RoleGrantPermission', AuthRoleGrantPermissionRequest.encode({ name: 'r', perm }).finish()],
    ['UserGrantRole', AuthUserGrantRoleRequest.encode({ user: 'u', role: 'r' }).finish()],
    ['AuthEnable', b('')],
  ] as const)
    assert.equal(await say(leader, `Auth/${method}`, request), 'ok', method)
  // Who has not applied that yet refuses a token as no name (etcd, too); an answer of each says that it has.
  for (const member of others) assert.equal(await say(member, 'Auth/AuthStatus', b('')), 'ok')
  for (const member of [leader, ...others]) {
    const token = await signIn(member, 'u')
    for (const other of cluster.members) {
      assert.equal(await say(other, 'KV/Put', putOf('a'), token), 'ok')
      assert.equal(await say(other, 'KV/Put', putOf('z'), token), '7 etcdserver: permission denied')
      assert.equal(await say(other, 'KV/Range', rangeOf('a', 'z'), token), '7 etcdserver: permission denied')
    }
  }
  for (const member of cluster.members)
    assert.equal(await say(member, 'KV/Put', putOf('a')), '3 etcdserver: user name is empty')
})

test('a lease ends although authentication is on: the members need nobody’s permission for that', async () => {
  const { leader } = await leaderOf(cluster.members)
  const token = await signIn(leader, 'root')
  assert.equal(
    await say(leader, 'Lease/LeaseGrant', LeaseGrantRequest.encode({ ID: 7n, TTL: 1n }).finish(), token),
    'ok',
  )
  assert.equal(await say(leader, 'KV/Put', putOf('z', 7n), token), 'ok')
  await eventually('its key is gone', async () => {
    const answer = RangeResponse.decode(await ask(leader, 'KV/Range', rangeOf('z'), token))
    assert.equal(answer.count, 0n)
  })
})

test('the gateway takes the token as curl sends it', async () => {
  const [member] = cluster.members
  assert.ok(member !== undefined)
  const post = (path: string, body: object, token?: string): Promise<Response> =>
    fetch(`${member.clientURL}/v3/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: token === undefined ? {} : { authorization: token },
    })
  const authenticated = await post('auth/authenticate', { name: 'u', password: 'upw' })
  const { token } = (await authenticated.json()) as { token: string }
  const put = { key: b('a').toString('base64'), value: b('v').toString('base64') }
  assert.equal((await post('kv/put', put, token)).status, 200)
  assert.equal((await post('kv/put', put, `Bearer ${token}`)).status, 200)
  const refused = (await (await post('kv/put', put)).json()) as { message: string }
  assert.equal(refused.message, 'etcdserver: user name is empty')
})

test('after a restart authentication is still on, and users sign in again', async () => {
  const { others } = await leaderOf(cluster.members)
  const [member] = others
  assert.ok(member !== undefined)
  await member.kill('SIGKILL')
  await member.start(cluster.flags)
  await member.isReady()
  assert.equal(await say(member, 'KV/Put', putOf('a')), '3 etcdserver: user name is empty')
  const again = await signIn(member, 'u')
  assert.equal(await say(member, 'KV/Put', putOf('a'), again), 'ok')
})
