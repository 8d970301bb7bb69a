/** Clients that mean no good, or do not know better: each is bounded, and hurts nobody else. */
import { PATIENCE_MS, until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { once, type EventEmitter } from 'node:events'
import { connect as connectHttp2, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { describe, test, type TestContext } from 'node:test'
import { Client, credentials } from '@grpc/grpc-js'
import { ok } from '../../lib/result.ts'
import { DEFAULT_LIMITS, type ListenLimits } from '../listen/limits.ts'
import { send, type RpcObserver, type ServiceTable } from './service.ts'
import { ENGINES } from './testing/engines.ts'

const observer: RpcObserver = {
  method: () => ({ started: () => undefined, handled: () => undefined }),
  receivedBytes: () => undefined,
  sentBytes: () => undefined,
  failed: (_path, error) => assert.fail(String(error)),
}
const MIB = 1024 * 1024
const LARGE = Buffer.alloc(MIB)
for (const engine of ENGINES) {
  describe(engine.name, () => {
    const ended: string[] = []
    const services: ServiceTable = {
      '/test.Echo/Now': { kind: 'unary', handle: (request) => ok(request) },
      '/test.Echo/Large': { kind: 'unary', handle: () => ok(LARGE) },
      '/test.Echo/Flood': {
        kind: 'stream',
        handle: async (stream) => {
          while (await send(stream, LARGE));
          ended.push('flood')
          return undefined
        },
      },
    }

    async function serve(t: TestContext, limits: Partial<ListenLimits> = {}): Promise<string> {
      const server = await engine.serve({
        listenURLs: ['http://127.0.0.1:0'],
        services,
        maxReceiveBytes: 2 * MIB,
        observer,
        limits: { ...DEFAULT_LIMITS, ...limits },
        handleRequest: (request, response) => response.end(request.url),
      })
      t.after(() => server.stop(0))
      return server.addresses[0] ?? ''
    }

    /** Another client, which must not notice anything. */
    async function assertServed(address: string): Promise<void> {
      const client = new Client(address, credentials.createInsecure())
      const same = (bytes: Buffer): Buffer => bytes
      const answer = await new Promise<string>((resolve) => {
        const options = { deadline: Date.now() + PATIENCE_MS }
        client.makeUnaryRequest('/test.Echo/Now', same, same, Buffer.from('x'), options, (error, bytes) =>
          resolve(error?.message ?? bytes?.toString() ?? ''),
        )
      })
      client.close()
      assert.equal(answer, 'x')
    }

    const CALL = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' } as const
    const frame = (payload: Buffer): Buffer => {
      const prefix = Buffer.alloc(5)
      prefix.writeUInt32BE(payload.length, 1)
      return Buffer.concat([prefix, payload])
    }

    async function open(t: TestContext, address: string): Promise<ClientHttp2Session> {
      const session = connectHttp2(`http://${address}`, { maxSessionMemory: 1000, maxOutstandingPings: 10_000 })
      session.on('error', () => undefined)
      t.after(() => session.destroy())
      await once(session, 'remoteSettings')
      return session
    }

    interface Begun {
      readonly stream: ClientHttp2Stream
      /** What is left of gRPC in the answer: its status, or how the stream was reset. Comes once the answer is read. */
      readonly status: Promise<string>
    }

    function begin(session: ClientHttp2Session, method: string, headers: Record<string, string> = {}): Begun {
      const stream = session.request({ ...CALL, ...headers, ':path': `/test.Echo/${method}` })
      let status = ''
      stream.on('error', () => undefined)
      stream.on('response', (headers) => (status ||= String(headers['grpc-status'] ?? '')))
      stream.on('trailers', (headers) => (status ||= String(headers['grpc-status'] ?? '')))
      return {
        stream,
        status: new Promise((resolve) => stream.once('close', () => resolve(status || `reset ${stream.rstCode}`))),
      }
    }

    /** A whole call. */
    function call(session: ClientHttp2Session, method: string, headers: Record<string, string> = {}): Promise<string> {
      const { stream, status } = begin(session, method, headers)
      stream.end(frame(Buffer.from('z')))
      stream.resume()
      return status
    }

    const closed = (emitter: EventEmitter): Promise<unknown> => new Promise((resolve) => emitter.once('close', resolve))
    const roundTrip = (session: ClientHttp2Session): Promise<unknown> => new Promise((resolve) => session.ping(resolve))

    async function raw(t: TestContext, address: string): Promise<Socket> {
      const [host, port] = address.split(':')
      const socket = connect(Number(port), host).on('error', () => undefined)
      t.after(() => socket.destroy())
      await once(socket, 'connect')
      return socket
    }

    /** HTTP/2 by hand, which costs this process less than a client would: the frame that begins a call and never ends it. */
    function headersFrame(streamId: number): Buffer {
      const text = (value: string): Buffer => Buffer.concat([Buffer.of(value.length), Buffer.from(value)])
      const block = Buffer.concat([
        Buffer.of(0x83, 0x86, 0x01), // POST, http, then the authority
        text('localhost'),
        Buffer.of(0x04), // path
        text('/test.Echo/Now'),
        Buffer.of(0x0f, 0x10), // content-type
        text('application/grpc'),
      ])
      const header = Buffer.alloc(9)
      header.writeUIntBE(block.length, 0, 3)
      header.writeUInt16BE(0x01_04, 3) // HEADERS, with END_HEADERS
      header.writeUInt32BE(streamId, 5)
      return Buffer.concat([header, block])
    }

    test('10,000 calls that never end on one connection disturb nobody', async (t) => {
      const address = await serve(t)
      const socket = await raw(t, address)
      let answer = Buffer.alloc(0)
      socket.on('data', (chunk: Buffer) => (answer = Buffer.concat([answer, chunk])))
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
      socket.write(Buffer.from('000000040000000000', 'hex')) // settings: none
      const streams = Array.from({ length: 10_000 }, (_, i) => headersFrame(2 * i + 1))
      socket.write(Buffer.concat([...streams, Buffer.from('00000806000000000012345678', 'hex'), Buffer.alloc(4)])) // and a ping
      await until('all is read and the ping answered', () =>
        answer.includes(Buffer.from('00000806010000000012345678', 'hex')),
      )
      await assertServed(address)
      assert.equal(socket.closed, false)
      assert.equal(answer.includes(Buffer.from('0000040300', 'hex')), false, 'no call was reset')
    })

    test('calls at once on one connection are bounded: a further one waits', async (t) => {
      const session = await open(t, await serve(t, { maxConcurrentStreams: 100 }))
      assert.equal(session.remoteSettings.maxConcurrentStreams, 100)
      const idle = Array.from({ length: 100 }, () => begin(session, 'Now'))
      const further = call(session, 'Now')
      const early = await Promise.race([further, new Promise((resolve) => setTimeout(resolve, 100, 'waits'))])
      assert.equal(early, 'waits')
      idle[0]?.stream.close(constants.NGHTTP2_CANCEL)
      assert.equal(await further, '0')
    })

    test('calls at once on all connections are bounded: a further one is refused, and served later', async (t) => {
      const address = await serve(t, { maxStreams: 4 })
      const [one, two] = [await open(t, address), await open(t, address)]
      // A few are everybody's, whatever others have.
      const idle = Array.from({ length: 32 }, (_, i) => begin(i < 16 ? one : two, 'Now'))
      await Promise.all([roundTrip(one), roundTrip(two)])
      assert.equal(await call(two, 'Now'), `reset ${constants.NGHTTP2_REFUSED_STREAM}`)
      for (const { stream } of idle) stream.close(constants.NGHTTP2_CANCEL)
      await Promise.all(idle.map(({ status }) => status))
      await assertServed(address)
    })

    test('a flood of pings is answered with too_many_pings, and the connection ends', async (t) => {
      const address = await serve(t)
      const session = await open(t, address)
      let goaway = ''
      session.on('goaway', (code, _lastStream, text) => (goaway ||= `${code} ${String(text)}`))
      const end = closed(session)
      for (let i = 0; i < 5000; i++) session.ping(() => undefined)
      await end
      assert.equal(goaway, `${constants.NGHTTP2_ENHANCE_YOUR_CALM} too_many_pings`)
      await assertServed(address)
    })

    test('pings of a client that is being sent data are taken', async (t) => {
      const address = await serve(t)
      const session = await open(t, address)
      for (let i = 0; i < 20; i++) {
        assert.equal(await call(session, 'Now'), '0')
        await roundTrip(session)
      }
      assert.equal(session.closed, false)
    })

    test('with a minimum of nothing pings are not counted', async (t) => {
      const session = await open(t, await serve(t, { keepaliveMinTimeMs: 0 }))
      for (let i = 0; i < 20; i++) await roundTrip(session)
      assert.equal(session.closed, false)
    })

    test('a client that does not read gets a bounded number of responses, then refusals', async (t) => {
      const address = await serve(t, { maxConnectionResponseBytes: 8 * MIB })
      const session = await open(t, address)
      const calls: Begun[] = []
      for (let i = 0; i < 20; i++) {
        const begun = begin(session, 'Large')
        calls.push(begun)
        begun.stream.end(frame(Buffer.alloc(0)))
        await once(begun.stream, 'response')
      }
      await assertServed(address)
      for (const { stream } of calls) stream.resume()
      const statuses = await Promise.all(calls.map(({ status }) => status))
      assert.deepEqual(statuses, [...Array.from({ length: 9 }, () => '0'), ...Array.from({ length: 11 }, () => '8')])
      assert.equal(await call(session, 'Large'), '0', 'once it has read it is served again')
    })

    test('streams of a client that does not read end, and their handlers learn of it', async (t) => {
      ended.length = 0
      const address = await serve(t, { maxConnectionResponseBytes: 3 * MIB })
      const session = await open(t, address)
      for (let i = 0; i < 10; i++) begin(session, 'Flood').stream.end(frame(Buffer.alloc(0)))
      await until('most streams have ended', () => ended.length >= 6)
      await assertServed(address)
      session.destroy()
      await until('all have ended', () => ended.length === 10)
    })

    test('parts of requests are held up to a bound, then the calls are cut', async (t) => {
      const address = await serve(t, { maxConnectionRequestBytes: 4 * MIB })
      const session = await open(t, address)
      const part = frame(LARGE).subarray(0, MIB - 100)
      const calls = Array.from({ length: 12 }, () => {
        const begun = begin(session, 'Now')
        begun.stream.write(part)
        begun.stream.resume()
        return begun
      })
      const isCut = ({ stream }: Begun): boolean => stream.rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM
      await until('what is too much is cut', () => calls.filter((begun) => isCut(begun)).length >= 8)
      await assertServed(address)
      const rest = calls.filter((begun) => !isCut(begun))
      assert.ok(rest.length > 0)
      for (const { stream } of rest) stream.end(LARGE.subarray(0, 105))
      assert.deepEqual(new Set(await Promise.all(rest.map(({ status }) => status))), new Set(['0']))
    })

    const silent: readonly [string, string | Buffer][] = [
      ['says nothing', ''],
      ['says two letters', 'PR'],
      ['begins HTTP/2 without settings', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
      ['sends half a header', 'GET / HTTP/1.1\r\nHost: x\r\nX-'],
    ]
    for (const [title, bytes] of silent) {
      test(`a connection that ${title} ends after a while`, async (t) => {
        const address = await serve(t, { handshakeTimeoutMs: 150, headersTimeoutMs: 150 })
        const socket = await raw(t, address)
        socket.write(bytes)
        const startedMs = performance.now()
        await closed(socket.resume())
        assert.ok(performance.now() - startedMs > 100)
        await assertServed(address)
      })
    }

    test('a header that comes byte by byte is given up, however diligently', async (t) => {
      const address = await serve(t, { headersTimeoutMs: 200 })
      const socket = await raw(t, address)
      socket.write('GET / HTTP/1.1\r\nX: ')
      const dribble = setInterval(() => socket.write('a'), 20)
      await closed(socket.resume())
      clearInterval(dribble)
      await assertServed(address)
    })

    test('a header over the limit is refused, by both versions of HTTP', async (t) => {
      const address = await serve(t, { maxHeaderBytes: 2048 })
      const socket = await raw(t, address)
      socket.end(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(4096)}\r\n\r\n`)
      assert.match((await socket.toArray()).join(''), /^HTTP\/1\.1 431 /)
      const session = await open(t, address)
      assert.match(await call(session, 'Now', { 'x-long': 'b'.repeat(4096) }), /^reset [1-9]/)
      await assertServed(address)
    })

    test('connections are bounded: a further one is closed, and one that ends makes room', async (t) => {
      const address = await serve(t, { maxConnections: 2 })
      const [one] = [await raw(t, address), await raw(t, address)]
      const third = await raw(t, address)
      await closed(third.resume())
      const end = closed(one)
      one.destroy()
      await end
      await assertServed(address)
    })

    test('an idle connection of HTTP/1.1 ends, one of HTTP/2 stays', async (t) => {
      const address = await serve(t, { idleTimeoutMs: 100 })
      const session = await open(t, address)
      const socket = await raw(t, address)
      socket.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n')
      await closed(socket.resume())
      assert.equal(session.closed, false)
    })
  })
}
