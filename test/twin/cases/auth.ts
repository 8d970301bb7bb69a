/** Users, roles, and what they may do. */
import { Permission_Type as Type } from '../../../node-server/proto/generated/etcd/auth.ts'
import {
  ALARM,
  AUTH_DISABLE,
  AUTH_ENABLE,
  AUTH_STATUS,
  AUTHENTICATE,
  COMPACT,
  DEFRAGMENT,
  DELETE_RANGE,
  HASH,
  HASH_KV,
  LEASE_GRANT,
  LEASE_LEASES,
  LEASE_REVOKE,
  LEASE_TIME_TO_LIVE,
  LOCK,
  MEMBER_ADD,
  MEMBER_LIST,
  MEMBER_REMOVE,
  MOVE_LEADER,
  PUT,
  RANGE,
  RANGE_STREAM,
  ROLE_ADD,
  ROLE_DELETE,
  ROLE_GET,
  ROLE_GRANT_PERMISSION,
  ROLE_LIST,
  ROLE_REVOKE_PERMISSION,
  SNAPSHOT,
  STATUS,
  TXN,
  USER_ADD,
  USER_CHANGE_PASSWORD,
  USER_DELETE,
  USER_GET,
  USER_GRANT_ROLE,
  USER_LIST,
  USER_REVOKE_ROLE,
} from '../methods.ts'
import { keepAlive, withRoundedTtl } from '../leases.ts'
import type { Tree } from '../tree.ts'
import type { Twin } from '../twin.ts'
import { grant, withUsers, type UserSpecs } from '../users.ts'
import { WatchPair } from '../watch-pair.ts'
import { b, type Case } from './case.ts'

/** u reads a to c and writes b to d; one reads one key; none may do nothing. */
const USERS: UserSpecs = {
  u: [
    { permType: Type.READ, key: 'a', end: 'c' },
    { permType: Type.WRITE, key: 'b', end: 'd' },
  ],
  one: [{ permType: Type.READ, key: 'k', end: '' }],
  all: [{ permType: Type.READWRITE, key: '\0', end: '\0' }],
  none: [],
}
const ASKERS = [undefined, 'u', 'one', 'all', 'none', 'root']

async function asEach(twin: Twin, run: () => Promise<void>): Promise<void> {
  for (const asker of ASKERS) {
    twin.asker = asker
    await run()
  }
}

/** Only whether there is an answer: what is in it is each server's own. */
const isAnswered = (answer: Tree): Tree =>
  typeof answer === 'object' && !Array.isArray(answer) && 'text' in answer ? answer : 'an answer'

const getOp = (key: string, rangeEnd = ''): object => ({
  request: { $case: 'requestRange', value: { key: b(key), rangeEnd: b(rangeEnd) } },
})
const putOp = (key: string, fields: object = {}): object => ({
  request: { $case: 'requestPut', value: { key: b(key), ...fields } },
})
const deleteOp = (key: string, fields: object = {}): object => ({
  request: { $case: 'requestDeleteRange', value: { key: b(key), ...fields } },
})

