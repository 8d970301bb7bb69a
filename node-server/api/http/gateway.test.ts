import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { err, ok } from '../../../lib/result.ts'
import { send, type CallContext, type Method, type RpcStatus } from '../../grpc/service.ts'
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse, PutResponse } from '../../proto/generated/etcd/rpc.ts'
import { LeaderRequest, LeaderResponse } from '../../proto/generated/etcd/election.ts'
import { KeyValue } from '../../proto/generated/etcd/kv.ts'
import { REGISTRY } from '../../proto/descriptors.ts'
import { GATEWAY_ROUTES } from './gateway-routes.ts'
import { STATUS_CODE } from '../../grpc/status-code.ts'
import { HTTP_STATUS } from './status.ts'
import { base64, serve, type Answer } from './testing/http-fixture.ts'

const HEADER = { cluster_id: '14841639068965178418', member_id: '10276657743932975437', raft_term: '2' }
const parsed = ({ status, body }: Answer): unknown => [status, JSON.parse(body)]
const lines = (body: string): unknown[] =>
  body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)

test('there is a path for every method of etcd’s services but RangeStream, which etcd’s gateway does not have either', () => {
  const reached = new Set(Object.values(GATEWAY_ROUTES))
  const missing: string[] = []
  for (const service of ['KV', 'Watch', 'Lease', 'Cluster', 'Maintenance', 'Auth']
    .map((name) => `etcdserverpb.${name}`)
    .concat('v3lockpb.Lock', 'v3electionpb.Election')) {
    for (const { name } of REGISTRY.getService(service)?.methods ?? assert.fail(service)) {
      if (!reached.has(`/${service}/${name}`)) missing.push(name)
    }
  }
  assert.deepEqual(missing, ['RangeStream'])
})

test('put, range, txn and delete, as etcd 3.7.3 answers them', async () => {
  const { post, calls, failures } = await serve()
  const key = base64('foo')
  assert.deepEqual(parsed(await post('/v3/kv/put', { key, value: base64('bar') })), [
    200,
    { header: { ...HEADER, revision: '2' } },
  ])
  const kv = { key, create_revision: '2', mod_revision: '2', version: '1', value: base64('bar') }
  const answer = await post('/v3/kv/range', { key })
  assert.equal(answer.headers['content-type'], 'application/json')
  assert.deepEqual(parsed(answer), [200, { header: { ...HEADER, revision: '2' }, kvs: [kv], count: '1' }])
  assert.deepEqual(
    parsed(
      await post('/v3beta/kv/txn', {
        compare: [{ key, target: 'VERSION', version: '1', result: 'EQUAL' }],
        success: [{ request_put: { key, value: '' } }, { requestRange: { key, keysOnly: true } }],
      }),
    ),
    [
      200,
      {
        header: { ...HEADER, revision: '3' },
        succeeded: true,
        responses: [
          { response_put: { header: { revision: '3' } } },
          {
            response_range: {
              header: { revision: '3' },
              kvs: [{ key, create_revision: '2', mod_revision: '3', version: '2' }],
              count: '1',
            },
          },
        ],
      },
    ],
  )
  assert.deepEqual(parsed(await post('/v3/kv/deleterange', { key, prev_kv: true })), [
    200,
    {
      header: { ...HEADER, revision: '4' },
      deleted: '1',
      prev_kvs: [{ key, create_revision: '2', mod_revision: '3', version: '2' }],
    },
  ])
  assert.deepEqual(
    calls,
    ['Put', 'Range', 'Txn', 'DeleteRange'].map((name) => `/etcdserverpb.KV/${name} OK`),
  )
  assert.deepEqual(failures, [])
})

