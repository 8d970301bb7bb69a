/** The change stream over TLS, and with users: it is whom its certificate names, and goes on when authentication is turned on. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { credentials } from '@grpc/grpc-js'
import {
  AuthUserAddRequest,
  AuthUserGrantRoleRequest,
  PutRequest,
  PutResponse,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { makeAuthority, type Authority } from '../../node-server/tls/testing/authority.ts'
import { EtcdClient } from './etcd-client.ts'
import { Follower } from './follower.ts'
import { Rig } from './member-process.ts'

const PUTS = 20
let rig: Rig
let authority: Authority
let client: EtcdClient
let url: string
let to: string

before(async () => {
  rig = await Rig.open()
  authority = await makeAuthority(rig.directory)
  const server = await authority.issue('server')
  const member = await rig.member('a')
  url = member.clientURL.replace('http:', 'https:').replace('127.0.0.1', 'localhost')
  const listen = member.clientURL.replace('http:', 'https:')
  await member.start([
    `--cert-file=${server.certFile}`,
    `--key-file=${server.keyFile}`,
    `--trusted-ca-file=${authority.caFile}`,
    '--client-cert-auth',
    '--bcrypt-cost=4',
    `--listen-client-urls=${listen}`,
    `--advertise-client-urls=${url}`,
  ])
  await member.isReady()
  const { certFile, keyFile } = await authority.issue('root')
  const [ca, cert, key] = await Promise.all([authority.caFile, certFile, keyFile].map((file) => readFile(file)))
  client = new EtcdClient(`localhost:${member.ports.client}`, credentials.createSsl(ca, key, cert))
  const folder = join(rig.directory, 'backups')
  await mkdir(folder)
  to = `file://${folder}`
})
after(async () => {
  await Follower.killAll()
  client.close()
  await rig.close()
})

async function follower(commonName: string): Promise<Follower> {
  const { certFile, keyFile } = await authority.issue(commonName)
  return new Follower(url, to, `--cacert=${authority.caFile}`, `--cert=${certFile}`, `--key=${keyFile}`)
}

/** The last revision. */
async function put(): Promise<number> {
  let last = 0
  for (let i = 0; i < PUTS; i++) {
    const request = PutRequest.fromPartial({ key: Buffer.from(`key ${i}`), value: Buffer.from('v') })
    const answer = await client.callBytes('/etcdserverpb.KV/Put', PutRequest.encode(request).finish())
    last = Number(PutResponse.decode(answer).header?.revision)
  }
  return last
}

async function enableAuth(): Promise<void> {
  const root = AuthUserAddRequest.fromPartial({ name: 'root', options: { noPassword: true } })
  const stranger = AuthUserAddRequest.fromPartial({ name: 'stranger', options: { noPassword: true } })
  for (const [method, request] of [
    ['UserAdd', AuthUserAddRequest.encode(root).finish()],
    ['UserAdd', AuthUserAddRequest.encode(stranger).finish()],
    ['UserGrantRole', AuthUserGrantRoleRequest.encode({ user: 'root', role: 'root' }).finish()],
    ['AuthEnable', Buffer.alloc(0)],
  ] as const)
    await client.callBytes(`/etcdserverpb.Auth/${method}`, request)
}

test('changes are kept over TLS, before and after authentication is turned on, and by nobody who may not read them', async () => {
  const first = await follower('root')
  await first.kept(await put())
  await enableAuth()
  const last = await put()
  await first.kept(last)
  assert.equal(await first.kill('SIGTERM'), 0)
  const stranger = await follower('stranger')
  await stranger.says(/Warning: .*permission denied/)
  await stranger.kill()
  const again = await follower('root')
  await again.kept(await put())
})
