/** What the built-in engine does beyond what every engine must. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHttp2, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { Client, credentials, Metadata, type ChannelOptions } from '@grpc/grpc-js'
import { err, ok } from '../../lib/result.ts'
import { serveBuiltIn } from './built-in.ts'
import type { GrpcServer } from './engine.ts'
import { send, type RpcObserver, type ServiceTable } from './service.ts'

const MAX_RECEIVE_BYTES = 10_000
const observer: RpcObserver = {
  method: () => ({ started: () => undefined, handled: () => undefined }),
  receivedBytes: () => undefined,
  sentBytes: () => undefined,
  failed: (_path, error) => assert.fail(String(error)),
}
let onAborted: () => void = () => undefined
const services: ServiceTable = {
  '/test.Echo/Now': { kind: 'unary', handle: (request) => ok(request) },
  '/test.Echo/Never': {
    kind: 'unary',
    handle: (_request, { signal }) => {
      signal.addEventListener('abort', () => onAborted(), { once: true })
      return new Promise(() => undefined)
    },
  },
  '/test.Echo/Say': {
    kind: 'unary',
    handle: (request, { answer }) => {
      answer?.addHeader('x-first', 'head')
      answer?.addTrailer('x-last-bin', Buffer.from([1, 2]).toString('base64'))
      const details = Buffer.from('details')
      return request.length > 0 ? ok(request) : err({ code: 'Aborted', message: 'grün', details })
    },
  },
  '/test.Echo/Each': {
    kind: 'stream',
    handle: async (stream) => {
      for await (const request of stream.requests) await send(stream, request)
      return undefined
    },
  },
}

let server: GrpcServer
before(async () => {
  server = await serveBuiltIn({
    listenURLs: ['http://127.0.0.1:0'],
    services,
    maxReceiveBytes: MAX_RECEIVE_BYTES,
    observer,
    handleRequest: (request, response) => {
      if (request.url === '/cut') return response.destroy()
      response.statusCode = 201
      response.setHeader('X-Url', request.url ?? '').setHeader('Connection', 'close')
      if (request.url === '/host') return response.end(request.headers.host)
      return request.pipe(response)
    },
  })
})
after(() => server.stop(0))

const same = (bytes: Buffer): Buffer => bytes
function call(options: ChannelOptions, request: Buffer): Promise<string> {
  const client = new Client(server.addresses[0] ?? '', credentials.createInsecure(), options)
  return new Promise((resolve) => {
    client.makeUnaryRequest('/test.Echo/Now', same, same, request, new Metadata(), (error, answer) => {
      client.close()
      resolve(error?.message ?? answer?.toString() ?? '')
    })
  })
}

interface Raw {
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  readonly body: Buffer
}

const GRPC = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }
async function ask(headers: Record<string, string>, ...body: readonly Buffer[]): Promise<Raw> {
  const session: ClientHttp2Session = connectHttp2(`http://${server.addresses[0]}`)
  const stream = session.request(headers)
  let trailers: IncomingHttpHeaders = {}
  stream.on('trailers', (given) => (trailers = given))
  for (const part of body) stream.write(part)
  stream.end()
  const [head] = await once(stream, 'response')
  const whole = Buffer.concat(await stream.toArray())
  session.close()
  return { headers: head, trailers, body: whole }
}

const framed = (message: Buffer, flag = 0): Buffer => {
  const prefix = Buffer.of(flag, 0, 0, 0, 0)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}
const status = ({ headers, trailers }: Raw): string => {
  const given = trailers['grpc-status'] === undefined ? headers : trailers
  return `${String(given['grpc-status'])} ${decodeURI(String(given['grpc-message'] ?? ''))}`
}

test('an authority that is none is taken: clients over unix sockets send such', async () => {
  for (const authority of ['#initially=[unix:///run/etcd.sock]', '/run/etcd.sock', '%2Frun%2Fetcd.sock'])
    assert.equal(await call({ 'grpc.default_authority': authority }, Buffer.from(authority)), authority)
})

test('gzip is taken, on calls and on streams; what it hides is bounded', async () => {
  assert.equal(await call({ 'grpc.default_compression_algorithm': 2 }, Buffer.from('zip'.repeat(50))), 'zip'.repeat(50))
  const zipped = { ...GRPC, ':path': '/test.Echo/Each', 'grpc-encoding': 'gzip' }
  const messages = ['one', 'two', 'three'].map((text) => Buffer.from(text))
  const { body } = await ask(
    zipped,
    ...messages.map((message) => framed(gzipSync(message), 1)),
    framed(Buffer.from('four')),
  )
  assert.deepEqual(body, Buffer.concat([...messages, Buffer.from('four')].map((message) => framed(message))))
  const bomb = framed(gzipSync(Buffer.alloc(1_000_000)), 1)
  assert.match(status(await ask(zipped, bomb)), /^8 .*after decompression larger than max/)
  assert.match(status(await ask(zipped, framed(Buffer.from('no gzip'), 1))), /^13 .*decompress/)
})

test('what is no message of gRPC is refused with its reason', async () => {
  const now = { ...GRPC, ':path': '/test.Echo/Now' }
  assert.match(status(await ask(now)), /^13 a unary call without a request/)
  assert.match(status(await ask(now, framed(Buffer.from('abc')).subarray(0, 6))), /^13 .*not complete/)
  assert.match(status(await ask(now, framed(Buffer.from('a')), framed(Buffer.from('b')))), /^13 more than one/)
  assert.match(status(await ask(now, framed(Buffer.from('a'), 1))), /^13 .*compressed flag/)
  assert.match(status(await ask({ ...now, 'grpc-encoding': 'snappy' }, framed(Buffer.from('a')))), /^12 .*"snappy"/)
  assert.match(status(await ask({ ...now, 'grpc-timeout': '5x' }, framed(Buffer.from('a')))), /^13 malformed/)
  assert.match(status(await ask(now, framed(Buffer.alloc(MAX_RECEIVE_BYTES + 1)))), /^8 .*\(10001 vs. 10000\)/)
  const each = { ...GRPC, ':path': '/test.Echo/Each' }
  assert.match(status(await ask(each, framed(Buffer.from('abc')).subarray(0, 6))), /^13 .*not complete/)
})

test('a message at the limit passes, in however many pieces', async () => {
  const message = framed(Buffer.alloc(MAX_RECEIVE_BYTES, 'x'))
  const pieces = Array.from({ length: 101 }, (_, i) => message.subarray(i * 100, (i + 1) * 100))
  const answer = await ask({ ...GRPC, ':path': '/test.Echo/Now' }, ...pieces)
  assert.deepEqual(answer.body, message)
})

test('a handler adds to the head and to the end of its answer, and details to a refusal', async () => {
  const path = { ...GRPC, ':path': '/test.Echo/Say' }
  const answered = await ask(path, framed(Buffer.from('x')))
  assert.deepEqual([answered.headers['x-first'], answered.trailers['x-last-bin']], ['head', 'AQI='])
  const refused = await ask(path, framed(Buffer.alloc(0)))
  assert.equal(status(refused), '10 grün')
  assert.equal(refused.trailers['x-last-bin'], 'AQI=')
  assert.equal(Buffer.from(String(refused.trailers['grpc-status-details-bin']), 'base64').toString(), 'details')
})

test('a deadline that the client does not watch is watched here', async () => {
  const aborted = new Promise<void>((resolve) => (onAborted = resolve))
  const answer = await ask({ ...GRPC, ':path': '/test.Echo/Never', 'grpc-timeout': '30m' }, framed(Buffer.alloc(0)))
  assert.match(status(answer), /^4 context deadline exceeded/)
  await aborted
})

test('requests that are no calls have an answer of HTTP', async () => {
  const { headers, body } = await ask(
    { ':method': 'POST', ':path': '/a?b=c' },
    Buffer.from('some'),
    Buffer.from(' body'),
  )
  assert.deepEqual([headers[':status'], headers['x-url'], headers['connection']], [201, '/a?b=c', undefined])
  assert.ok(headers.date !== undefined)
  assert.equal(body.toString(), 'some body')
  assert.equal((await ask({ ':path': '/host', ':authority': 'etcd:2379' })).body.toString(), 'etcd:2379')
  assert.equal((await ask({ ':method': 'HEAD', ':path': '/host' })).body.length, 0)
  const long = Buffer.alloc(3_000_000, 'long')
  assert.deepEqual((await ask({ ':method': 'POST', ':path': '/' }, long)).body, long)
})

test('an answer that its handler breaks off is broken off', async () => {
  await assert.rejects(ask({ ':path': '/cut' }), { code: 'ERR_HTTP2_STREAM_ERROR' })
})