test('errors have etcd’s text, their gRPC code and the HTTP status of it', async () => {
  const { post, calls } = await serve()
  for (const [path, body, status, code, message] of [
    ['/v3/kv/range', '{}', 400, 3, 'etcdserver: key is not provided'],
    ['/v3/kv/range', '', 400, 3, 'etcdserver: key is not provided'],
    ['/v3/kv/range', '  \n', 400, 3, 'etcdserver: key is not provided'],
    ['/v3/kv/range', '{}{"key":', 400, 3, 'etcdserver: key is not provided'],
    ['/v3/kv/range', '{"key":"YQ","revision":9}', 400, 11, 'etcdserver: mvcc: required revision is a future revision'],
    ['/v3/kv/put', '{"key":"YQ","lease":9}', 404, 5, 'etcdserver: requested lease not found'],
    ['/v3/kv/range', '{"key":', 400, 3, 'unexpected EOF'],
    ['/v3/kv/range', '{"key":1}', 400, 3, 'proto: (line 1:8): invalid value for bytes field key: 1'],
  ] as const) {
    const answer = await post(path, body)
    assert.deepEqual(parsed(answer), [status, { code, message }], body)
    assert.equal(answer.headers['content-type'], 'application/json')
  }
  assert.equal(calls.length, 6) // what cannot be read is no call
})

test('a method that this member does not have', async () => {
  const { post } = await serve({}, {})
  assert.deepEqual(parsed(await post('/v3/lock/lock', {})), [
    501,
    { code: 12, message: 'unknown method Lock for service v3lockpb.Lock' },
  ])
})

test('every status has its number and its HTTP status', async () => {
  assert.deepEqual(
    Object.values(STATUS_CODE).filter((code) => code !== STATUS_CODE.OK),
    Array.from({ length: 16 }, (_, i) => i + 1),
  )
  for (const code of Object.keys(HTTP_STATUS) as RpcStatus['code'][]) {
    const { post } = await serve(
      {},
      put(() => err({ code, message: 'm' })),
    )
    const answer = await post('/v3/kv/put', '{}')
    assert.deepEqual(parsed(answer), [HTTP_STATUS[code], { code: STATUS_CODE[code], message: 'm' }])
    assert.equal(answer.headers['www-authenticate'], code === 'Unauthenticated' ? 'm' : undefined)
  }
})

const EMPTY = PutResponse.encode({ header: undefined, prevKv: undefined }).finish()
type Handle = Extract<Method, { kind: 'unary' }>['handle']
const put = (handle: Handle): Record<string, Method> => ({ '/etcdserverpb.KV/Put': { kind: 'unary', handle } })

test('a handler that throws is Internal to the client, and reported', async () => {
  const { post, failures, calls } = await serve(
    {},
    put(() => Promise.reject(new Error('secret'))),
  )
  const answer = await post('/v3/kv/put', '{}')
  assert.deepEqual(parsed(answer), [500, { code: 13, message: 'internal error: the log of the member has it' }])
  assert.deepEqual(failures, ['/etcdserverpb.KV/Put: Error: secret'])
  assert.deepEqual(calls, ['/etcdserverpb.KV/Put Internal'])
})

test('headers become metadata under the names that etcd’s gateway gives them', async () => {
  const contexts: CallContext[] = []
  const { post } = await serve(
    {},
    put((_bytes, context) => (contexts.push(context), ok(EMPTY))),
  )
  await post('/v3/kv/put', '{}', {
    authorization: 'token',
    'grpc-metadata-hasleader': 'true',
    hasleader: 'no',
    accept: 'x',
  })
  const [context] = contexts
  const names = ['authorization', 'hasleader', 'grpcgateway-accept', 'token', 'accept']
  assert.deepEqual(
    names.map((name) => context?.metadata(name)),
    ['token', 'true', 'x', undefined, undefined],
  )
  assert.match(context?.peer ?? '', /^127\.0\.0\.1:\d+$/)
})

