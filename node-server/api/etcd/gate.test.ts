import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../lib/system-clock.ts'
import type { CallContext, RpcStatus, RpcStream, ServiceTable } from '../../grpc/service.ts'
import { addUser, applyAs, as, changeUsers, enableWith } from '../../mvcc/testing/users.ts'
import type { SignedTokens, Tokens } from '../../node/auth/tokens.ts'
import {
  AlarmRequest,
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmType,
  AuthUserGetRequest,
  CompactionRequest,
  DeleteRangeRequest,
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
  MemberAddRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
  WatchRequest,
  WatchResponse,
} from '../../proto/generated/etcd/rpc.ts'
import { ProclaimRequest, ResignRequest } from '../../proto/generated/etcd/election.ts'
import { etcdServices } from './services.ts'
import { MemoryMember } from './testing/memory-member.ts'

const b = (text: string): Buffer => Buffer.from(text)
const NOTHING = Buffer.alloc(0)
const LEASE = 7n

/** Tokens that are the user's name, good from the revision at which they are shown. */
function namedTokens(member: MemoryMember): Tokens {
  const named: SignedTokens = {
    kind: 'signed',
    sign: async ({ username }) => username,
    verify: async (username) =>
      username === 'forged' ? undefined : { username, revision: member.store.auth.revision },
  }
  return named
}

interface Served {
  readonly member: MemoryMember
  readonly services: ServiceTable
}

/** u reads and writes from a to c; the lease has a key of u's and one that is not. */
function served(isClientCertAuth = false): Served {
  const member = new MemoryMember()
  enableWith(member.store, { u: [['READWRITE', 'a', 'c']], one: [['READ', 'k']] }) // prettier-ignore
  const root = (kind: Parameters<typeof applyAs>[2], request: Uint8Array): void =>
    assert.ok(applyAs(member.store, as(member.store, 'root'), kind, request).ok)
  root('lease-grant', LeaseGrantRequest.encode({ ID: LEASE, TTL: 60n }).finish())
  for (const key of ['a', 'z'])
    root('put', PutRequest.encode(PutRequest.fromPartial({ key: b(key), value: b('secret'), lease: LEASE })).finish())
  const auth = { tokens: namedTokens(member), isClientCertAuth }
  return { member, services: etcdServices(member, { maxTxnOps: 128, clock: systemClock, auth }) }
}

interface Asked {
  readonly code: RpcStatus['code'] | 'OK'
  readonly message: string
  readonly messages: readonly Uint8Array[]
}

/** A stream is given one request and ends after so many answers, or with its status. */
async function ask(
  { services }: Served,
  path: string,
  request: Uint8Array,
  headers: Readonly<Record<string, string>>,
  commonName?: string,
): Promise<Asked> {
  const method = services[path]
  assert.ok(method !== undefined, path)
  const ending = new AbortController()
  const context: CallContext = {
    metadata: (name) => headers[name],
    signal: ending.signal,
    peer: '',
    commonName,
  }
  if (method.kind === 'unary') {
    const answer = await method.handle(request, context)
    return answer.ok ? { code: 'OK', message: '', messages: [answer.value] } : { ...answer.error, messages: [] }
  }
  const messages: Uint8Array[] = []
  async function* requests(): AsyncGenerator<Uint8Array> {
    yield request
  }
  const write: RpcStream['write'] = (responses) => {
    for (const response of responses) messages.push(Buffer.concat(response))
    ending.abort()
    return true
  }
  const ended = await method.handle({ requests: requests(), write, drained: async () => true }, context)
  return ended === undefined ? { code: 'OK', message: '', messages } : { ...ended, messages }
}

const leader = { name: b('a'), key: b('a/7'), rev: 1n, lease: LEASE }

