// What is expected here was observed on etcd 3.7.3, but for what says otherwise.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AuthUserChangePasswordRequest,
  AuthUserDeleteRequest,
  AuthRoleDeleteRequest,
} from '../../proto/generated/etcd/rpc.ts'
import { hashState } from '../testing/hash-state.ts'
import { MemoryBackend } from '../memory-backend.ts'
import { Store } from '../store.ts'
import {
  addRole,
  addUser,
  applyAs,
  as,
  changeUsers,
  enableWith,
  grantPermission,
  grantRole,
  revokePermission,
  revokeRole,
  said,
} from '../testing/users.ts'
import { encodeAuthChange, encodeAuthenticated } from './change.ts'
import { MAX_NAME_SIZE_BYTES } from './rows.ts'

const newStore = (): Store => new Store(new MemoryBackend())
const deleteUser = (store: Store, name: string): string =>
  changeUsers(store, 'user-delete', AuthUserDeleteRequest.encode({ name }).finish())
const deleteRole = (store: Store, role: string): string =>
  changeUsers(store, 'role-delete', AuthRoleDeleteRequest.encode({ role }).finish())

test('authentication is turned on only when there is somebody who can turn it off', () => {
  const store = newStore()
  assert.equal(changeUsers(store, 'enable'), 'root-user-missing')
  assert.equal(addUser(store, 'root'), 'ok')
  assert.equal(changeUsers(store, 'enable'), 'root-role-missing')
  assert.equal(grantRole(store, 'root', 'root'), 'ok') // a role of that name need not exist
  assert.equal(changeUsers(store, 'enable'), 'ok')
  assert.equal(changeUsers(store, 'enable'), 'ok')
  assert.ok(store.auth.isEnabled)
})

test('while it is on, nobody takes root, its role or its being root away', () => {
  const store = newStore()
  enableWith(store, {})
  assert.equal(addRole(store, 'root'), 'ok')
  assert.equal(deleteUser(store, 'root'), 'invalid-auth-management')
  assert.equal(deleteRole(store, 'root'), 'invalid-auth-management')
  assert.equal(revokeRole(store, 'root', 'root'), 'invalid-auth-management')
  assert.equal(changeUsers(store, 'disable'), 'ok')
  assert.equal(revokeRole(store, 'root', 'root'), 'ok')
  assert.equal(deleteUser(store, 'root'), 'ok')
})

test('each change of users and roles counts; turning on does not, turning off does', () => {
  const store = newStore()
  const counted = (change: () => string): number => {
    const before = store.auth.revision
    assert.equal(change(), 'ok')
    return store.auth.revision - before
  }
  assert.equal(store.auth.revision, 1)
  assert.equal(
    counted(() => addUser(store, 'root')),
    1,
  )
  assert.equal(
    counted(() => grantRole(store, 'root', 'root')),
    1,
  )
  assert.equal(
    counted(() => grantRole(store, 'root', 'root')),
    0,
  )
  assert.equal(
    counted(() => changeUsers(store, 'enable')),
    0,
  )
  assert.equal(
    counted(() => addRole(store, 'r')),
    1,
  )
  assert.equal(
    counted(() => grantPermission(store, 'r', 'READ', 'a')),
    1,
  )
  assert.equal(
    counted(() => grantPermission(store, 'r', 'READ', 'a')),
    1,
  )
  assert.equal(
    counted(() => changeUsers(store, 'disable')),
    1,
  )
  assert.equal(
    counted(() => changeUsers(store, 'disable')),
    0,
  )
})

test('what is not there, or is there already, is refused by its name', () => {
  const store = newStore()
  assert.equal(addUser(store, ''), 'user-empty')
  assert.equal(addRole(store, ''), 'role-empty')
  assert.equal(addUser(store, 'u'), 'ok')
  assert.equal(addUser(store, 'u'), 'user-exists')
  assert.equal(addRole(store, 'r'), 'ok')
  assert.equal(addRole(store, 'r'), 'role-exists')
  assert.equal(grantRole(store, 'x', 'r'), 'user-not-found')
  assert.equal(grantRole(store, 'u', 'x'), 'role-not-found')
  assert.equal(revokeRole(store, 'u', 'r'), 'role-not-granted')
  assert.equal(grantPermission(store, 'x', 'READ', 'a'), 'role-not-found')
  assert.equal(revokePermission(store, 'r', 'a'), 'permission-not-granted')
  assert.equal(deleteUser(store, 'x'), 'user-not-found')
  assert.equal(deleteRole(store, 'x'), 'role-not-found')
  for (const [key, rangeEnd] of [
    ['', ''],
    ['b', 'a'],
    ['a', 'a'],
  ] as const)
    // prettier-ignore
    assert.equal(grantPermission(store, 'r', 'READ', key, rangeEnd), 'invalid-auth-management')
  assert.equal(changeUsers(store, 'role-grant-permission'), 'permission-not-given')
  assert.equal(changeUsers(store, 'user-delete', Buffer.of(0xff)), 'malformed-request')
})

