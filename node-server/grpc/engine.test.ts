import { PATIENCE_MS, until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { err, ok } from '../../lib/result.ts'
import type { GrpcServer } from './engine.ts'
import { send, type RpcObserver, type ServiceTable } from './service.ts'
import { ENGINES } from './testing/engines.ts'

for (const engine of ENGINES) {
  describe(engine.name, () => {
    const MAX_RECEIVE_BYTES = 4096
    const handled: string[] = []
    const failures: unknown[] = []
    let seenSignal: AbortSignal | undefined
    let releaseSlow: () => void = () => undefined
    let slowCalls = 0

    const observer: RpcObserver = {
      method: (path) => ({
        started: () => handled.push(`${path} started`),
        handled: (code) => handled.push(`${path} ${code}`),
      }),
      receivedBytes: () => undefined,
      sentBytes: () => undefined,
      failed: (_path, error) => failures.push(error),
    }

    const services: ServiceTable = {
      '/test.Echo/Now': { kind: 'unary', handle: (request) => ok(request) },
      '/test.Echo/Later': { kind: 'unary', handle: async (request) => ok(Buffer.from(request).reverse()) },
      '/test.Echo/Refuse': {
        kind: 'unary',
        handle: () => err({ code: 'FailedPrecondition', message: 'not today: 100 % no' }),
      },
      '/test.Echo/Throw': {
        kind: 'unary',
        handle: () => {
          throw new Error('a bug with secrets')
        },
      },
      '/test.Echo/Header': {
        kind: 'unary',
        handle: (_request, context) =>
          ok(Buffer.from(`${context.metadata('hasleader')} ${context.metadata('absent')}`)),
      },
      '/test.Echo/Slow': {
        kind: 'unary',
        handle: (request, context) => {
          seenSignal = context.signal
          slowCalls++
          return new Promise((resolve) => (releaseSlow = () => resolve(ok(request))))
        },
      },
      '/test.Echo/Each': {
        kind: 'stream',
        handle: async (stream) => {
          for await (const request of stream.requests) {
            if (request.length === 0) return { code: 'OutOfRange', message: 'nothing' }
            if (!(await send(stream, request))) break
          }
          return undefined
        },
      },
      '/test.Echo/Forever': {
        kind: 'stream',
        handle: async (stream, context) => {
          await send(stream, Buffer.from('on'))
          await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }))
          return undefined
        },
      },
    }

    let server: GrpcServer
    let client: Client
    const same = (bytes: Buffer): Buffer => bytes

    before(async () => {
      server = await engine.serve({
        listenURLs: ['http://127.0.0.1:0'],
        services,
        maxReceiveBytes: MAX_RECEIVE_BYTES,
        observer,
      })
      client = new Client(server.addresses[0] ?? '', credentials.createInsecure())
    })
    after(async () => {
      client.close()
      await server.stop(100)
    })

    type Answer = Buffer | ServiceError
    const call = (method: string, request: Buffer, metadata = new Metadata(), deadlineMs = 5000): Promise<Answer> =>
      new Promise((resolve) => {
        const options = { deadline: Date.now() + deadlineMs }
        client.makeUnaryRequest(`/test.Echo/${method}`, same, same, request, metadata, options, (error, answer) =>
          resolve(error ?? answer ?? Buffer.alloc(0)),
        )
      })
    const codeOf = (answer: Answer): number | undefined => (Buffer.isBuffer(answer) ? undefined : answer.code)
    const detailsOf = (answer: Answer): string | undefined => (Buffer.isBuffer(answer) ? undefined : answer.details)

    test('a handler may answer at once or later', async () => {
      assert.deepEqual(await call('Now', Buffer.from('abc')), Buffer.from('abc'))
      assert.deepEqual(await call('Later', Buffer.from('abc')), Buffer.from('cba'))
      assert.deepEqual(await call('Now', Buffer.alloc(0)), Buffer.alloc(0))
    })

    test('a refusal carries its code and text', async () => {
      const answer = await call('Refuse', Buffer.alloc(0))
      assert.deepEqual([codeOf(answer), detailsOf(answer)], [9, 'not today: 100 % no'])
    })

    test('a handler that throws answers Internal, keeps the reason from the client and reports it', async () => {
      failures.length = 0
      const answer = await call('Throw', Buffer.alloc(0))
      assert.equal(codeOf(answer), 13)
      assert.doesNotMatch(detailsOf(answer) ?? '', /secrets/)
      assert.equal(failures.length, 1)
    })

    test('an unknown method is Unimplemented', async () => {
      assert.equal(codeOf(await call('Nowhere', Buffer.alloc(0))), 12)
    })

    test('a request over the limit is ResourceExhausted, one at the limit passes', async () => {
      assert.equal(codeOf(await call('Now', Buffer.alloc(MAX_RECEIVE_BYTES + 1))), 8)
      assert.ok(Buffer.isBuffer(await call('Now', Buffer.alloc(MAX_RECEIVE_BYTES))))
    })

    test('headers reach the handler', async () => {
      const metadata = new Metadata()
      metadata.set('hasleader', 'true')
      assert.equal((await call('Header', Buffer.alloc(0), metadata)).toString(), 'true undefined')
    })

    test('a deadline that passes aborts the signal and counts as cancelled', async () => {
      handled.length = 0
      assert.equal(codeOf(await call('Slow', Buffer.from('x'), new Metadata(), 50)), 4)
      const signal = seenSignal
      assert.ok(signal !== undefined)
      if (!signal.aborted) await once(signal, 'abort')
      releaseSlow()
      await new Promise((resolve) => setImmediate(resolve))
      assert.deepEqual(handled, ['/test.Echo/Slow started', '/test.Echo/Slow Canceled'])
    })

    test('every call is counted once as started and once as handled, under its code', async () => {
      handled.length = 0
      await call('Now', Buffer.alloc(1))
      await call('Refuse', Buffer.alloc(1))
      assert.deepEqual(handled, [
        '/test.Echo/Now started',
        '/test.Echo/Now OK',
        '/test.Echo/Refuse started',
        '/test.Echo/Refuse FailedPrecondition',
      ])
    })

    test('a stream answers each request and ends with its status', async () => {
      const stream = client.makeBidiStreamRequest('/test.Echo/Each', same, same, new Metadata())
      const seen: string[] = []
      stream.on('data', (bytes: Buffer) => {
        seen.push(bytes.toString())
        stream.write(Buffer.alloc(0))
      })
      const ended = new Promise<ServiceError>((resolve) => stream.once('error', resolve))
      stream.write(Buffer.from('one'))
      const status = await ended
      assert.deepEqual([seen, status.code, status.details], [['one'], 11, 'nothing'])
    })

    test('a stream ends with OK when the client has said all', async () => {
      const stream = client.makeBidiStreamRequest('/test.Echo/Each', same, same, new Metadata())
      stream.resume()
      const ended = new Promise((resolve) => stream.once('status', resolve))
      stream.end(Buffer.from('x'))
      assert.deepEqual(await ended.then((status) => status instanceof Object && 'code' in status && status.code), 0)
    })

    test('bytes that are not HTTP/2 end their own connection only', async () => {
      const [, port] = (server.addresses[0] ?? '').split(':')
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('error', () => undefined).resume()
      socket.write('\0'.repeat(1000))
      await new Promise((resolve) => socket.once('close', resolve))
      assert.ok(Buffer.isBuffer(await call('Now', Buffer.from('x'))))
    })

    test('an address in use is an error that names it', async () => {
      const url = `http://${server.addresses[0]}`
      await assert.rejects(
        engine.serve({ listenURLs: [url], services, maxReceiveBytes: 1, observer }),
        new RegExp(`cannot listen on ${url}`),
      )
    })

    test('stopping lets calls finish and ends streams', async () => {
      const own = await engine.serve({ listenURLs: ['http://127.0.0.1:0'], services, maxReceiveBytes: 100, observer })
      const ownClient = new Client(own.addresses[0] ?? '', credentials.createInsecure())
      const stream = ownClient.makeBidiStreamRequest('/test.Echo/Forever', same, same, new Metadata())
      await new Promise((resolve) => stream.once('data', resolve))
      const streamEnd = new Promise<ServiceError>((resolve) => stream.once('error', resolve))
      const before = slowCalls
      const slow = new Promise<string>((resolve) => {
        ownClient.makeUnaryRequest('/test.Echo/Slow', same, same, Buffer.from('in time'), (error, answer) =>
          resolve(error?.details ?? answer?.toString() ?? ''),
        )
      })
      await until('the handler has it', () => slowCalls > before)
      const stopped = own.stop(PATIENCE_MS)
      assert.equal((await streamEnd).code, 14)
      releaseSlow()
      assert.equal(await slow, 'in time')
      ownClient.close()
      await stopped
    })

    test('a call that outlasts the grace is cut', async () => {
      const own = await engine.serve({ listenURLs: ['http://127.0.0.1:0'], services, maxReceiveBytes: 100, observer })
      const session = connectHttp2(`http://${own.addresses[0]}`).on('error', () => undefined)
      const headers = {
        ':method': 'POST',
        ':path': '/test.Echo/Slow',
        'content-type': 'application/grpc',
        te: 'trailers',
      }
      const before = slowCalls
      const request = session.request(headers).on('error', () => undefined)
      request.end(Buffer.alloc(5)) // an empty message in its frame
      await until('the handler has it', () => slowCalls > before)
      const closed = new Promise((resolve) => session.once('close', resolve))
      await own.stop(100)
      await closed
    })
  })
}