/** Of methods that look into their request before they ask who sends it: one that passes. */
const REQUESTS: Readonly<Record<string, Uint8Array>> = {
  '/etcdserverpb.KV/Range': RangeRequest.encode(RangeRequest.fromPartial({ key: b('a') })).finish(),
  '/etcdserverpb.KV/RangeStream': RangeRequest.encode(RangeRequest.fromPartial({ key: b('a') })).finish(),
  '/etcdserverpb.KV/Put': PutRequest.encode(PutRequest.fromPartial({ key: b('a') })).finish(),
  '/etcdserverpb.KV/DeleteRange': DeleteRangeRequest.encode(DeleteRangeRequest.fromPartial({ key: b('a') })).finish(),
  '/etcdserverpb.KV/Txn': TxnRequest.encode({
    compare: [],
    success: [{ request: { $case: 'requestRange', value: RangeRequest.fromPartial({ key: b('a') }) } }],
    failure: [],
  }).finish(),
  '/etcdserverpb.Auth/UserGet': AuthUserGetRequest.encode({ name: 'u' }).finish(),
  '/etcdserverpb.Cluster/MemberAdd': MemberAddRequest.encode({ peerURLs: ['http://a:1'], isLearner: false }).finish(),
  '/etcdserverpb.Watch/Watch': watchOf('a', ''),
  '/v3electionpb.Election/Proclaim': ProclaimRequest.encode({ leader, value: b('x') }).finish(),
  '/v3electionpb.Election/Resign': ResignRequest.encode({ leader }).finish(),
}

function watchOf(key: string, rangeEnd: string): Uint8Array {
  const createRequest = { key: b(key), rangeEnd: b(rangeEnd) }
  return WatchRequest.encode(
    WatchRequest.fromPartial({ requestUnion: { $case: 'createRequest', value: createRequest } }),
  ).finish()
}

/** What somebody without a name gets to know all the same: that it is off or on, a token for a password, nothing of the data. */
const FOR_ANYBODY = [
  '/etcdserverpb.Auth/AuthStatus',
  '/etcdserverpb.Auth/Authenticate',
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
]

test('whoever says no name is refused by every method but those that are for anybody (etcd: GHSA-q8m4-xhhv-38mg)', async () => {
  const { services } = served()
  const open: string[] = []
  for (const path of Object.keys(services)) {
    if (FOR_ANYBODY.includes(path)) continue
    const asked = await ask(served(), path, REQUESTS[path] ?? NOTHING, {})
    const told = path.includes('Watch') ? watchText(asked) : asked.message
    if (!told.endsWith('etcdserver: user name is empty')) open.push(`${path}: ${asked.code} ${told}`)
  }
  assert.deepEqual(open, [])
})

test('a token that is none is refused by every method but those that look at none', async () => {
  const { services } = served()
  const open: string[] = []
  for (const path of Object.keys(services)) {
    if (FOR_ANYBODY.slice(1).includes(path)) continue
    const asked = await ask(served(), path, REQUESTS[path] ?? NOTHING, { token: 'forged' })
    const told = path.includes('Watch') ? watchText(asked) : asked.message
    if (!told.endsWith('etcdserver: invalid auth token')) open.push(`${path}: ${asked.code} ${told}`)
  }
  assert.deepEqual(open, [])
})

function watchText({ messages }: Asked): string {
  const [first] = messages
  return first === undefined ? '' : WatchResponse.decode(first).cancelReason
}

/** Only who has the role root; what changes users and roles is judged where it is applied. */
const FOR_ADMINS = [
  ...['MemberAdd', 'MemberPromote', 'MemberRemove', 'MemberUpdate'].map((name) => `Cluster/${name}`),
  ...['Defragment', 'Downgrade', 'Hash', 'HashKV', 'MoveLeader', 'Snapshot'].map((name) => `Maintenance/${name}`),
  ...['Enable', 'Disable'].map((name) => `Auth/Auth${name}`),
  ...['Add', 'Delete', 'ChangePassword', 'GrantRole', 'RevokeRole', 'List'].map((name) => `Auth/User${name}`),
  ...['Add', 'Delete', 'GrantPermission', 'RevokePermission', 'List'].map((name) => `Auth/Role${name}`),
  'KV/Compact',
].map((name) => `/etcdserverpb.${name}`)