test('a name fits the index, to its last byte (ours)', () => {
  const store = newStore()
  const longest = 'é'
    .repeat(MAX_NAME_SIZE_BYTES / 2)
    .padEnd(MAX_NAME_SIZE_BYTES - Math.floor(MAX_NAME_SIZE_BYTES / 2), 'x')
  assert.equal(Buffer.byteLength(longest), MAX_NAME_SIZE_BYTES)
  assert.deepEqual([addUser(store, longest), addRole(store, longest)], ['ok', 'ok'])
  assert.deepEqual([addUser(store, `${longest}x`), addRole(store, `${longest}x`)], ['name-too-long', 'name-too-long'])
})

test('a range is granted once: the last grant of it counts (etcd may keep both)', () => {
  const store = newStore()
  addRole(store, 'r')
  grantPermission(store, 'r', 'READ', 'a')
  grantPermission(store, 'r', 'READWRITE', 'a', 'b')
  grantPermission(store, 'r', 'READ', 'a', 'b')
  assert.deepEqual(
    store.auth
      .role('r')
      ?.permissions.map(({ permType, key, rangeEnd }) => `${permType} ${key.toString()} ${rangeEnd.toString()}`),
    ['0 a ', '0 a b'],
  )
})

test('a role that goes is taken from all who have it', () => {
  const store = newStore()
  for (const user of ['u', 'v']) addUser(store, user)
  for (const role of ['b', 'a']) addRole(store, role)
  for (const user of ['u', 'v']) for (const role of ['b', 'a']) grantRole(store, user, role)
  assert.deepEqual(store.auth.user('u')?.roles, ['a', 'b'])
  assert.equal(deleteRole(store, 'a'), 'ok')
  assert.deepEqual([store.auth.user('u')?.roles, store.auth.user('v')?.roles], [['b'], ['b']])
})

test('changes are for who has the role root; nobody else learns more than that it may not', () => {
  const store = newStore()
  enableWith(store, { u: [['READWRITE', 'a', '\0']] })
  const change = (username: string | undefined, revision = store.auth.revision): string =>
    said(
      applyAs(
        store,
        username === undefined ? undefined : { username, revision },
        'auth',
        encodeAuthChange('disable', Buffer.alloc(0)),
      ),
    )
  assert.equal(change(undefined), 'user-empty')
  assert.equal(change(''), 'user-empty')
  assert.equal(change('u'), 'permission-denied')
  assert.equal(change('x'), 'user-not-found')
  assert.equal(change('root', 1), 'ok') // whenever it was identified
})

test('a token is named by its entry, at the auth revision at which its password was checked', () => {
  const store = newStore()
  enableWith(store, { u: [] })
  addUser(store, 'certified', { options: { noPassword: true } })
  const authenticate = (username: string, revision = store.auth.revision): ReturnType<typeof applyAs> => {
    const authenticated = encodeAuthenticated({ username, revision, tokenPrefix: 'prefix' })
    return applyAs(store, undefined, 'auth', encodeAuthChange('authenticate', authenticated))
  }
  const result = authenticate('u')
  assert.ok(result.ok && result.value.kind === 'auth')
  assert.deepEqual(result.value.effect, { kind: 'authenticated', username: 'u', token: `prefix.${store.appliedIndex}` })
  assert.equal(said(authenticate('u', store.auth.revision - 1)), 'auth-old-revision')
  assert.equal(said(authenticate('x')), 'auth-failed')
  assert.equal(said(authenticate('certified')), 'auth-failed')
  changeUsers(store, 'disable')
  assert.equal(said(authenticate('u')), 'auth-not-enabled')
})

test('a user that is deleted, or has another password, is signed out', () => {
  const store = newStore()
  enableWith(store, { u: [] })
  const changed = AuthUserChangePasswordRequest.encode({ name: 'u', password: '', hashedPassword: 'aGFzaA==' }).finish()
  const result = applyAs(store, as(store, 'root'), 'auth', encodeAuthChange('user-change-password', changed))
  assert.ok(result.ok && result.value.kind === 'auth')
  assert.deepEqual(result.value.effect, { kind: 'signed-out', username: 'u' })
  assert.equal(Buffer.from(store.auth.user('u')?.passwordHash ?? []).toString(), 'hash')
})

test('users, roles and that they count are in the store: a restart and a snapshot have them', async () => {
  const backend = new MemoryBackend()
  const store = new Store(backend)
  enableWith(store, { u: [['READ', 'a'], ['WRITE', 'b', 'c']] }) // prettier-ignore
  addUser(store, 'certified', { options: { noPassword: true } })
  await store.commit()
  const found = new Store(backend)
  assert.equal(hashState(found), hashState(store))
  assert.deepEqual(
    [found.auth.isEnabled, found.auth.revision, found.auth.userNames(), found.auth.roleNames()],
    [true, store.auth.revision, ['certified', 'root', 'u'], ['us']],
  )
  for (const name of ['u', 'root', 'certified']) assert.deepEqual(found.auth.user(name), store.auth.user(name))
  assert.deepEqual(found.auth.role('us'), store.auth.role('us'))
})
