/**
 * The decoders of HTTP/2, given what no client sends: noise, and a real conversation cut off and flipped. What is wrong ends
 * the connection, or one call; nothing else ends, and others are served as before.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { ok } from '../../lib/result.ts'
import { serveBuiltIn } from '../../node-server/grpc/built-in.ts'
import type { GrpcServer } from '../../node-server/grpc/engine.ts'
import { MessageReader } from '../../node-server/grpc/message-reader.ts'
import { send } from '../../node-server/grpc/service.ts'
import { ConnectionError } from '../../node-server/http2/errors.ts'
import { Flag, FRAME_HEADER_BYTES, FrameType, PREFACE, writeFrameHeader } from '../../node-server/http2/frame.ts'
import { FrameReader } from '../../node-server/http2/frame-reader.ts'
import { HpackDecoder } from '../../node-server/http2/hpack-decoder.ts'
import { requestHead } from '../../node-server/http2/request-head.ts'
import { readSettings, settingsPayload } from '../../node-server/http2/settings.ts'
import { mutate, mutation } from './wire.ts'

const noise = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes))

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const out = Buffer.alloc(FRAME_HEADER_BYTES + payload.length)
  payload.copy(out, writeFrameHeader(out, 0, payload.length, type, flags, streamId))
  return out
}

/** As RFC 7541 C.4 begins: Huffman's code, static and dynamic entries. */
const BLOCKS = ['828684418cf1e3c2e5f23a6ba0ab90f4ff', '828684be5886a8eb10649cbf', '3fe1014882640258'].map((hex) =>
  Buffer.from(hex, 'hex'),
)

/** Whether the error is one that a connection is prepared for. */
function endsConnection(run: () => void): void {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof ConnectionError, String(error))
  }
}

test('a header block is a list, or ends the connection', () => {
  const block = fc.oneof(
    noise,
    fc.tuple(fc.constantFrom(...BLOCKS), mutation).map(([bytes, change]) => mutate(bytes, change)),
  )
  fc.assert(
    fc.property(fc.array(block, { maxLength: 4 }), (blocks) => {
      const decoder = new HpackDecoder({ maxListBytes: 500 })
      for (const bytes of blocks)
        endsConnection(() => {
          const list = decoder.decode(bytes, 0, bytes.length)
          if (list !== undefined) requestHead(list)
        })
    }),
    { numRuns: 1000 },
  )
})

test('a block that is cut off anywhere is never taken for more than it is', () => {
  for (const bytes of BLOCKS)
    for (let end = 0; end < bytes.length; end++)
      endsConnection(() => void new HpackDecoder({ maxListBytes: 500 }).decode(bytes, 0, end))
})

test('settings are settings, or end the connection', () => {
  const known = settingsPayload([1, 2, 3, 4, 5, 6, 9].map((id) => [id, id === 2 ? 1 : 16_384] as const))
  fc.assert(
    fc.property(
      fc.oneof(
        noise,
        mutation.map((change) => mutate(known, change)),
      ),
      (bytes) => endsConnection(() => readSettings(bytes, 0, bytes.length, () => undefined)),
    ),
    { numRuns: 300 },
  )
})

test('frames and messages are the same however they are cut', () => {
  const pieces = fc.array(fc.nat(200), { maxLength: 20 })
  const all = Buffer.concat([PREFACE, ...BLOCKS.map((block, i) => frame(i, i, 2 * i + 1, block))])
  fc.assert(
    fc.property(pieces, (lengths) => {
      const seen: string[] = []
      const reader = new FrameReader((type, flags, streamId, bytes, start, end) =>
        seen.push(`${type} ${flags} ${streamId} ${bytes.toString('hex', start, end)}`),
      )
      const messages = new MessageReader()
      let at = 0
      for (const length of [...lengths, all.length]) {
        reader.read(Buffer.from(all.subarray(at, at + length)))
        at += length
      }
      messages.add(Buffer.from([0, 0, 0, 0, 1, 7]), 0, 6)
      assert.deepEqual(
        seen,
        BLOCKS.map((block, i) => `${i} ${i} ${2 * i + 1} ${block.toString('hex')}`),
      )
      assert.deepEqual([...messages.take()], [7])
    }),
    { numRuns: 200 },
  )
})