for (const path of FOR_ADMINS)
  test(`${path} is for who has the role root`, async () => {
    const asked = await ask(served(), path, REQUESTS[path] ?? NOTHING, { token: 'u' })
    assert.deepEqual([asked.code, asked.message], ['PermissionDenied', 'etcdserver: permission denied'])
    const unknown = await ask(served(), path, REQUESTS[path] ?? NOTHING, { token: 'nobody' })
    assert.equal(unknown.message, 'etcdserver: user name not found')
    const admin = await ask(served(), path, REQUESTS[path] ?? NOTHING, { token: 'root' })
    assert.notEqual(admin.code, 'PermissionDenied')
  })

test('alarms are seen by whoever says who it is, and raised and cleared by admins', async () => {
  const alarm = (action: AlarmAction): Uint8Array =>
    AlarmRequest.encode({ action, memberID: 0n, alarm: AlarmType.NOSPACE }).finish()
  const say = async (action: AlarmAction, token: string): Promise<string> =>
    (await ask(served(), '/etcdserverpb.Maintenance/Alarm', alarm(action), { token })).code
  assert.equal(await say(AlarmAction.GET, 'u'), 'OK')
  for (const action of [AlarmAction.ACTIVATE, AlarmAction.DEACTIVATE]) {
    assert.equal(await say(action, 'u'), 'PermissionDenied')
    assert.equal(await say(action, 'root'), 'OK')
  }
})

test('an alarm stops no check (etcd: pull request 22386)', async () => {
  const { member, services } = served()
  const raised = AlarmRequest.encode({ action: AlarmAction.ACTIVATE, memberID: 1n, alarm: AlarmType.NOSPACE }).finish()
  assert.ok(applyAs(member.store, undefined, 'alarm', raised).ok)
  const remove = DeleteRangeRequest.encode(DeleteRangeRequest.fromPartial({ key: b('z') })).finish()
  for (const [path, request] of [
    ['/etcdserverpb.KV/DeleteRange', remove],
    ['/etcdserverpb.Auth/AuthDisable', NOTHING],
  ] as const)
    // prettier-ignore
    assert.equal((await ask({ member, services }, path, request, { token: 'u' })).code, 'PermissionDenied')
})

test('a watch is refused as etcd refuses it, and sees no more keys than may be read (etcd: GHSA-xg4h-6gfc-h4m8)', async () => {
  const watch = async (token: string, key: string, rangeEnd: string): Promise<WatchResponse> => {
    const { messages } = await ask(served(), '/etcdserverpb.Watch/Watch', watchOf(key, rangeEnd), { token })
    return WatchResponse.decode(messages[0] ?? NOTHING)
  }
  const denied = 'rpc error: code = PermissionDenied desc = etcdserver: permission denied'
  for (const [token, key, rangeEnd] of [
    ['one', 'k', '\0'],
    ['one', 'k', 'l'],
    ['one', '', ''],
    ['one', '', '\0'],
    ['u', 'a', 'd'],
    ['nobody', 'a', ''],
  ] as const) {
    const told = await watch(token, key, rangeEnd)
    assert.deepEqual(
      [told.created, told.canceled, told.watchId, told.cancelReason],
      [true, true, -1n, denied],
      `${token} ${key} ${rangeEnd}`,
    )
  }
  assert.equal((await watch('one', 'k', 'a')).cancelReason, 'mvcc: watcher range is empty')
  for (const [token, key, rangeEnd] of [
    ['one', 'k', ''],
    ['u', 'a', 'c'],
    ['root', '', '\0'],
  ] as const)
    // prettier-ignore
    assert.equal((await watch(token, key, rangeEnd)).canceled, false)
})

