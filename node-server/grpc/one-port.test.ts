import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type NetConnectOpts } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Client, credentials } from '@grpc/grpc-js'
import { ok } from '../../lib/result.ts'
import type { GrpcServer } from './engine.ts'
import type { RpcObserver, ServiceTable } from './service.ts'
import { ENGINES } from './testing/engines.ts'

for (const engine of ENGINES) {
  describe(engine.name, () => {
    const observer: RpcObserver = {
      method: () => ({ started: () => undefined, handled: () => undefined }),
      receivedBytes: () => undefined,
      sentBytes: () => undefined,
      failed: (_path, error) => assert.fail(String(error)),
    }
    const services: ServiceTable = {
      '/test.Echo/Now': { kind: 'unary', handle: (request) => ok(request) },
      '/test.Echo/Peer': { kind: 'unary', handle: (_request, context) => ok(Buffer.from(context.peer)) },
    }
    const serve = (listenURLs: readonly string[]): Promise<GrpcServer> =>
      engine.serve({
        listenURLs,
        services,
        maxReceiveBytes: 4096,
        observer,
        handleRequest: (request, response) => {
          const chunks: Buffer[] = []
          request.on('data', (chunk: Buffer) => chunks.push(chunk))
          request.on('end', () => {
            response.setHeader('content-type', 'text/plain')
            response.end(`${request.httpVersion} ${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`)
          })
        },
      })

    let directory: string
    let socketPath: string
    let server: GrpcServer
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'raftkv-listen-'))
      socketPath = join(directory, 'client.sock')
      server = await serve(['http://127.0.0.1:0', `unix://${socketPath}`])
    })
    after(async () => {
      await server.stop(100)
      await rm(directory, { recursive: true })
    })

    const same = (bytes: Buffer): Buffer => bytes
    function call(target: string, method: string, request: string): Promise<string> {
      const client = new Client(target, credentials.createInsecure())
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(`/test.Echo/${method}`, same, same, Buffer.from(request), (error, answer) => {
          client.close()
          if (error === null) resolve(answer?.toString() ?? '')
          else reject(error)
        })
      })
    }

    async function http1(address: { port: number } | { socketPath: string }, body: string): Promise<string> {
      const request = httpRequest({ ...address, method: 'POST', path: '/v3/kv/put', agent: false })
      request.end(body)
      const [response] = await once(request, 'response')
      let text = ''
      for await (const chunk of response) text += String(chunk)
      return text
    }

    async function http2(url: string, connection?: NetConnectOpts): Promise<string> {
      const session = connectHttp2(url, connection === undefined ? {} : { createConnection: () => connect(connection) })
      const request = session.request({ ':path': '/version' })
      let text = ''
      for await (const chunk of request) text += String(chunk)
      session.close()
      return text
    }

    const portOf = (address: string): number => Number(address.split(':').at(-1))

    test('one port serves gRPC, HTTP/1.1 and HTTP/2 without gRPC', async () => {
      const [address = ''] = server.addresses
      assert.equal(await call(address, 'Now', 'abc'), 'abc')
      assert.equal(await http1({ port: portOf(address) }, 'body'), '1.1 POST /v3/kv/put body')
      assert.equal(await http2(`http://${address}`), '2.0 GET /version ')
    })

    test('a unix socket serves the same', async () => {
      assert.equal(server.addresses[1], socketPath)
      assert.equal(await call(`unix:${socketPath}`, 'Now', 'abc'), 'abc')
      assert.equal(await http1({ socketPath }, 'x'), '1.1 POST /v3/kv/put x')
      assert.equal(await http2('http://localhost', { path: socketPath }), '2.0 GET /version ')
    })

    test('a handler learns who calls', async () => {
      assert.match(await call(server.addresses[0] ?? '', 'Peer', ''), /^127\.0\.0\.1:\d+$/)
    })

    test('a request that arrives byte by byte is served', async () => {
      const socket = connect(portOf(server.addresses[0] ?? ''), '127.0.0.1').setNoDelay(true)
      await once(socket, 'connect')
      for (const byte of 'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab') {
        await new Promise((resolve) => socket.write(byte, resolve))
      }
      let text = ''
      for await (const chunk of socket) text += String(chunk)
      assert.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*1\.1 POST \/ ab/)
    })

    test('who half-closes after its request still gets the answer', async () => {
      const socket = connect({ port: portOf(server.addresses[0] ?? ''), host: '127.0.0.1', allowHalfOpen: true })
      socket.end('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
      let text = ''
      for await (const chunk of socket) text += String(chunk)
      assert.match(text, /1\.1 GET \/health/)
    })

    test('a socket file that a killed process left is replaced, a file of another kind is not', async () => {
      const path = join(directory, 'stale.sock')
      const first = await serve([`unix://${path}`])
      await assert.rejects(serve([`unix://${directory}`]), /cannot listen on unix:.*EADDRINUSE/)
      // A killed process closes its socket and leaves the file; Node's own close would remove it.
      const replaced = await serve([`unix://${path}`])
      assert.equal(await call(`unix:${path}`, 'Now', 'new'), 'new')
      await replaced.stop(100)
      await first.stop(100)
      await writeFile(path, 'precious')
      await assert.rejects(serve([`unix://${path}`]), /cannot listen on unix:.*EADDRINUSE/)
    })

    test('the same port can be listened on again at once after connections were there', async () => {
      const first = await serve(['http://127.0.0.1:0'])
      const [address = ''] = first.addresses
      await http1({ port: portOf(address) }, 'x')
      await first.stop(0)
      const again = await serve([`http://${address}`])
      assert.equal(await call(address, 'Now', 'again'), 'again')
      await again.stop(100)
    })

    test('when one address cannot be bound none stays open', async () => {
      const taken = createServer().listen(0, '127.0.0.1')
      await once(taken, 'listening')
      const bound = taken.address()
      assert.ok(typeof bound === 'object' && bound !== null)
      const free = createServer().listen(0, '127.0.0.1')
      await once(free, 'listening')
      const freeAddress = free.address()
      assert.ok(typeof freeAddress === 'object' && freeAddress !== null)
      await new Promise((resolve) => free.close(resolve))
      const url = `http://127.0.0.1:${freeAddress.port}`
      await assert.rejects(serve([url, `http://127.0.0.1:${bound.port}`]), /EADDRINUSE/)
      const now = await serve([url])
      await now.stop(0)
      await new Promise((resolve) => taken.close(resolve))
    })
  })
}
