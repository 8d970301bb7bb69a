/** spec.auth: users and roles are kept as declared, what others made is left alone, and nobody is locked out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { permissionOf } from './rules/users.ts'
import { condition, formed, look, reasonOf, rounds } from './testing/convergence.ts'
import { wrongWithKeptUsers } from './testing/users-property.ts'
import type { World } from './testing/world.ts'

function secret(world: World, name: string, password: string): void {
  const data = { password: Buffer.from(password).toString('base64') }
  world.put({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'ns' }, data })
}

const AUTH = {
  enabled: true,
  allowWithoutTLS: true,
  rootSecretRef: { name: 'root-secret' },
  roles: [{ name: 'app', permissions: [{ prefix: '/app/', access: 'ReadWrite' }] }],
  users: [
    { name: 'app', passwordSecretRef: { name: 'app-secret' }, roles: ['app'] },
    { name: 'backup', certificateOnly: true, roles: ['root'] },
  ],
}

async function secured(auth: object = AUTH): Promise<World> {
  const world = await formed({ auth })
  secret(world, 'root-secret', 'root pw')
  secret(world, 'app-secret', 'app pw')
  await rounds(world, 6)
  return world
}

test('users and roles are made, then authentication is turned on, and from there on a look needs no login', async () => {
  const world = await secured()
  const { users } = world
  assert(users.isEnabled && users.takes('root', 'root pw') && users.takes('app', 'app pw'))
  assert.deepEqual([...(users.people.get('backup')?.roles ?? [])], ['root'])
  assert.equal(users.people.get('backup')?.password, undefined)
  assert.deepEqual(users.granted.get('app'), [permissionOf({ prefix: '/app/', access: 'ReadWrite' })])
  assert.equal(users.steps.at(-1)?.kind, 'enable')
  assert.equal(condition(world, 'AuthReady'), 'True')
  assert(world.events.includes('AuthEnabled'))
  const { logins } = users
  await rounds(world, 5)
  assert.equal(users.logins, logins)
})

test('without the password of root authentication stays off, and the condition says whose is missing', async () => {
  const world = await formed({ auth: AUTH })
  await rounds(world, 5)
  assert.equal(world.users.isEnabled, false)
  assert.match(reasonOf(world, 'AuthReady'), /^PasswordMissing: no Secret has the password of root, app/)
})

test('whoever changes root in the very moment does not lock the operator out: the password is set once more', async () => {
  const world = await formed({ auth: AUTH })
  secret(world, 'root-secret', 'root pw')
  secret(world, 'app-secret', 'app pw')
  await look(world)
  assert.equal(world.users.isEnabled, false)
  world.users.byHand({ kind: 'change-password', user: 'root' }, 'of somebody')
  await rounds(world, 5)
  assert(world.users.isEnabled && world.users.takes('root', 'root pw'))
})

test('what is not declared any more goes, what somebody made stays, and a hand edit of what is declared is put back', async () => {
  const world = await secured()
  const { users } = world
  users.byHand({ kind: 'user-add', user: 'hand', certificateOnly: false }, 'hand pw')
  users.byHand({ kind: 'role-add', role: 'hands' })
  users.byHand({ kind: 'revoke-role', user: 'app', role: 'app' })
  users.byHand({ kind: 'grant-permission', role: 'app', permission: permissionOf({ key: 'k', access: 'Read' }) })
  await rounds(world, 3)
  assert.deepEqual([...(users.people.get('app')?.roles ?? [])], ['app'])
  assert.equal(users.granted.get('app')?.length, 1)
  world.edit({ auth: { ...AUTH, users: [], roles: [] } })
  await rounds(world, 3)
  assert.deepEqual([...users.people.keys()].toSorted(), ['hand', 'root'])
  assert.deepEqual([...users.granted.keys()].toSorted(), ['hands', 'root'])
})

test('another password in the Secret is the user’s; one of root’s that the cluster does not have changes nothing', async () => {
  const world = await secured()
  secret(world, 'app-secret', 'next')
  await rounds(world, 3)
  assert(world.users.takes('app', 'next'))
  secret(world, 'root-secret', 'another')
  await rounds(world, 3)
  assert.match(reasonOf(world, 'AuthReady'), /^LoginFailed: root: .*put the earlier one back.*etcdctl user passwd root/)
  assert.equal(condition(world, 'Ready'), 'True')
  world.users.byHand({ kind: 'change-password', user: 'root' }, 'another')
  await rounds(world, 3)
  assert.equal(condition(world, 'AuthReady'), 'True')
})

test('turned off, and taken out of the spec: nobody needs a name, and what was declared is gone', async () => {
  const world = await secured()
  world.edit({ auth: { ...AUTH, enabled: false } })
  await rounds(world, 3)
  assert.equal(world.users.isEnabled, false)
  assert(world.users.people.has('app'))
  world.edit({ auth: AUTH })
  await rounds(world, 4)
  assert.equal(world.users.isEnabled, true)
  world.edit({ auth: undefined })
  await rounds(world, 5)
  assert.equal(world.users.isEnabled, false)
  assert.deepEqual([...world.users.people.keys()], ['root'])
  assert.equal(world.status()['auth'], undefined)
  assert.match(reasonOf(world, 'AuthReady'), /^NotDeclared/)
})

test('a paused cluster keeps its users as they are', async () => {
  const world = await secured()
  world.edit({ paused: true, auth: { ...AUTH, enabled: false } })
  await rounds(world, 3)
  assert.equal(world.users.isEnabled, true)
  world.edit({ paused: false })
  await rounds(world, 3)
  assert.equal(world.users.isEnabled, false)
})

test('no password is in status, an event or a condition', async () => {
  const world = await secured()
  secret(world, 'root-secret', 'another')
  await rounds(world, 3)
  const told = JSON.stringify([world.status(), world.events])
  for (const password of ['root pw', 'app pw', 'another']) assert(!told.includes(password), password)
})

test('a range of keys is as etcd has it', () => {
  const range = (given: object): readonly string[] => {
    const { key, rangeEnd } = permissionOf({ access: 'Read', ...given })
    return [key.toString(), rangeEnd.toString()]
  }
  assert.deepEqual(range({ key: 'a' }), ['a', ''])
  assert.deepEqual(range({ prefix: 'a/' }), ['a/', 'a0'])
  assert.deepEqual(range({ prefix: '' }), ['\0', '\0'])
  assert.deepEqual(range({ range: { from: 'a', to: 'c' } }), ['a', 'c'])
  assert.deepEqual(range({ range: { from: 'a' } }), ['a', '\0'])
})

test('whoever edits the spec, the Secrets and users by hand, and whichever call fails, nobody is locked out', async () => {
  assert.equal(await wrongWithKeptUsers(60, 1), undefined)
})
