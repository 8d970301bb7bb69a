import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterEach, test } from 'node:test'
import type { AdminChange, AdminStatus, JoinRequest, MembershipRequest } from '../../../lib/admin-api.ts'
import { err, ok } from '../../../lib/result.ts'
import type { AdminPort } from '../../node/lifecycle/admin-port.ts'
import { adminApp } from './admin-app.ts'
import { secretsOf } from '../../tls/secrets.ts'
import { refusal, type Caller } from './authorize.ts'

const STATUS: AdminStatus = {
  clusterId: '',
  memberId: '',
  name: 'a',
  role: 'waiting',
  term: 0,
  leader: '',
  commitIndex: 0,
  appliedIndex: 0,
  lastIndex: 0,
  lastTerm: 0,
  configIndex: 0,
  voters: [],
  votersOutgoing: [],
  learners: [],
  members: [],
  isChangePending: false,
  peers: [],
  configHistory: [],
  version: '0',
  etcdVersion: '0',
  dbSizeBytes: 0,
  revision: 0,
}
const CHANGE: AdminChange = { operationId: 'op', memberId: '1', clusterId: '2', configIndex: 5 }

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function serve(member: Partial<AdminPort>, token: string | undefined): Promise<string> {
  const refuse = (): Promise<never> => Promise.reject(new Error('not part of this test'))
  const whole: AdminPort = {
    status: () => STATUS,
    bootstrap: refuse,
    join: refuse,
    changeMembership: refuse,
    transferLeader: refuse,
    recover: refuse,
    keepUp: refuse,
    notReadyReason: () => undefined,
    ...member,
  }
  const metrics = { contentType: 'text/plain', text: () => Promise.resolve('metric 1\n') }
  const server = createServer(
    adminApp({ member: whole, readTokens: () => token?.split(' '), metrics, log: { error: () => {} } }),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const post = (url: string, body: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, { method: 'POST', body, headers })

const REMOVE: MembershipRequest = { kind: 'remove', operationId: 'op', expectedConfigIndex: 4, memberId: '1' }

test('status, metrics and health need no token', async () => {
  const base = await serve({ notReadyReason: () => 'no leader' }, 'secret')
  assert.deepEqual(await (await fetch(`${base}/admin/v1/status`)).json(), STATUS)
  assert.equal(await (await fetch(`${base}/metrics`)).text(), 'metric 1\n')
  assert.equal((await fetch(`${base}/livez`)).status, 200)
  const ready = await fetch(`${base}/readyz`)
  assert.equal(ready.status, 503)
  assert.equal(await ready.text(), 'no leader\n')
})

test('a change needs the token when one is configured', async () => {
  const seen: MembershipRequest[] = []
  const base = await serve(
    { changeMembership: (request) => (seen.push(request), Promise.resolve(ok(CHANGE))) },
    'secret',
  )
  const url = `${base}/admin/v1/membership`
  assert.equal((await post(url, JSON.stringify(REMOVE))).status, 401)
  assert.equal((await post(url, JSON.stringify(REMOVE), { authorization: 'Bearer wrong' })).status, 401)
  assert.deepEqual(seen, [])
  const answer = await post(url, JSON.stringify(REMOVE), { authorization: 'Bearer secret' })
  assert.deepEqual([answer.status, await answer.json(), seen], [200, CHANGE, [REMOVE]])
})

test('an ID is the same ID with zeros in front of it', async () => {
  const seen: JoinRequest[] = []
  const base = await serve({ join: (request) => (seen.push(request), Promise.resolve(ok(CHANGE))) }, undefined)
  const member = { name: 'a', peerURLs: ['http://a:2380'], clientURLs: [], isLearner: false }
  const asked = { operationId: 'op', clusterId: '0', memberId: '0a1', expectedConfigIndex: 4 }
  const answer = await post(
    `${base}/admin/v1/join`,
    JSON.stringify({ ...asked, clusterId: '0000', members: [{ ...member, id: '00000000000000a1' }] }),
  )
  assert.equal(answer.status, 200)
  assert.deepEqual(seen, [{ ...asked, memberId: 'a1', members: [{ ...member, id: 'a1' }] }])
})

test('while a token is changed the new one and the old one count; where there is none left, none does', async () => {
  const caller = (token: string): Caller => ({ authorization: `Bearer ${token}`, remoteAddress: '127.0.0.1' })
  const tokens = secretsOf('new\n old\r\n\nnew\n')
  assert.deepEqual(tokens, ['new', 'old'])
  for (const token of tokens) assert.equal(refusal(caller(token), tokens), undefined)
  for (const token of ['older', 'new\nold', '']) assert.equal(refusal(caller(token), tokens)?.code, 'Unauthorized')
  for (const token of ['', 'new']) assert.equal(refusal(caller(token), secretsOf('\n'))?.code, 'Unauthorized')
})

test('without a token only loopback may change something', () => {
  for (const remoteAddress of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) {
    assert.equal(refusal({ authorization: undefined, remoteAddress }, undefined), undefined, remoteAddress)
  }
  for (const remoteAddress of ['10.0.0.1', '::ffff:10.0.0.1', 'fe80::1', undefined]) {
    assert.equal(
      refusal({ authorization: 'Bearer x', remoteAddress }, undefined)?.code,
      'Forbidden',
      String(remoteAddress),
    )
  }
})

test('a body that is too large is refused before its end', { timeout: 20_000 }, async () => {
  const base = await serve({}, undefined)
  const { port } = new URL(base)
  const socket = connect(Number(port), '127.0.0.1')
  closers.push(() => socket.destroy())
  socket.write('POST /admin/v1/membership HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  socket.write(`11000\r\n${'b'.repeat(0x11000)}\r\n`) // 68 KiB, and more to come
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.match(answer.toString(), /^HTTP\/1\.1 400 /)
})

test('a body that is not the API’s JSON is a 400 that names what is wrong', async () => {
  const base = await serve({}, undefined)
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['membership', '{"kind":', /not JSON of this API/],
    ['membership', '"text"', /not JSON of this API/],
    ['membership', '[]', /expected object/],
    ['membership', '{"kind":"destroy"}', /kind/],
    ['membership', JSON.stringify({ ...REMOVE, memberId: 'XYZ' }), /memberId: must be an ID/],
    ['membership', JSON.stringify({ ...REMOVE, extra: 1 }), /extra/],
    ['membership', JSON.stringify({ ...REMOVE, expectedConfigIndex: -1 }), /expectedConfigIndex/],
    ['bootstrap', '{}', /operationId/],
    ['join', '{}', /memberId/],
    ['recover', '{"operationId":"op"}', /clusterId/],
    ['leader-transfer', JSON.stringify({ operationId: '', expectedConfigIndex: 1, memberId: '1' }), /operationId/],
    ['membership', JSON.stringify({ pad: 'x'.repeat(70_000) }), /too large/],
  ]
  for (const [path, body, expected] of cases) {
    const answer = await post(`${base}/admin/v1/${path}`, body)
    const error = (await answer.json()) as { code: string; message: string }
    assert.deepEqual([answer.status, error.code], [400, 'BadRequest'], body.slice(0, 80))
    assert.match(error.message, expected)
  }
})

test('each kind of refusal has its status code and carries its facts', async () => {
  const stale = { code: 'ConfigIndexStale', message: 'moved on', configIndex: 9 } as const
  const base = await serve({ changeMembership: () => Promise.resolve(err(stale)) }, undefined)
  const answer = await post(`${base}/admin/v1/membership`, JSON.stringify(REMOVE))
  assert.deepEqual([answer.status, await answer.json()], [409, stale])
})

test('an unknown path is a 404 with an AdminError, a failure inside a 500 that tells nothing', async () => {
  const base = await serve({}, undefined)
  assert.equal((await fetch(`${base}/admin/v2/status`)).status, 404)
  const answer = await post(`${base}/admin/v1/membership`, JSON.stringify(REMOVE))
  assert.equal(answer.status, 500)
  assert.doesNotMatch(await answer.text(), /not part of this test/)
})
