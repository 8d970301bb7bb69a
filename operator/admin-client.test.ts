import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { AdminStatus } from '../lib/admin-api.ts'
import type { MutationGuard } from './admin-client.ts'
import { HttpAdminClient } from './admin-client.ts'

const STATUS: AdminStatus = {
  clusterId: 'c1',
  memberId: 'a1',
  name: 'db-0',
  role: 'leader',
  term: 3,
  leader: 'a1',
  commitIndex: 17,
  appliedIndex: 17,
  lastIndex: 18,
  lastTerm: 3,
  configIndex: 9,
  voters: ['a1', 'b2'],
  votersOutgoing: [],
  learners: ['c3'],
  members: [{ id: 'a1', name: 'db-0', peerURLs: ['http://db-0:2380'], clientURLs: [], isLearner: false }],
  isChangePending: false,
  peers: [{ id: 'b2', matchIndex: 17, lag: 1, state: 'replicate', isActive: true }],
  configHistory: [{ index: 9, voters: ['a1', 'b2'], votersOutgoing: [], learners: ['c3'], operationId: 'op' }],
  version: '0.1.0',
  etcdVersion: '3.7.0',
  dbSizeBytes: 4096,
  revision: 5,
  alarms: [{ memberId: 'b2', type: 'NOSPACE' }],
}
const CHANGE = { operationId: 'op-1', memberId: 'a1', clusterId: 'c1', configIndex: 12 }
const PROMOTE = { kind: 'promote', operationId: 'op-1', expectedConfigIndex: 9, memberId: 'a1' } as const

type Handler = (response: ServerResponse, request: IncomingMessage, body: string) => void