let server: GrpcServer
const problems: unknown[] = []
before(async () => {
  server = await serveBuiltIn({
    listenURLs: ['http://127.0.0.1:0'],
    services: {
      '/test.Echo/Now': { kind: 'unary', handle: (request) => ok(request) },
      '/test.Echo/Each': {
        kind: 'stream',
        handle: async (stream) => {
          for await (const request of stream.requests) if (!(await send(stream, request))) break
          return undefined
        },
      },
    },
    maxReceiveBytes: 1000,
    observer: {
      method: () => ({ started: () => undefined, handled: () => undefined }),
      receivedBytes: () => undefined,
      sentBytes: () => undefined,
      failed: (_path, error) => problems.push(error),
    },
    handleRequest: (request, response) =>
      void request.on('error', () => undefined).pipe(response.on('error', () => undefined)),
  })
})
after(() => server.stop(0))

const text = (value: string): Buffer => Buffer.concat([Buffer.of(value.length), Buffer.from(value)])
const head = (path: string): Buffer =>
  Buffer.concat([Buffer.of(0x83, 0x86, 0x44), text(path), Buffer.of(0x5f), text('application/grpc')])
const MESSAGE = Buffer.from([0, 0, 0, 0, 3, 1, 2, 3])

/** After the preface: settings, a call of each kind, a request that is no call, a ping, windows, and calls given up. */
const CONVERSATION = Buffer.concat([
  frame(FrameType.settings, 0, 0, settingsPayload([[4, 1000]])),
  frame(FrameType.headers, Flag.endHeaders, 1, head('/test.Echo/Now')),
  frame(FrameType.data, Flag.endStream, 1, MESSAGE),
  frame(FrameType.headers, Flag.endHeaders, 3, head('/test.Echo/Each')),
  frame(FrameType.data, Flag.padded, 3, Buffer.concat([Buffer.of(2), MESSAGE, Buffer.alloc(2)])),
  frame(FrameType.headers, 0, 5, Buffer.of(0x82, 0x86)),
  frame(FrameType.continuation, Flag.endHeaders, 5, Buffer.concat([Buffer.of(0x44), text('/health')])),
  frame(FrameType.windowUpdate, 0, 0, Buffer.from([0, 0, 1, 0])),
  frame(FrameType.windowUpdate, 0, 3, Buffer.from([0, 0, 1, 0])),
  frame(FrameType.ping, 0, 0, Buffer.alloc(8, 9)),
  frame(FrameType.data, Flag.endStream, 5, Buffer.from('body')),
  frame(FrameType.rstStream, 0, 3, Buffer.from([0, 0, 0, 8])),
  frame(FrameType.priority, 0, 9, Buffer.from([0, 0, 0, 0, 7])),
  frame(FrameType.goaway, 0, 0, Buffer.alloc(8)),
])

/** All that comes back until the other end closes. */
async function converse(bytes: Buffer): Promise<Buffer> {
  const [host, port] = (server.addresses[0] ?? '').split(':')
  const socket = connect({ port: Number(port), host }).on('error', () => undefined)
  socket.end(Buffer.concat([PREFACE, bytes]))
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'close')
  return Buffer.concat(chunks)
}

test('a conversation with errors in it ends, and hurts nobody', { timeout: 60_000 }, async () => {
  const echoed = Buffer.concat([frame(FrameType.data, 0, 1, MESSAGE)])
  assert.ok((await converse(CONVERSATION)).includes(echoed))
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 8, maxLength: 8 }), async (changes) => {
      await Promise.all(changes.map((change) => converse(mutate(CONVERSATION, change))))
    }),
    { numRuns: 40 },
  )
  assert.ok((await converse(CONVERSATION)).includes(echoed), 'whoever comes next is served')
  assert.deepEqual(problems, [])
})
