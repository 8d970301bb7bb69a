import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { Client, credentials, Metadata, type ClientDuplexStream } from '@grpc/grpc-js'
import type { GrpcServer } from './engine.ts'
import { send, type RpcObserver, type ServiceTable } from './service.ts'
import { ENGINES } from './testing/engines.ts'

const MESSAGE = Buffer.alloc(10_000, 'm')
/** More than the buffers of two sockets and the flow control of HTTP/2 take together. */
const MANY = 3000

for (const engine of ENGINES) {
  describe(engine.name, () => {
    /** Emits the code of each call that has ended. */
    const handled = new EventEmitter()
    const received = { count: 0 }
    const sent = { count: 0, isPending: false }
    let release: () => void = () => undefined

    const observer: RpcObserver = {
      method: () => ({ started: () => undefined, handled: (code) => void handled.emit(code) }),
      receivedBytes: () => void (received.count += 1),
      sentBytes: () => undefined,
      failed: (path, error) => assert.fail(`${path}: ${String(error)}`),
    }

    const services: ServiceTable = {
      '/test.Stream/Flood': {
        kind: 'stream',
        handle: async (stream) => {
          for (sent.count = 0; sent.count < MANY; sent.count++) {
            sent.isPending = true
            if (!(await send(stream, MESSAGE))) break
            sent.isPending = false
          }
          return undefined
        },
      },
      '/test.Stream/Slow': {
        kind: 'stream',
        handle: async (stream) => {
          let count = 0
          for await (const request of stream.requests) {
            if (count++ === 0) await new Promise<void>((resolve) => (release = resolve))
            if (request.length === 0) break
          }
          await send(stream, Buffer.from(String(count)))
          return undefined
        },
      },
    }

    let server: GrpcServer
    let client: Client
    before(async () => {
      server = await engine.serve({ listenURLs: ['http://127.0.0.1:0'], services, maxReceiveBytes: 20_000, observer })
      client = new Client(server.addresses[0] ?? '', credentials.createInsecure())
    })
    after(async () => {
      client.close()
      await server.stop(100)
    })

    const same = (bytes: Buffer): Buffer => bytes
    const open = (method: string): ClientDuplexStream<Buffer, Buffer> =>
      client.makeBidiStreamRequest(`/test.Stream/${method}`, same, same, new Metadata())

    /** Until the number has stayed the same for a while: nothing tells that nothing happens any more. */
    async function atRest(read: () => number): Promise<number> {
      for (let before = -1; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
        const now = read()
        if (now === before && now > 0) return now
        before = now
      }
    }

    /** A stream whose client has read one response and then no more: before that the library reads ahead without a bound. */
    async function stalled(): Promise<{ readonly stream: ClientDuplexStream<Buffer, Buffer>; count: number }> {
      const reader = { stream: open('Flood'), count: 0 }
      await new Promise<void>((resolve) => {
        reader.stream.on('data', () => {
          if (reader.count++ > 0) return
          reader.stream.pause()
          resolve()
        })
      })
      assert.ok((await atRest(() => sent.count)) < MANY / 10, `${sent.count} responses`)
      assert.equal(sent.isPending, true)
      return reader
    }

    test('a client that does not read holds the handler up, and gets everything once it reads', async () => {
      const reader = await stalled()
      const ended = new Promise((resolve) => reader.stream.once('end', resolve))
      reader.stream.resume()
      await ended
      assert.equal(reader.count, MANY)
    })

    test('a client that goes while the handler waits for it ends the wait', async () => {
      const { stream } = await stalled()
      stream.on('error', () => undefined)
      const finished = once(handled, 'Canceled')
      stream.cancel()
      await finished
      assert.ok(sent.count < MANY / 10)
    })

    test('requests are taken from the connection only as the handler asks for them', async () => {
      const stream = open('Slow')
      received.count = 0
      for (let i = 0; i < MANY; i++) stream.write(MESSAGE)
      stream.write(Buffer.alloc(0))
      assert.equal(await atRest(() => received.count), 1)
      const answer = new Promise<Buffer>((resolve) => stream.once('data', resolve))
      release()
      assert.equal((await answer).toString(), String(MANY + 1))
      stream.end()
    })
  })
}
