/** spec.auth at a real member: the operator's own reconcile and client of etcd's Auth, over a fake API server. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { reconcile } from '../../operator/cluster/reconcile.ts'
import { condition, formed, reasonOf } from '../../operator/cluster/testing/convergence.ts'
import { KEY } from '../../operator/cluster/testing/objects.ts'
import type { World } from '../../operator/cluster/testing/world.ts'
import { EtcdUsersClient } from '../../operator/users-client.ts'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { Rig, type MemberProcess } from './member-process.ts'

const client = new EtcdUsersClient(() => ({ isAllowed: true, withinMs: 10_000 }))
let rig: Rig
let member: MemberProcess

before(async () => {
  rig = await Rig.open()
  const [first] = (await rig.cluster(['a'], ['--bcrypt-cost=4'])).members
  assert(first !== undefined)
  member = first
})
after(() => rig.close())

async function looks(world: World, count: number): Promise<void> {
  for (let look = 0; look < count; look++)
    await reconcile({ ...world.deps({}), users: client, clientUrl: () => member.clientURL }, KEY)
}

async function put(key: string, user: string, password: string): Promise<string> {
  const login = await client.login(member.clientURL, user, password)
  if (!login.ok) return login.error.message
  const request = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from(key), value: Buffer.from('v') })).finish()
  return member.etcd.callBytes('/etcdserverpb.KV/Put', request, undefined, login.value).then(
    () => 'ok',
    ({ details }: { details: string }) => details,
  )
}

const AUTH = {
  enabled: true,
  allowWithoutTLS: true,
  rootSecretRef: { name: 'root' },
  roles: [{ name: 'app', permissions: [{ prefix: '/app/', access: 'ReadWrite' }] }],
  users: [{ name: 'app', passwordSecretRef: { name: 'app' }, roles: ['app'] }],
}

test('users and roles are as declared at a member, too: turned on, changed, and turned off', async () => {
  const world = await formed()
  for (const name of ['root', 'app']) {
    const data = { password: Buffer.from(`${name} pw`).toString('base64') }
    world.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'ns' }, data })
  }
  world.edit({ auth: AUTH })
  // One that makes them, one that turns it on, one that sees it: no revision was counted wrong.
  await looks(world, 3)
  assert.equal(condition(world, 'AuthReady'), 'True', reasonOf(world, 'AuthReady'))
  assert.deepEqual(await client.status(member.clientURL).then((status) => status.ok && status.value.isEnabled), true)
  assert.equal(await put('/app/a', 'app', 'app pw'), 'ok')
  assert.match(await put('/other', 'app', 'app pw'), /permission denied/)

  world.edit({ auth: { ...AUTH, roles: [{ name: 'app', permissions: [{ key: '/other', access: 'Write' }] }] } })
  await looks(world, 2)
  assert.equal(await put('/other', 'app', 'app pw'), 'ok')
  assert.match(await put('/app/a', 'app', 'app pw'), /permission denied/)

  world.edit({ auth: undefined })
  await looks(world, 3)
  assert.deepEqual(await client.users(member.clientURL, '', ['app', 'root']), {
    ok: true,
    value: new Map([['root', ['root']]]),
  })
  assert.match(await put('/app/a', 'app', 'app pw'), /authentication is not enabled/)
})

test('a member that is not there is unreachable, and what etcd refuses is told in its words', async () => {
  const nobody = await client.status('http://127.0.0.1:1')
  assert(!nobody.ok && nobody.error.kind === 'unreachable')
  const refused = await client.change(member.clientURL, '', { kind: 'user-delete', user: 'nobody' }, '')
  assert.deepEqual(refused, { ok: false, error: { kind: 'refused', message: 'etcdserver: user name not found' } })
})