async function setUp(t: TestContext, guard: MutationGuard = () => ({ isAllowed: true, withinMs: 10_000 })) {
  const served: { handler: Handler } = { handler: (response) => response.writeHead(404).end() }
  const received: string[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      received.push(`${request.method} ${request.url} ${request.headers.authorization ?? 'no token'}`)
      served.handler(response, request, Buffer.concat(chunks).toString())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const client = new HttpAdminClient(guard)
  t.after(async () => {
    await client.close()
    server.closeAllConnections()
    server.close()
  })
  return { served, received, client, url: `http://127.0.0.1:${address.port}` }
}

const json =
  (status: number, body: unknown): Handler =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

test('a status is read whole, without a token', async (t) => {
  const { served, received, client, url } = await setUp(t)
  served.handler = json(200, { ...STATUS, fieldOfTheFuture: 1 })
  assert.deepEqual(await client.status(url), { ok: true, value: STATUS })
  assert.deepEqual(received, ['GET /admin/v1/status no token'])
})

test('a member of an earlier version does not tell the term of its last entry', async (t) => {
  const { served, client, url } = await setUp(t)
  const { lastTerm: _, ...earlier } = STATUS
  served.handler = json(200, earlier)
  assert.deepEqual(await client.status(url), { ok: true, value: earlier })
})

test('each mutation goes to its path, with the token and the request as it was', async (t) => {
  const { served, received, client, url } = await setUp(t)
  const bodies: unknown[] = []
  served.handler = (response, request, body) => {
    bodies.push(JSON.parse(body))
    const answer = request.url?.endsWith('leader-transfer') ? { operationId: 'op-1', leader: 'b2', term: 4 } : CHANGE
    json(200, answer)(response, request, body)
  }
  const bootstrap = {
    operationId: 'op-1',
    clusterId: 'c1',
    expectedConfigIndex: 0,
    member: { name: 'n', peerURLs: [] },
  }
  const join = { operationId: 'op-1', clusterId: 'c1', memberId: 'a1', expectedConfigIndex: 9, members: [] }
  const transfer = { operationId: 'op-1', expectedConfigIndex: 9, memberId: 'b2' }
  assert.deepEqual(await client.bootstrap(url, 'secret', bootstrap), { ok: true, value: CHANGE })
  assert.deepEqual(await client.join(url, 'secret', join), { ok: true, value: CHANGE })
  assert.deepEqual(await client.membership(url, 'secret', PROMOTE), { ok: true, value: CHANGE })
  const transferred = await client.transferLeader(url, 'secret', transfer)
  assert.deepEqual(transferred, { ok: true, value: { operationId: 'op-1', leader: 'b2', term: 4 } })
  assert.deepEqual(received, [
    'POST /admin/v1/bootstrap Bearer secret',
    'POST /admin/v1/join Bearer secret',
    'POST /admin/v1/membership Bearer secret',
    'POST /admin/v1/leader-transfer Bearer secret',
  ])
  assert.deepEqual(bodies, [bootstrap, join, PROMOTE, transfer])
})

test('a refusal carries its code, and the index or lag that goes with it', async (t) => {
  const { served, client, url } = await setUp(t)
  const stale = { code: 'ConfigIndexStale', message: 'the configuration is at 12', configIndex: 12 }
  served.handler = json(409, stale)
  assert.deepEqual(await client.membership(url, 'x', PROMOTE), { ok: false, error: { kind: 'refused', error: stale } })
  const lagging = { code: 'LearnerLagging', message: '900 behind', lag: 900 }
  served.handler = json(412, lagging)
  assert.deepEqual(await client.membership(url, 'x', PROMOTE), {
    ok: false,
    error: { kind: 'refused', error: lagging },
  })
})

const failed = async (call: ReturnType<HttpAdminClient['status']>): Promise<string> => {
  const result = await call
  assert.ok(!result.ok && result.error.kind === 'unreachable', JSON.stringify(result))
  return result.error.message
}

const LIES: readonly (readonly [string, Handler, RegExp])[] = [
  ['a field that is missing', json(200, { ...STATUS, voters: undefined }), /voters/],
  ['an index below 0', json(200, { ...STATUS, commitIndex: -1 }), /commitIndex/],
  ['an index that is no safe integer', json(200, { ...STATUS, term: 2 ** 60 }), /term/],
  ['an ID that is no hex', json(200, { ...STATUS, leader: 'me!' }), /leader/],
  ['an unknown role', json(200, { ...STATUS, role: 'king' }), /role/],
  ['a row that is no member', json(200, { ...STATUS, members: [{}] }), /members\.0/],
  ['a list without end', json(200, { ...STATUS, voters: Array.from({ length: 2000 }, () => 'a1') }), /voters/],
  ['JSON that is no object', json(200, 7), /not what it should be/],
  ['no JSON', (response) => response.end('<html>'), /HTTP 200 with an answer that is not JSON/],
  ['an error page of a proxy', (response) => response.writeHead(502).end('bad gateway'), /HTTP 502/],
  ['an error code that is not of this API', json(409, { code: 'Nope', message: '' }), /without an error of this API/],
  ['an error code with another status', json(500, { code: 'NoLeader', message: '' }), /without an error of this API/],
  ['a redirect', (response) => response.writeHead(302, { location: '/' }).end('{}'), /HTTP 302/],
  ['an answer of two megabytes', (response) => response.end(Buffer.alloc(2 << 20, 0x20)), /exceeds 1048576 bytes/],
  ['a reset', (response) => response.socket?.resetAndDestroy(), /GET http/],
]
for (const [what, handler, message] of LIES) {
  test(`${what} is a failure that says so`, async (t) => {
    const { served, client, url } = await setUp(t)
    served.handler = handler
    assert.match(await failed(client.status(url)), message)
  })
}

test('an answer about another operation is not taken for ours', async (t) => {
  const { served, client, url } = await setUp(t)
  served.handler = json(200, { ...CHANGE, operationId: 'op-0' })
  const result = await client.membership(url, 'x', PROMOTE)
  assert.ok(!result.ok && result.error.kind === 'unreachable')
  assert.match(result.error.message, /about operation op-0, not op-1/)
})

test('nobody there is a failure', async () => {
  const client = new HttpAdminClient(() => ({ isAllowed: true, withinMs: 1000 }))
  assert.match(await failed(client.status('http://127.0.0.1:1')), /ECONNREFUSED/)
  await client.close()
})

test('a member that does not answer a status is given up after two seconds, or at the signal', async (t) => {
  const { served, client, url } = await setUp(t)
  served.handler = () => undefined
  const [patient, aborted] = await Promise.all([
    failed(client.status(url)),
    failed(client.status(url, AbortSignal.timeout(30))),
  ])
  assert.match(patient, /no answer within 2000 ms/)
  assert.doesNotMatch(aborted, /2000/)
})

test('without permission no mutation is sent; with little time left it is cut short', async (t) => {
  let permit: ReturnType<MutationGuard> = { isAllowed: false, reason: 'the lease is lost' }
  const { served, received, client, url } = await setUp(t, () => permit)
  served.handler = () => undefined
  const refused = await client.membership(url, 'x', PROMOTE)
  assert.ok(!refused.ok && refused.error.kind === 'unreachable' && /lease is lost/.test(refused.error.message))
  assert.deepEqual(received, [])
  permit = { isAllowed: true, withinMs: 30.7 }
  const cut = await client.membership(url, 'x', PROMOTE)
  assert.ok(!cut.ok && cut.error.kind === 'unreachable' && /within 30 ms/.test(cut.error.message))
})