test('the keys of a lease are for who may read them all; that there is one is not', async () => {
  const path = '/etcdserverpb.Lease/LeaseTimeToLive'
  const timeToLive = (keys: boolean, token: string): Promise<Asked> =>
    ask(served(), path, LeaseTimeToLiveRequest.encode({ ID: LEASE, keys }).finish(), { token })
  assert.equal((await timeToLive(false, 'u')).code, 'OK')
  assert.equal((await timeToLive(true, 'u')).code, 'PermissionDenied')
  const shown = await timeToLive(true, 'root')
  assert.equal(LeaseTimeToLiveResponse.decode(shown.messages[0] ?? NOTHING).keys.length, 2)
})

test('leases are listed, kept and revoked by who may use all their keys', async () => {
  const keep = LeaseKeepAliveRequest.encode({ ID: LEASE }).finish()
  const revoke = LeaseRevokeRequest.encode({ ID: LEASE }).finish()
  for (const [path, request] of [
    ['/etcdserverpb.Lease/LeaseLeases', NOTHING],
    ['/etcdserverpb.Lease/LeaseKeepAlive', keep],
    ['/etcdserverpb.Lease/LeaseRevoke', revoke],
  ] as const) {
    assert.equal((await ask(served(), path, request, { token: 'u' })).code, 'PermissionDenied', path)
    assert.equal((await ask(served(), path, request, { token: 'root' })).code, 'OK', path)
  }
  const listed = await ask(served(), '/etcdserverpb.Lease/LeaseLeases', NOTHING, { token: 'root' })
  assert.equal(LeaseLeasesResponse.decode(listed.messages[0] ?? NOTHING).leases.length, 1)
})

test('a lock is for who may read its line and write its own place in it', async () => {
  const lock = (token: string): Promise<Asked> =>
    ask(served(), '/v3lockpb.Lock/Lock', Buffer.concat([Buffer.of(0x0a, 1), b('z'), Buffer.of(0x10, 7)]), { token })
  const refused = await lock('u')
  assert.deepEqual([refused.code, refused.message], ['Unknown', 'etcdserver: permission denied'])
  assert.equal((await lock('root')).code, 'OK')
})

test('where clients show certificates their common name is a user, but not that of a gateway (etcd: CVE-2018-16886)', async () => {
  const range = REQUESTS['/etcdserverpb.KV/Range'] ?? NOTHING
  const say = async (
    isClientCertAuth: boolean,
    headers: Readonly<Record<string, string>>,
    name: string,
  ): Promise<string> => (await ask(served(isClientCertAuth), '/etcdserverpb.KV/Range', range, headers, name)).message
  assert.equal(await say(true, {}, 'u'), '')
  assert.equal(await say(true, {}, 'one'), 'etcdserver: permission denied')
  assert.equal(await say(false, {}, 'u'), 'etcdserver: user name is empty')
  assert.equal(await say(true, { 'grpcgateway-accept': '*/*' }, 'root'), 'etcdserver: user name is empty')
  assert.equal(await say(true, { token: 'one' }, 'u'), 'etcdserver: permission denied') // the token counts
  assert.equal(await say(true, { token: 'forged' }, 'u'), 'etcdserver: invalid auth token')
})

test('what was read while users and roles changed is not shown', async () => {
  const { member, services } = served()
  const barrier = member.linearizableBarrier
  const range = RangeRequest.encode(RangeRequest.fromPartial({ key: b('a') })).finish()
  // Before the barrier is reached: who asks is found out after it.
  member.linearizableBarrier = async () => {
    addUser(member.store, `w${member.barriers}`)
    return barrier()
  }
  assert.equal((await ask({ member, services }, '/etcdserverpb.KV/Range', range, { token: 'u' })).code, 'OK')
  changeUsers(member.store, 'disable')
  assert.equal((await ask({ member, services }, '/etcdserverpb.KV/Range', range, { token: 'forged' })).code, 'OK')
})

test('a compaction is refused to who lost the role root while it was on its way', async () => {
  const { member } = served()
  const info = as(member.store, 'u')
  const compact = CompactionRequest.encode({ revision: 1n, physical: false }).finish()
  const result = applyAs(member.store, info, 'compact', compact)
  assert.equal(result.ok ? 'ok' : result.error.kind, 'permission-denied')
})