test('a message over the limit is refused, and a body that would not even fit one', async () => {
  const { post } = await serve(
    { maxReceiveBytes: 1000 },
    put(() => ok(EMPTY)),
  )
  const value = (bytes: number): object => ({ value: Buffer.alloc(bytes).toString('base64') })
  assert.equal((await post('/v3/kv/put', value(997))).status, 200)
  assert.deepEqual(parsed(await post('/v3/kv/put', value(998))), [
    429,
    { code: 8, message: 'grpc: received message larger than max (1001 vs. 1000)' },
  ])
  const answer = await post('/v3/kv/put', value(1_000_000))
  assert.equal(answer.status, 429)
  assert.match(answer.body, /grpc: received message larger than max/)
})

test('a call ends at its deadline', async () => {
  const table = put(
    (_bytes, { signal }) =>
      new Promise((resolve) => signal.addEventListener('abort', () => setImmediate(() => resolve(ok(EMPTY))))),
  )
  const { post, calls } = await serve({}, table)
  assert.deepEqual(parsed(await post('/v3/kv/put', '{}', { 'grpc-timeout': '20m' })), [
    504,
    { code: 4, message: 'context deadline exceeded' },
  ])
  assert.deepEqual(calls, ['/etcdserverpb.KV/Put DeadlineExceeded'])
  for (const timeout of ['x', '1', '1x', '-1S', '1.5S']) {
    assert.deepEqual(parsed(await post('/v3/kv/put', '{}', { 'grpc-timeout': timeout })), [
      400,
      { code: 3, message: `invalid grpc-timeout: ${timeout}` },
    ])
  }
})

/** Answers each request with its ID, refuses 13, and ends when the client has ended. */
const keepAlive: Record<string, Method> = {
  '/etcdserverpb.Lease/LeaseKeepAlive': {
    kind: 'stream',
    handle: async (stream) => {
      for await (const bytes of stream.requests) {
        const { ID } = LeaseKeepAliveRequest.decode(bytes)
        if (ID === 13n) return { code: 'NotFound', message: 'thirteen' }
        if (!(await send(stream, LeaseKeepAliveResponse.encode({ header: undefined, ID, TTL: 0n }).finish())))
          return undefined
      }
      return undefined
    },
  },
}

test('a two-way stream answers one line for each message', async () => {
  const { post, calls } = await serve({}, keepAlive)
  const answer = await post('/v3/lease/keepalive', '{"ID":"77"}{"ID":78}\n\n{"ID":"79"} ')
  assert.deepEqual([answer.status, answer.headers['content-type']], [200, 'application/json'])
  assert.deepEqual(
    lines(answer.body),
    ['77', '78', '79'].map((ID) => ({ result: { ID } })),
  )
  const empty = await post('/v3/lease/keepalive', '')
  assert.deepEqual([empty.status, empty.body], [200, ''])
  assert.deepEqual(
    calls,
    Array.from({ length: 2 }, () => '/etcdserverpb.Lease/LeaseKeepAlive OK'),
  )
})

test('an error of a stream is its HTTP status before the first message, and its last line after it', async () => {
  const { post } = await serve({}, keepAlive)
  const error = { error: { code: 5, message: 'thirteen' } }
  const first = await post('/v3/lease/keepalive', '{"ID":"13"}')
  assert.deepEqual([first.status, lines(first.body)], [404, [error]])
  const later = await post('/v3/lease/keepalive', '{"ID":"1"}{"ID":"13"}')
  assert.deepEqual([later.status, lines(later.body)], [200, [{ result: { ID: '1' } }, error]])
})

test('a stream whose client sends what cannot be read ends with that', async () => {
  const { post } = await serve({}, keepAlive)
  const error = (message: string): object => ({ error: { code: 3, message: `Failed to decode request: ${message}` } })
  const first = await post('/v3/lease/keepalive', '{"ID')
  assert.deepEqual([first.status, lines(first.body)], [400, [error('unexpected EOF')]])
  const later = await post('/v3/lease/keepalive', '{"ID":"1"}{"ID":"x"}{"ID":"2"}')
  const refused = 'proto: (line 1:7): invalid value for int64 field ID: "x"'
  assert.deepEqual([later.status, lines(later.body)], [200, [{ result: { ID: '1' } }, error(refused)]])
})

