import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { KubeError } from '../cluster/ports.ts'
import type { ApiProblem } from './api-error.ts'
import { isProblem } from './api-error.ts'
import type { MutationPermit } from './client.ts'
import { KubeClient } from './client.ts'
import { ClusterAccess } from './cluster-access.ts'
import type { Answer } from './testing/faulty-server.ts'
import { FaultyServer, json, reset, status } from './testing/faulty-server.ts'
import { REAL_CLOCK } from './testing/real-clock.ts'
import { Transport } from './transport.ts'

const pod = (name: string, version = '1') => ({ metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: version } }) // prettier-ignore
const REF = { namespace: 'ns', name: 'a' }
const POD_REF = { apiVersion: 'v1', kind: 'Pod', ...REF }

async function setUp(t: TestContext, guard?: () => MutationPermit) {
  const server = new FaultyServer()
  const connection = await server.start()
  const requests: string[] = []
  const transport = new Transport({
    connection,
    clock: REAL_CLOCK,
    onRequest: (code, method) => requests.push(`${method} ${code}`),
  })
  t.after(async () => {
    await connection.close()
    await server.stop()
  })
  return { server, requests, client: new KubeClient(transport, guard) }
}

/** Answers the first requests from a list, all later ones with the last. */
const inTurn = (...answers: Answer[]): Answer => {
  let next = 0
  return (response, received) => answers[Math.min(next++, answers.length - 1)]?.(response, received)
}

const failsWith = (problem: ApiProblem) => (error: unknown) => isProblem(error, problem)

test('a list is read page by page with one continue token after another', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = (response, { query }) => {
    const token = query.get('continue')
    const page = { metadata: { resourceVersion: '7', continue: token === null ? 'next' : '' }, items: [pod(token ?? 'first')] } // prettier-ignore
    json(200, page)(response, { query } as never)
  }
  const page = await client.list('Pod', { namespace: 'ns', labelSelector: 'app=x' })
  assert.deepEqual(
    page.items.map((item) => [item.kind, item.apiVersion, item.metadata.name]),
    [
      ['Pod', 'v1', 'first'],
      ['Pod', 'v1', 'next'],
    ],
  )
  assert.equal(page.resourceVersion, '7')
  assert.equal(server.received[0]?.path, '/api/v1/namespaces/ns/pods')
  assert.deepEqual(
    [...(server.received[1]?.query.entries() ?? [])],
    [
      ['limit', '500'],
      ['labelSelector', 'app=x'],
      ['continue', 'next'],
    ],
  )
})

test('200 calls one after another share their connections', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = json(200, pod('a'))
  for (let i = 0; i < 200; i++) await client.get('Pod', REF)
  assert.ok(server.connections <= 2, `${server.connections} connections`)
})

test('apply is a forced server-side apply by name of its field manager; unknown fields survive', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = (response, received) =>
    json(200, { ...JSON.parse(received.body), ...pod('a'), extra: 1 })(response, received)
  const object = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: REF, spec: { fieldOfTheFuture: true } }
  const stored = await client.apply(object, { fieldManager: 'me' })
  assert.deepEqual(stored['spec'], { fieldOfTheFuture: true })
  assert.equal(stored['extra'], 1)
  await client.applyStatus({ ...object, apiVersion: 'raftkv.dev/v1alpha1', kind: 'RaftCluster' }, { fieldManager: 's' })
  const [first, second] = server.received
  assert.deepEqual([first?.method, first?.contentType], ['PATCH', 'application/apply-patch+yaml'])
  assert.equal(first?.path, '/apis/apps/v1/namespaces/ns/statefulsets/a')
  assert.equal(first?.query.toString(), 'fieldManager=me&force=true')
  assert.equal(second?.path, '/apis/raftkv.dev/v1alpha1/namespaces/ns/raftclusters/a/status')
})