export const AUTH_CASES: readonly Case[] = [
  {
    name: 'auth: while it is disabled',
    run: async (twin) => {
      await twin.call(AUTH_STATUS)
      await twin.call(AUTHENTICATE, { name: 'root', password: 'x' })
      await twin.call(AUTH_DISABLE)
      await twin.call(USER_LIST)
      await twin.call(ROLE_LIST)
      await twin.call(USER_GET, { name: 'nobody' })
      await twin.call(ROLE_GET, { role: 'none' })
      await twin.call(RANGE, { key: b('a') }, { headers: { token: 'nonsense' } })
    },
  },
  {
    name: 'auth: users and roles are made, changed and refused',
    run: async (twin) => {
      await twin.call(AUTH_ENABLE)
      for (const name of ['', 'x', 'x', 'a b', 'é', 'long'.repeat(50)])
        await twin.call(USER_ADD, { name, password: 'p' })
      await twin.call(USER_ADD, { name: 'empty' })
      await twin.call(USER_ADD, { name: 'certified', options: { noPassword: true } })
      await twin.call(USER_ADD, { name: 'too long', password: 'p'.repeat(73) })
      for (const name of ['', 'r', 'r', 'q']) await twin.call(ROLE_ADD, { name })
      for (const role of ['r', 'q', 'r', 'none', 'root']) await twin.call(USER_GRANT_ROLE, { user: 'x', role })
      await twin.call(USER_GRANT_ROLE, { user: 'nobody', role: 'r' })
      await twin.call(USER_GET, { name: 'x' })
      for (const [key, end] of [
        ['', ''],
        ['b', 'a'],
        ['a', 'a'],
        ['b', ''],
        ['a', 'c'],
        ['d', '\0'],
      ] as const)
        // prettier-ignore
        await grant(twin, 'r', { permType: Type.READ, key, end })
      await grant(twin, 'r', { permType: Type.READWRITE, key: 'b', end: '' })
      await twin.call(ROLE_GRANT_PERMISSION, { name: 'r' })
      await grant(twin, 'none', { permType: Type.READ, key: 'a', end: '' })
      await twin.call(ROLE_GET, { role: 'r' })
      await twin.call(ROLE_REVOKE_PERMISSION, { role: 'r', key: b('a'), rangeEnd: b('c') })
      await twin.call(ROLE_REVOKE_PERMISSION, { role: 'r', key: b('a'), rangeEnd: b('c') })
      await twin.call(ROLE_GET, { role: 'r' })
      await twin.call(USER_REVOKE_ROLE, { name: 'x', role: 'q' })
      await twin.call(USER_REVOKE_ROLE, { name: 'x', role: 'q' })
      await twin.call(ROLE_DELETE, { role: 'r' })
      await twin.call(USER_GET, { name: 'x' })
      await twin.call(USER_CHANGE_PASSWORD, { name: 'nobody', password: 'p' })
      await twin.call(USER_CHANGE_PASSWORD, { name: 'x', password: 'p' })
      await twin.call(USER_DELETE, { name: 'nobody' })
      await twin.call(AUTH_STATUS)
      for (const name of (await twin.call(USER_LIST))?.users ?? []) await twin.call(USER_DELETE, { name })
      for (const role of (await twin.call(ROLE_LIST))?.roles ?? []) await twin.call(ROLE_DELETE, { role })
    },
  },
  {
    name: 'auth: who may read and write which keys',
    run: (twin) =>
      withUsers(twin, USERS, async () => {
        await asEach(twin, async () => {
          for (const key of ['a', 'b', 'c', 'k', 'z']) {
            await twin.call(PUT, { key: b(key), value: b('v') })
            await twin.call(PUT, { key: b(key), value: b('v'), prevKv: true })
            await twin.call(RANGE, { key: b(key) })
            await twin.call(RANGE, { key: b(key), serializable: true })
            await twin.call(DELETE_RANGE, { key: b(key), prevKv: true })
          }
          for (const [key, end] of [
            ['a', 'c'],
            ['a', 'd'],
            ['b', 'c'],
            ['k', 'l'],
            ['k', '\0'],
            ['\0', '\0'],
            ['b', 'a'],
            ['z', 'a'],
          ] as const) {
            // prettier-ignore
            await twin.call(RANGE, { key: b(key), rangeEnd: b(end) })
            await twin.collect(RANGE_STREAM, { key: b(key), rangeEnd: b(end) })
            await twin.call(DELETE_RANGE, { key: b(key), rangeEnd: b(end) })
            await twin.call(DELETE_RANGE, { key: b(key), rangeEnd: b(end), prevKv: true })
          }
        })
      }),
  },
  {
    name: 'auth: every operation of a txn counts',
    run: (twin) =>
      withUsers(twin, USERS, () =>
        asEach(twin, async () => {
          const inner = (operation: object): object => ({
            request: { $case: 'requestTxn', value: { success: [operation] } },
          })
          for (const operation of [
            getOp('a'),
            getOp('c'),
            getOp('a', 'd'),
            putOp('b'),
            putOp('a'),
            putOp('c', { prevKv: true }),
            putOp('b', { prevKv: true }),
            deleteOp('c'),
            deleteOp('c', { prevKv: true }),
            deleteOp('b', { rangeEnd: b('z') }),
          ]) {
            await twin.call(TXN, { success: [operation] })
            await twin.call(TXN, { failure: [operation] })
            await twin.call(TXN, { success: [inner(inner(operation))] })
          }
          for (const key of ['a', 'c'])
            await twin.call(TXN, {
              compare: [{ key: b(key), target: 0, result: 0, targetUnion: { $case: 'version', value: 0n } }],
            })
        }),
      ),
  },
  {
    name: 'auth: leases, by the keys that they have',
    run: (twin) =>
      withUsers(twin, USERS, async () => {
        const [own, foreign, empty, absent] = [11n, 12n, 13n, 14n]
        twin.asker = 'root'
        for (const ID of [own, foreign, empty]) await twin.call(LEASE_GRANT, { ID, TTL: 1000n })
        await twin.call(PUT, { key: b('b'), lease: own })
        await twin.call(PUT, { key: b('z'), lease: foreign })
        for (const asker of ASKERS) {
          twin.asker = asker
          for (const ID of [own, foreign, empty, absent]) {
            for (const keys of [false, true])
              await twin.call(LEASE_TIME_TO_LIVE, { ID, keys }, { relax: withRoundedTtl })
            await keepAlive(twin, ID)
            await twin.call(PUT, { key: b('c'), lease: ID })
            await twin.call(TXN, { success: [putOp('c', { lease: ID })] })
            await twin.call(PUT, { key: b('c') })
            if (asker !== 'root' && asker !== 'all') await twin.call(LEASE_REVOKE, { ID: ID === empty ? absent : ID })
          }
          await twin.call(LEASE_LEASES)
          await twin.call(LEASE_GRANT, { ID: 20n + BigInt(ASKERS.indexOf(asker)), TTL: 1000n })
        }
      }),
  },
  {
    name: 'auth: watches',
    run: (twin) =>
      withUsers(twin, USERS, async () => {
        for (const asker of ASKERS) {
          twin.asker = asker
          for (const [key, end] of [
            ['a', ''],
            ['k', ''],
            ['k', '\0'],
            ['a', 'c'],
            ['a', 'd'],
            ['', '\0'],
            ['', ''],
          ] as const) {
            // prettier-ignore
            const pair = new WatchPair(twin, `${asker} ${key} ${end}`)
            await pair.create({ key: b(key), rangeEnd: b(end) }, false)
            pair.compare()
            pair.close()
          }
        }
      }),
  },
  {
    name: 'auth: what is for admins, and for whoever has a name',
    run: (twin) =>
      withUsers(twin, USERS, () =>
        asEach(twin, async () => {
          const relaxed = { relax: isAnswered }
          await twin.call(STATUS, {}, relaxed)
          await twin.call(MEMBER_LIST)
          await twin.call(MEMBER_LIST, { linearizable: true })
          await twin.call(ALARM, { action: 0 })
          await twin.call(ALARM, { action: 2 })
          await twin.call(HASH_KV, {}, relaxed)
          await twin.call(HASH, {}, relaxed)
          await twin.call(DEFRAGMENT)
          await twin.collect(SNAPSHOT, {}, relaxed)
          await twin.call(MEMBER_REMOVE, { ID: 99n })
          if (twin.asker !== 'root') await twin.call(MEMBER_ADD, { peerURLs: ['http://127.0.0.1:1'] })
          await twin.call(MOVE_LEADER, { targetID: 99n })
          await twin.call(COMPACT, { revision: 1n })
          await twin.call(AUTH_STATUS)
          await twin.call(USER_LIST)
          await twin.call(ROLE_LIST)
          for (const name of ['u', 'root', 'nobody', '']) await twin.call(USER_GET, { name })
          for (const role of ['u', 'root', 'nobody', '']) await twin.call(ROLE_GET, { role })
          if (twin.asker === 'root') return
          await twin.call(AUTH_ENABLE)
          await twin.call(AUTH_DISABLE)
          await twin.call(USER_ADD, { name: 'x', password: 'p' })
          await twin.call(USER_CHANGE_PASSWORD, { name: 'u', password: 'p' })
          await twin.call(USER_DELETE, { name: 'u' })
          await twin.call(USER_GRANT_ROLE, { user: 'u', role: 'root' })
          await twin.call(USER_REVOKE_ROLE, { name: 'u', role: 'u' })
          await twin.call(ROLE_ADD, { name: 'x' })
          await twin.call(ROLE_DELETE, { role: 'u' })
          await grant(twin, 'u', { permType: Type.READ, key: 'a', end: '' })
          await twin.call(ROLE_REVOKE_PERMISSION, { role: 'u', key: b('a') })
        }),
      ),
  },
  {
    name: 'auth: root is not taken away while it is on',
    run: (twin) =>
      withUsers(twin, { u: [] }, async () => {
        twin.asker = 'root'
        await twin.call(USER_DELETE, { name: 'root' })
        await twin.call(ROLE_DELETE, { role: 'root' })
        await twin.call(USER_REVOKE_ROLE, { name: 'root', role: 'root' })
        await twin.call(ROLE_ADD, { name: 'root' })
        await twin.call(ROLE_GET, { role: 'root' })
        await twin.call(ROLE_DELETE, { role: 'root' })
        await twin.call(USER_GRANT_ROLE, { user: 'u', role: 'root' })
        await twin.call(AUTH_ENABLE)
      }),
  },
  {
    name: 'auth: tokens',
    run: (twin) =>
      withUsers(twin, USERS, async () => {
        const ask = (headers: Readonly<Record<string, string>>): Promise<unknown> =>
          twin.call(RANGE, { key: b('a') }, { headers })
        for (const token of ['', 'x', 'x.1', 'x.y', 'Bearer x.1', 'a.b.1']) {
          await ask({ token })
          await ask({ authorization: token })
        }
        for (const [name, password] of [
          ['u', 'wrong'],
          ['u', ''],
          ['nobody', ''],
          ['', ''],
        ] as const)
          // prettier-ignore
          await twin.call(AUTHENTICATE, { name, password })
        twin.asker = 'root'
        await twin.call(USER_ADD, { name: 'certified', options: { noPassword: true } })
        twin.asker = undefined
        await twin.call(AUTHENTICATE, { name: 'certified', password: '' })
        twin.asker = 'root'
        await twin.call(USER_CHANGE_PASSWORD, { name: 'u', password: 'new' })
        twin.asker = 'u' // whose token has ended
        await twin.call(RANGE, { key: b('a') })
        await twin.signIn('u', 'new')
        await twin.call(RANGE, { key: b('a') })
        twin.asker = 'root'
        await twin.call(USER_DELETE, { name: 'u' })
        twin.asker = 'u'
        await twin.call(RANGE, { key: b('a') })
      }),
  },
  {
    name: 'auth: a lock',
    run: (twin) =>
      withUsers(twin, { reader: [{ permType: Type.READ, key: 'l/', end: 'l0' }], ...USERS }, async () => {
        for (const asker of [undefined, 'none', 'reader', 'all']) {
          twin.asker = 'root'
          await twin.call(LEASE_GRANT, { ID: 30n, TTL: 1000n })
          twin.asker = asker
          await twin.call(LOCK, { name: b('l'), lease: 30n })
          twin.asker = 'root'
          await twin.call(LEASE_REVOKE, { ID: 30n })
        }
      }),
  },
]