/** Sends a leader at once, then nothing; tells when its client has gone. */
function observe(ended: (aborted: boolean) => void): Record<string, Method> {
  return {
    '/v3electionpb.Election/Observe': {
      kind: 'stream',
      handle: async (stream, { signal }) => {
        for await (const bytes of stream.requests) {
          const { name } = LeaderRequest.decode(bytes)
          const kv = Buffer.from(KeyValue.encode(KeyValue.fromPartial({ key: name })).finish())
          await send(stream, LeaderResponse.encode({ header: undefined, kv }).finish())
        }
        if (!signal.aborted) await once(signal, 'abort')
        ended(await send(stream, EMPTY))
        return undefined
      },
    },
  }
}

/** A request whose answer is read line by line. */
async function open(
  port: number,
  body: string,
): Promise<{ readonly asked: ClientRequest; readonly answer: IncomingMessage }> {
  const asked = request({ host: '127.0.0.1', port, method: 'POST', path: '/v3/election/observe', agent: false })
  asked.on('error', () => undefined)
  asked.end(body)
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  return { asked, answer: answer.setEncoding('utf8') }
}

test('a one-way stream sends as it has something, and is told when the client goes', async () => {
  const gone = Promise.withResolvers<boolean>()
  const { port, post } = await serve({}, observe(gone.resolve))
  assert.deepEqual(parsed(await post('/v3/election/observe', '{"na')), [400, { code: 3, message: 'unexpected EOF' }])
  const { asked, answer } = await open(port, '{"name":"YQ=="}')
  const [line] = (await once(answer, 'data')) as [string]
  assert.deepEqual(lines(line), [{ result: { kv: { key: 'YQ==' } } }])
  asked.destroy()
  assert.equal(await gone.promise, false)
})

test('streams end when the member stops, and say so', async () => {
  const stopping = new AbortController()
  const ended = Promise.withResolvers<boolean>()
  const { port } = await serve({ stopping: stopping.signal }, observe(ended.resolve))
  const { answer } = await open(port, '{"name":"YQ=="}')
  await once(answer, 'data')
  stopping.abort()
  let rest = ''
  for await (const chunk of answer) rest += chunk as string
  assert.deepEqual(lines(rest), [{ error: { code: 14, message: 'etcdserver: server stopped' } }])
})

test('a client that does not read holds its own stream up, and nobody else', async () => {
  const count = 200
  const held = Promise.withResolvers<number>()
  const flood: Method = {
    kind: 'stream',
    handle: async (stream) => {
      const kv = Buffer.from(KeyValue.encode(KeyValue.fromPartial({ value: Buffer.alloc(64 * 1024) })).finish())
      const response = LeaderResponse.encode({ header: undefined, kv }).finish()
      for (let sent = 0; sent < count; sent += 1) {
        const timer = setTimeout(() => held.resolve(sent), 100)
        await send(stream, response)
        clearTimeout(timer)
      }
      held.resolve(count)
      return undefined
    },
  }
  const { port, post } = await serve({}, { '/v3electionpb.Election/Observe': flood, ...keepAlive })
  const { answer } = await open(port, '{}')
  assert.ok((await held.promise) < count, 'the sender waits')
  assert.equal((await post('/v3/lease/keepalive', '{"ID":1}')).status, 200)
  let received = ''
  for await (const chunk of answer) received += chunk as string
  assert.equal(lines(received).length, count)
})

test('requests may come while answers go out', async () => {
  const { port } = await serve({}, keepAlive)
  const asked = request({ host: '127.0.0.1', port, method: 'POST', path: '/v3/lease/keepalive', agent: false })
  asked.write('{"ID":')
  asked.write('1}')
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  answer.setEncoding('utf8')
  const ids: unknown[] = []
  for await (const chunk of answer) {
    ids.push(...lines(chunk as string))
    if (ids.length === 1) asked.end('{"ID":2}')
  }
  assert.deepEqual(ids, [{ result: { ID: '1' } }, { result: { ID: '2' } }])
})