test('a delete carries the UID it is meant for', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = inTurn(json(200, { kind: 'Status' }), status(404, 'NotFound'), status(409, 'Conflict'))
  assert.equal(await client.delete('Pod', REF, { uid: 'u1' }), true)
  assert.deepEqual(JSON.parse(server.received[0]?.body ?? '').preconditions, { uid: 'u1' })
  assert.equal(await client.delete('Pod', REF, { uid: 'u1' }), false)
  await assert.rejects(client.delete('Pod', REF, { uid: 'u1' }), failsWith('Conflict'))
})

const STATUSES: readonly [number, string, ApiProblem][] = [
  [400, 'BadRequest', 'BadRequest'],
  [403, 'Forbidden', 'Forbidden'],
  [409, 'Conflict', 'Conflict'],
  [409, 'AlreadyExists', 'AlreadyExists'],
  [410, 'Expired', 'Gone'],
  [410, 'Gone', 'Gone'],
  [422, 'Invalid', 'Invalid'],
  [500, 'InternalError', 'ServerError'],
  [503, 'ServiceUnavailable', 'ServerError'],
  [504, 'Timeout', 'Timeout'],
]
for (const [code, reason, problem] of STATUSES) {
  test(`HTTP ${code} ${reason} is ${problem}, with the server's words`, async (t) => {
    const { server, client } = await setUp(t)
    server.answer = status(code, reason)
    await assert.rejects(client.get('Pod', REF), (error) => {
      assert.ok(isProblem(error, problem))
      assert.equal(error.status, code)
      assert.match(error.message, new RegExp(`GET .*pods/a: ${reason} happened`))
      return true
    })
    assert.equal(server.received.length, 1)
  })
}

test('an object that is not there is undefined, not an error', async (t) => {
  const { client } = await setUp(t)
  assert.equal(await client.get('Pod', REF), undefined)
})

test('429 is tried again after Retry-After, also for a mutation', async (t) => {
  const { server, client, requests } = await setUp(t)
  server.answer = inTurn(status(429, 'TooManyRequests', { 'retry-after': '0.05' }), json(201, pod('a')))
  const startedMs = performance.now()
  await client.create({ apiVersion: 'v1', kind: 'Pod', metadata: REF })
  assert.ok(performance.now() - startedMs >= 45)
  assert.deepEqual(requests, ['POST 429', 'POST 201'])
})

test('a dry run asks for nothing to be kept, and needs no version in the answer', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = json(201, { metadata: { name: 'a', uid: 'u' } })
  await client.tryCreate({ apiVersion: 'v1', kind: 'Pod', metadata: REF })
  assert.equal(server.received[0]?.query.get('dryRun'), 'All')
})

test('a Retry-After beyond the time limit fails at once and says how long to wait', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = status(429, 'TooManyRequests', { 'retry-after': '60' })
  await assert.rejects(client.get('Pod', REF, { timeoutMs: 500 }), (error) => {
    assert.ok(isProblem(error, 'TooManyRequests'))
    assert.equal(error.retryAfterMs, 60_000)
    return true
  })
})

test('an endless 429 is given up after five tries', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = status(429, 'TooManyRequests', { 'retry-after': '0' })
  await assert.rejects(client.get('Pod', REF), failsWith('TooManyRequests'))
  assert.equal(server.received.length, 5)
})

test('a 401 makes the credentials be read afresh, once', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = (response, received) => {
    const answer = received.authorization === 'Bearer second' ? json(200, pod('a')) : status(401, 'Unauthorized')
    answer(response, received)
  }
  assert.equal((await client.get('Pod', REF))?.metadata.name, 'a')
  server.answer = status(401, 'Unauthorized')
  await assert.rejects(client.get('Pod', REF), failsWith('Unauthorized'))
  assert.equal(server.received.length, 4)
})

test('a broken connection is tried again for a read, and never for a mutation', async (t) => {
  const { server, client, requests } = await setUp(t)
  server.answer = inTurn(reset, json(200, pod('a')), reset)
  assert.equal((await client.get('Pod', REF))?.metadata.name, 'a')
  await assert.rejects(client.create({ apiVersion: 'v1', kind: 'Pod', metadata: REF }), failsWith('Unreachable'))
  assert.deepEqual(requests, ['GET <error>', 'GET 200', 'POST <error>'])
})

