/** Users over TLS, as members tell them: by a token, or by the common name of a client's certificate; over gRPC and over HTTP. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { credentials } from '@grpc/grpc-js'
import { z } from 'zod'
import {
  AuthenticateRequest,
  AuthenticateResponse,
  AuthRoleAddRequest,
  AuthRoleGrantPermissionRequest,
  AuthUserAddRequest,
  AuthUserGrantRoleRequest,
  PutRequest,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { makeAuthority, type Authority } from '../../node-server/tls/testing/authority.ts'
import { EtcdClient } from './etcd-client.ts'
import { eventually, Rig, type MemberProcess } from './member-process.ts'

/** Of root and app there are users; app has a password besides. */
type CommonName = 'root' | 'app' | 'stranger'

const FIRST = 0
const SECOND = 1
let rig: Rig
let authority: Authority
let members: readonly MemberProcess[]
const clients = new Map<string, EtcdClient>()
const files = new Map<CommonName, { readonly cert: Buffer; readonly key: Buffer }>()

const b = (value: string): Buffer => Buffer.from(value)
const DENIED = 'etcdserver: permission denied'
const NOBODY = 'etcdserver: user name is empty'

before(async () => {
  rig = await Rig.open()
  authority = await makeAuthority(rig.directory)
  const server = await authority.issue('server')
  members = [await rig.member('a'), await rig.member('b'), await rig.member('c')]
  const cluster = members.map(({ asFirstMember }) => asFirstMember).join(',')
  const tls = [
    `--initial-cluster=${cluster}`,
    `--cert-file=${server.certFile}`,
    `--key-file=${server.keyFile}`,
    `--trusted-ca-file=${authority.caFile}`,
    '--client-cert-auth',
    '--bcrypt-cost=4',
  ]
  await Promise.all(
    members.map((member) => {
      const url = member.clientURL.replace('http:', 'https:')
      return member.start([...tls, `--listen-client-urls=${url}`, `--advertise-client-urls=${url}`])
    }),
  )
  await Promise.all(members.map((member) => member.isReady()))
  for (const name of ['root', 'app', 'stranger'] as const) {
    const { certFile, keyFile } = await authority.issue(name)
    files.set(name, { cert: await readFile(certFile), key: await readFile(keyFile) })
  }
  await addUsers()
})
after(async () => {
  for (const client of clients.values()) client.close()
  await rig.close()
})

/** `app` may read and write from a to c. */
async function addUsers(): Promise<void> {
  const perm = { permType: 2, key: b('a'), rangeEnd: b('c') } as const
  const options = { noPassword: true }
  const steps: readonly (readonly [method: string, request: Uint8Array])[] = [
    ['UserAdd', AuthUserAddRequest.encode(AuthUserAddRequest.fromPartial({ name: 'root', options })).finish()],
    ['UserGrantRole', AuthUserGrantRoleRequest.encode({ user: 'root', role: 'root' }).finish()],
    ['UserAdd', AuthUserAddRequest.encode(AuthUserAddRequest.fromPartial({ name: 'app', password: 'pw' })).finish()],
    ['RoleAdd', AuthRoleAddRequest.encode({ name: 'r' }).finish()],
    ['RoleGrantPermission', AuthRoleGrantPermissionRequest.encode({ name: 'r', perm }).finish()],
    ['UserGrantRole', AuthUserGrantRoleRequest.encode({ user: 'app', role: 'r' }).finish()],
    ['AuthEnable', b('')],
  ]
  // The first waits until every member has been heard of.
  for (const [method, request] of steps)
    await eventually(method, async () => assert.equal(await say('stranger', `Auth/${method}`, request), 'ok'))
}

function memberOf(index: number): MemberProcess {
  const member = members[index]
  assert.ok(member !== undefined)
  return member
}

async function clientOf(name: CommonName, index: number): Promise<EtcdClient> {
  const id = `${name} ${index}`
  const own = files.get(name)
  const ca = await readFile(authority.caFile)
  const channel = credentials.createSsl(ca, own?.key ?? null, own?.cert ?? null)
  const client = clients.get(id) ?? new EtcdClient(`localhost:${memberOf(index).ports.client}`, channel)
  clients.set(id, client)
  return client
}

/** `ok`, or why not. */
async function say(name: CommonName, method: string, request: Uint8Array, token?: string, to = FIRST): Promise<string> {
  return (await clientOf(name, to)).callBytes(`/etcdserverpb.${method}`, request, undefined, token).then(
    () => 'ok',
    ({ details }: { details: string }) => details,
  )
}

const putOf = (key: string): Uint8Array =>
  PutRequest.encode(PutRequest.fromPartial({ key: b(key), value: b('v') })).finish()

async function signIn(name: CommonName): Promise<string> {
  const request = AuthenticateRequest.encode({ name: 'app', password: 'pw' }).finish()
  const answer = await (await clientOf(name, FIRST)).callBytes('/etcdserverpb.Auth/Authenticate', request)
  return AuthenticateResponse.decode(answer).token
}

const Answer = z.looseObject({ message: z.string().optional(), token: z.string().optional() })

async function post(name: CommonName, path: string, body: object, token?: string): Promise<z.output<typeof Answer>> {
  const call = request({
    ...files.get(name),
    host: '127.0.0.1',
    port: memberOf(FIRST).ports.client,
    path: `/v3/${path}`,
    method: 'POST',
    ca: await readFile(authority.caFile),
    headers: token === undefined ? {} : { authorization: token },
    agent: false,
  })
  call.end(JSON.stringify(body))
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  return Answer.parse(JSON.parse(await text(response)))
}

test('who shows a certificate and sends no token is the user of its common name', async () => {
  assert.equal(await say('app', 'KV/Put', putOf('a')), 'ok')
  assert.equal(await say('app', 'KV/Put', putOf('z')), DENIED)
  assert.equal(await say('app', 'Auth/UserList', b('')), DENIED)
  assert.equal(await say('root', 'KV/Put', putOf('z')), 'ok')
  assert.equal(await say('stranger', 'KV/Put', putOf('a')), DENIED)
})

test('a token counts before the certificate, at every member', async () => {
  const token = await signIn('stranger')
  assert.equal(await say('stranger', 'KV/Put', putOf('a'), token, SECOND), 'ok')
  assert.equal(await say('root', 'KV/Put', putOf('z'), token, SECOND), DENIED)
  assert.equal(await say('root', 'KV/Put', putOf('z'), 'forged.1'), 'etcdserver: invalid auth token')
})

test('at the gateway a token counts, and nobody’s common name (etcd: CVE-2018-16886)', async () => {
  const put = { key: b('a').toString('base64'), value: '' }
  assert.equal((await post('root', 'kv/put', put)).message, NOBODY)
  const { token } = await post('stranger', 'auth/authenticate', { name: 'app', password: 'pw' })
  assert.ok(token !== undefined)
  assert.equal((await post('stranger', 'kv/put', put, token)).message, undefined)
  assert.equal((await post('root', 'kv/put', { ...put, key: b('z').toString('base64') }, token)).message, DENIED)
})
