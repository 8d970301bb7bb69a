/** Cluster, Maintenance, and requests that are no requests. */
import { setTimeout as sleep } from 'node:timers/promises'
import type * as rpc from '../../../node-server/proto/generated/etcd/rpc.ts'
import {
  ALARM,
  DOWNGRADE,
  HASH_KV,
  MEMBER_ADD,
  MEMBER_LIST,
  MEMBER_PROMOTE,
  MEMBER_REMOVE,
  MEMBER_UPDATE,
  MOVE_LEADER,
  PUT,
  RANGE,
  STATUS,
  type Part,
} from '../methods.ts'
import type { Tree } from '../tree.ts'
import { b, put, type Case } from './case.ts'

/** Fields that are told by each server in its own measure keep only whether they are there. */
function withoutSizes(answer: Tree): Tree {
  if (typeof answer !== 'object' || Array.isArray(answer)) return answer
  const own = ['dbSize', 'dbSizeInUse', 'raftIndex', 'raftAppliedIndex', 'raftTerm', 'hash']
  return Object.fromEntries(
    Object.entries(answer).map(([name, value]: [string, Tree]) => [
      name,
      own.includes(name) ? value !== '0n' && value !== 0 : value,
    ]),
  )
}

const OWN_URLS = ['http://127.0.0.1:1']

const CLUSTER: readonly Case[] = [
  {
    name: 'cluster: the list of members',
    run: async (twin) => {
      for (const linearizable of [false, true]) await twin.call(MEMBER_LIST, { linearizable })
    },
  },
  {
    name: 'cluster: what is refused',
    run: async (twin) => {
      const urls = [
        [],
        [''],
        ['nonsense'],
        ['http://'],
        ['http://a'],
        ['http://a:1/path'],
        ['http://a:1/'],
        ['http://a:x'],
        ['ftp://a:1'],
        ['a:1'],
        ['unix'],
        ['unix://a:1', 'nonsense'],
        ['http://a:1', 'nonsense'],
      ]
      for (const peerURLs of urls) {
        await twin.call(MEMBER_ADD, { peerURLs })
        await twin.call(MEMBER_UPDATE, { ID: 99n, peerURLs })
      }
      await twin.call(MEMBER_REMOVE, { ID: 99n })
      await twin.call(MEMBER_PROMOTE, { ID: 99n })
      await twin.call(MEMBER_REMOVE, {})
      await twin.call(MEMBER_UPDATE, { ID: 99n, peerURLs: OWN_URLS })
      await twin.call(MOVE_LEADER, { targetID: 99n })
      await twin.call(MOVE_LEADER, {})
    },
  },
]

const LEARNER_URL = 'http://127.0.0.1:1'
const LEARNERS: readonly Case[] = [
  {
    name: 'cluster: a learner that is added twice and not ready',
    run: async (twin) => {
      const options = { relax: withoutNewIds }
      await twin.call(MEMBER_ADD, { peerURLs: [LEARNER_URL], isLearner: true }, options)
      await sleep(1100) // within one second etcd gives both the same ID, and tells of that
      await twin.call(MEMBER_ADD, { peerURLs: [LEARNER_URL], isLearner: true }, options)
      await twin.call(MEMBER_ADD, { peerURLs: ['http://127.0.0.1:2'], isLearner: true }, options)
      await twin.call(MEMBER_LIST, {}, options)
    },
  },
]

/** The last of all: neither can be used any more. */
const LOST: readonly Case[] = [
  {
    name: 'cluster: a second voter, and a third while the second has never started',
    needsNewServers: true,
    run: async (twin) => {
      await twin.call(MEMBER_ADD, { peerURLs: ['http://127.0.0.1:3'] }, { relax: withoutNewIds })
      await twin.call(MEMBER_ADD, { peerURLs: ['http://127.0.0.1:4'] })
      await sleep(2000) // by then they have no leader
      await twin.call(MEMBER_ADD, { peerURLs: ['http://127.0.0.1:4'] })
    },
  },
]

/** Members in an order of their own and without IDs: a new ID has the time in it, and members are ordered by theirs. */
function withoutNewIds(answer: Tree): Tree {
  if (typeof answer !== 'object' || !('members' in answer)) return answer
  const { members, member, ...rest } = answer
  const list = Array.isArray(members) ? members.map(withoutId) : []
  const isNew = (each: Tree): number => (JSON.stringify(each).includes('"name":"twin"') ? 0 : 1)
  return { ...rest, members: list.toSorted((a, b) => isNew(a) - isNew(b)), member: withoutId(member) }
}