test('a server that never answers, and one that stops in its answer, end in a timeout', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = () => undefined
  await assert.rejects(client.get('Pod', REF, { timeoutMs: 50 }), failsWith('Timeout'))
  server.answer = (response) => response.writeHead(200).write('{"metadata":')
  await assert.rejects(client.get('Pod', REF, { timeoutMs: 50 }), failsWith('Timeout'))
})

test('answers that are not the JSON expected are refused', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = (response) => response.end('{"metadata":')
  await assert.rejects(client.get('Pod', REF), failsWith('BadAnswer'))
  server.answer = json(200, { metadata: { name: 'a' } })
  await assert.rejects(client.get('Pod', REF), failsWith('BadAnswer'))
  await assert.rejects(client.list('Pod', {}), failsWith('BadAnswer'))
})

test('the caller can abort, by call or by the signal of the client', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = () => undefined
  await assert.rejects(client.get('Pod', REF, { signal: AbortSignal.timeout(20) }), failsWith('Aborted'))
  await assert.rejects(client.withSignal(AbortSignal.timeout(20)).get('Pod', REF), failsWith('Aborted'))
})

test('without permission no mutation is sent, and reads still are', async (t) => {
  const { server, client } = await setUp(t, () => ({ isAllowed: false, reason: 'the lease is lost' }))
  server.answer = json(200, pod('a'))
  const object = { apiVersion: 'v1', kind: 'Pod', metadata: REF }
  const attempts = [
    () => client.apply(object, { fieldManager: 'me' }),
    () => client.applyStatus(object, { fieldManager: 'me' }),
    () => client.create(object),
    () => client.replace(object),
    () => client.patch('Pod', REF, {}),
    () => client.delete('Pod', REF, { uid: 'u' }),
  ]
  for (const attempt of attempts) await assert.rejects(attempt, failsWith('NotLeader'))
  assert.equal(server.received.length, 0)
  assert.equal((await client.get('Pod', REF))?.metadata.name, 'a')
})

test('a mutation takes no longer than its permission lasts', async (t) => {
  const { server, client } = await setUp(t, () => ({ isAllowed: true, withinMs: 40.5 }))
  server.answer = () => undefined
  await assert.rejects(client.patch('Pod', REF, {}), failsWith('Timeout'))
})

test('a name cannot reach into another path', async (t) => {
  const { server, client } = await setUp(t)
  await client.get('Pod', { namespace: 'ns', name: 'a/../../secrets/x' })
  assert.equal(server.received[0]?.path, '/api/v1/namespaces/ns/pods/a%2F..%2F..%2Fsecrets%2Fx')
  await assert.rejects(client.get('Pod', { namespace: 'ns', name: '..' }), /names no object/)
})

test('to a decision, problems are what it can act on', async (t) => {
  const { server, client } = await setUp(t)
  const access = new ClusterAccess(client)
  const kinds: string[] = []
  for (const answer of [status(409, 'AlreadyExists'), status(403, 'Forbidden'), status(422, 'Invalid'), reset]) {
    server.answer = answer
    await access.create({ ...POD_REF, metadata: REF }).catch((error: unknown) => {
      assert.ok(error instanceof KubeError)
      kinds.push(error.problem.kind)
    })
  }
  assert.deepEqual(kinds, ['conflict', 'forbidden', 'invalid', 'unavailable'])
  server.answer = status(404, 'NotFound')
  assert.equal(await access.get(POD_REF), undefined)
  await access.delete(POD_REF, { uid: 'u' })
  await assert.rejects(access.get({ ...POD_REF, apiVersion: 'v9' }), /does not know Pod of v9/)
})

test('finalizers are replaced only on the version that was read', async (t) => {
  const { server, client } = await setUp(t)
  server.answer = json(200, pod('a', '8'))
  await new ClusterAccess(client).patch(POD_REF, { metadata: { resourceVersion: '7', finalizers: [] } })
  assert.deepEqual(JSON.parse(server.received[0]?.body ?? ''), { metadata: { resourceVersion: '7', finalizers: [] } })
  assert.equal(server.received[0]?.contentType, 'application/merge-patch+json')
})