type Fields = Exclude<Tree, string | number | boolean | undefined | readonly Tree[]>

/** `Array.isArray` alone does not tell read-only arrays apart. */
function isFields(tree: Tree): tree is Fields {
  return typeof tree === 'object' && !Array.isArray(tree)
}

function withoutId(member: Tree): Tree {
  return isFields(member) ? { ...member, ID: 'ID' in member } : member
}

const MAINTENANCE: readonly Case[] = [
  {
    name: 'maintenance: status',
    run: async (twin) => void (await twin.call(STATUS, {}, { relax: withoutSizes })),
  },
  {
    name: 'maintenance: alarms',
    run: async (twin) => {
      // etcd ends with a panic on an action that it does not know
      for (let action = 0; action <= 2; action++)
        for (let alarm = 0; alarm <= 2; alarm++) await twin.call(ALARM, { action, alarm } as Part<rpc.AlarmRequest>)
      await twin.call(ALARM, { action: 2, alarm: 1, memberID: 5n })
      await twin.call(ALARM, { action: 2, alarm: 2, memberID: 5n })
      await twin.call(ALARM, { action: 2, alarm: 1 })
      await twin.call(ALARM, { action: 2, alarm: 2 })
      await twin.call(ALARM, {})
    },
  },
  {
    name: 'maintenance: writes under NOSPACE',
    run: async (twin) => {
      await put(twin, 'a')
      await twin.call(ALARM, { action: 1, alarm: 1, memberID: 5n })
      await put(twin, 'a')
      await twin.call(RANGE, { key: b('a') })
      await twin.call(ALARM, { action: 2, alarm: 1, memberID: 5n })
      await put(twin, 'a')
    },
  },
  {
    name: 'maintenance: writes and reads under CORRUPT',
    run: async (twin) => {
      await put(twin, 'a')
      await twin.call(ALARM, { action: 1, alarm: 2, memberID: 5n })
      await put(twin, 'a')
      await twin.call(RANGE, { key: b('a') })
      await twin.call(RANGE, { key: b('a'), serializable: true })
      await twin.call(ALARM, { action: 2, alarm: 2, memberID: 5n })
      await put(twin, 'a')
    },
  },
  {
    name: 'maintenance: hashes at revisions',
    run: async (twin) => {
      await put(twin, 'a')
      const last = await put(twin, 'b')
      for (const revision of [-1n, 0n, 1n, last - 1n, last, last + 1n])
        await twin.call(HASH_KV, { revision }, { relax: withoutSizes })
    },
  },
  {
    name: 'maintenance: downgrade',
    run: async (twin) => {
      for (let action = 0; action <= 3; action++)
        for (const version of ['', 'x', '3', '3.8.0', '4.0.0'])
          await twin.call(DOWNGRADE, { action, version } as Part<rpc.DowngradeRequest>)
    },
  },
]

const NO_REQUESTS: readonly Case[] = [
  {
    name: 'wire: methods and services that are not there',
    run: async (twin) => {
      const paths = [
        '/etcdserverpb.KV/None',
        '/none.Service/None',
        '/etcdserverpb.KV/',
        '/etcdserverpb.KV',
        '/',
        '/a/b/c',
      ]
      for (const path of paths) await twin.callBytes(path, Buffer.alloc(0))
    },
  },
  {
    name: 'wire: bytes that are no message',
    run: async (twin) => {
      const whole = Buffer.from(
        PUT.request.encode(PUT.request.fromPartial({ key: b('k'), value: b('value') })).finish(),
      )
      for (let length = 0; length <= whole.length; length++) await twin.callBytes(PUT.path, whole.subarray(0, length))
      await twin.callBytes(PUT.path, Buffer.alloc(64, 0xff))
      await twin.callBytes(PUT.path, Buffer.of(0x0a, 0x01, 0x61, 0xf8, 0x07, 0x01), 'with an unknown field')
      await twin.callBytes(PUT.path, Buffer.of(0x08, 0x01), 'a number where the key is')
      await twin.callBytes(PUT.path, Buffer.of(0x0b, 0x0c, 0x0a, 0x01, 0x61), 'with a group')
      await twin.callBytes(PUT.path, Buffer.of(0x00, 0x00), 'field number 0')
    },
  },
]

export const OTHER_CASES: readonly Case[] = [...CLUSTER, ...LEARNERS, ...MAINTENANCE, ...NO_REQUESTS, ...LOST]
