import { until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ByteWriter } from '../../lib/bytes.ts'
import { LogIndex, Term } from '../../lib/ids.ts'
import {
  FLOW,
  FRAME_SIZE_BYTES,
  MAX_FRAME_SIZE_BYTES,
  MAX_PEER_ANSWER_SIZE_BYTES,
  MAX_PEER_REQUESTS,
  MAX_PEER_REQUEST_SIZE_BYTES,
  MAX_UNKNOWN_PEER_FRAME_SIZE_BYTES,
  MAX_UNREAD_SIZE_BYTES,
} from '../limits.ts'
import type { Message } from '../raft/message.ts'
import { decodeMessages } from './codec.ts'
import { FRAME, FrameDecoder, encodeFrame, type Frame, type Hello } from './frame.ts'
import { query } from './query.ts'
import { A, B, MIB, byHand, heartbeat, isConnected, pair, portOf, start } from './testing/side.ts'

/** A peer that welcomes whoever comes and reads nothing more until it is told to. */
async function deafPeer(
  t: TestContext,
): Promise<{ url: string; frames: Frame[]; listen: () => void; hangUp: () => void }> {
  const frames: Frame[] = []
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.write(encodeFrame(FRAME.welcome, Buffer.alloc(0)))
      socket.pause()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const hangUp = (): void => {
    for (const socket of sockets.splice(0)) socket.destroy()
  }
  t.after(() => {
    hangUp()
    server.close()
  })
  const listen = (): void => {
    const decoder = new FrameDecoder()
    for (const socket of sockets) socket.on('data', (chunk: Buffer) => frames.push(...decoder.push(chunk))).resume()
  }
  return { url: `http://127.0.0.1:${portOf(server)}`, frames, listen, hangUp }
}

const ENTRY = Buffer.alloc(MIB)
const append = (index: number, data = ENTRY): Message => ({
  kind: 'append-request',
  from: A,
  to: B,
  term: Term(1),
  prevIndex: LogIndex(index - 1),
  prevTerm: Term(0),
  commit: LogIndex(0),
  entries: [{ term: Term(1), index: LogIndex(index), kind: 'normal', data }],
})
const messagesIn = (frames: readonly Frame[]): Message[] =>
  frames.flatMap(({ type, payload }) => (type === FRAME.messages ? decodeMessages(payload) : []))
const indexesIn = (messages: readonly Message[]): number[] =>
  messages.flatMap((message) => (message.kind === 'append-request' ? [message.prevIndex + 1] : []))

test('a peer that does not read is written little, a bounded number of bytes waits for it, and beyond it is told lost', async (t) => {
  const a = await start(t, A)
  const deaf = await deafPeer(t)
  a.transport.setPeers(new Map([[B, [deaf.url]]]))
  await until('the deaf peer welcomes us', () => isConnected(a, B))
  const count = 2 * (FLOW.peerQueueSizeBytes / MIB)
  for (let i = 1; i <= count; i++) {
    a.transport.send([append(i)])
    if (i % 10 === 0) await delay(1)
  }
  const { sentBytes, sendFailures } = a.transport.stats(B)
  assert.ok(sendFailures > count / 4, `${sendFailures} were dropped`)
  assert.ok(sentBytes < 16 * MIB, `${sentBytes} bytes were written`)
  assert.deepEqual(a.unreachable, [B])
  assert.equal(a.transport.takesProposals(B), false)
  deaf.listen()
  const taken = count - sendFailures
  await until('all that waited arrives', () => messagesIn(deaf.frames).length >= taken)
  assert.deepEqual(
    indexesIn(messagesIn(deaf.frames)).slice(0, 3),
    [1, 2, 3],
    'in order, and from the first one on: what is dropped is what comes last',
  )
  assert.equal(a.transport.takesProposals(B), true)
})

test('all that flow control lets be under way goes in one send and arrives in order, heartbeats before it, in frames of 1 MiB', async (t) => {
  const [a, b] = await pair(t)
  const count = FLOW.inFlightSizeBytes / MIB + 1
  const deaf = await deafPeer(t)
  a.transport.setPeers(new Map([[B, [deaf.url]]]))
  await b.transport.close()
  await until('the first connection is gone', () => !isConnected(a, B))
  await until('the deaf peer welcomes us', () => isConnected(a, B))
  // Small entries as well: many of them share a frame.
  const small = Array.from({ length: 100 }, (_, i) => append(count + i + 1, Buffer.alloc(1000)))
  a.transport.send([...Array.from({ length: count }, (_, i) => append(i + 1)), ...small])
  a.transport.send([heartbeat(A, B, 7)])
  deaf.listen()
  await until('all arrive', () => messagesIn(deaf.frames).length === count + small.length + 1)
  const messages = messagesIn(deaf.frames)
  assert.deepEqual(
    indexesIn(messages),
    Array.from({ length: count + small.length }, (_, i) => i + 1),
  )
  const place = messages.findIndex(({ kind }) => kind === 'heartbeat-request')
  assert.ok(place < count, `the heartbeat came after ${place} appends`)
  for (const { type, payload } of deaf.frames)
    if (type === FRAME.messages && decodeMessages(payload).length > 1)
      assert.ok(payload.length <= FRAME_SIZE_BYTES + 4, `a frame of ${payload.length} bytes`)
  assert.deepEqual(a.unreachable, [B], 'of the connection that was lost before')
})

test('what waits for a connection that is lost does not come by the next one: a proposal is sent once or not at all', async (t) => {
  const a = await start(t, A)
  const deaf = await deafPeer(t)
  a.transport.setPeers(new Map([[B, [deaf.url]]]))
  assert.equal(a.transport.takesProposals(B), false, 'no connection yet')
  await until('the deaf peer welcomes us', () => isConnected(a, B))
  assert.equal(a.transport.takesProposals(B), true)
  const proposal = (text: string): Message => ({
    kind: 'propose-request',
    from: A,
    to: B,
    term: Term(1),
    entries: [{ kind: 'normal', data: Buffer.concat([Buffer.from(text), ENTRY]) }],
  })
  for (let i = 0; i < 20; i++) a.transport.send([proposal('before')])
  deaf.hangUp()
  await until('the loss is noticed', () => !isConnected(a, B))
  assert.deepEqual([a.unreachable, a.transport.takesProposals(B)], [[B], false])
  await until('it is connected again', () => isConnected(a, B))
  a.transport.send([proposal('after')])
  deaf.listen()
  await until('something arrives', () => messagesIn(deaf.frames).length > 0)
  const texts = messagesIn(deaf.frames).map((message) =>
    message.kind === 'propose-request' ? Buffer.from(message.entries[0]?.data.subarray(0, 5) ?? []).toString() : '',
  )
  assert.deepEqual(texts, ['after'])
})

const framed = (sizeBytes: number): Buffer => {
  const header = Buffer.alloc(8)
  header.writeUInt32BE(sizeBytes)
  return header
}
const request = (sizeBytes: number): Buffer =>
  encodeFrame(FRAME.request, new ByteWriter().u53(1).raw(Buffer.alloc(sizeBytes)).finish())
/** Frames whose type is none, so that what is taken of them is told by what is said of it. */
const unknown = (sizeBytes: number): Buffer => encodeFrame(99, Buffer.alloc(sizeBytes - 1))
const FRAME_TIMEOUT_MS = 500

/** What is sent after which hello, and what the one line about it says. */
const beyond: readonly (readonly [string, Partial<Hello> | undefined, Buffer, RegExp])[] = [
  ['a frame of the largest size', {}, unknown(MAX_FRAME_SIZE_BYTES), /unexpected frame 99/],
  [
    'a frame over the limit',
    {},
    framed(MAX_FRAME_SIZE_BYTES + 1),
    new RegExp(`a frame of ${MAX_FRAME_SIZE_BYTES + 1} bytes; at most ${MAX_FRAME_SIZE_BYTES} are accepted`),
  ],
  ['what a stranger may send at most', undefined, unknown(MAX_UNKNOWN_PEER_FRAME_SIZE_BYTES), /no hello/],
  [
    'a byte more of a stranger',
    undefined,
    framed(MAX_UNKNOWN_PEER_FRAME_SIZE_BYTES + 1),
    new RegExp(
      `a frame of ${MAX_UNKNOWN_PEER_FRAME_SIZE_BYTES + 1} bytes; at most ${MAX_UNKNOWN_PEER_FRAME_SIZE_BYTES} `,
    ),
  ],
  [
    'a byte more of who only asks',
    { purpose: 'query' },
    framed(MAX_UNKNOWN_PEER_FRAME_SIZE_BYTES + 1),
    new RegExp(`at most ${MAX_UNKNOWN_PEER_FRAME_SIZE_BYTES} are accepted`),
  ],
  [
    'a request over the limit',
    {},
    request(MAX_PEER_REQUEST_SIZE_BYTES + 1),
    new RegExp(
      `a request of ${MAX_PEER_REQUEST_SIZE_BYTES + 1} bytes; at most ${MAX_PEER_REQUEST_SIZE_BYTES} are accepted`,
    ),
  ],
  [
    'half a frame',
    {},
    unknown(1000).subarray(0, 500),
    new RegExp(`half a frame, and nothing more for ${FRAME_TIMEOUT_MS} ms`),
  ],
  [
    'a whole frame in which a length is absurd',
    {},
    encodeFrame(FRAME.messages, Buffer.alloc(64, 0xff)),
    /bad bytes from the peer: 4294967295 items do not fit the rest of the input/,
  ],
]
for (const [title, hello, bytes, expected] of beyond) {
  test(`${title} ends its connection with one line a minute that names the limit`, async (t) => {
    const lines: string[] = []
    const log = {
      info: () => undefined,
      warn: (fields: object, text: string) => lines.push(`${text} ${JSON.stringify(fields)}`),
    }
    const b = await start(t, B, { log, frameTimeoutMs: FRAME_TIMEOUT_MS })
    b.transport.setPeers(new Map([[A, ['http://127.0.0.1:1']]]))
    for (let tries = 0; tries < 3; tries++) {
      const stranger = await byHand(b.url, hello)
      stranger.socket.write(bytes)
      await until('the connection is closed', stranger.isClosed)
    }
    const ended = lines.filter((line) => line.startsWith('ended the connection of a peer'))
    assert.equal(ended.length, 1, lines.join('\n'))
    assert.match(ended[0] ?? '', expected)
  })
}

test('a request of the largest size is answered, and who pauses between frames is left alone', async (t) => {
  const b = await start(t, B, { frameTimeoutMs: FRAME_TIMEOUT_MS })
  const asks = await byHand(b.url, { purpose: 'query' })
  await delay(3 * FRAME_TIMEOUT_MS)
  asks.socket.write(request(MAX_PEER_REQUEST_SIZE_BYTES))
  await until('it is answered', () => asks.frames.some(({ type }) => type === FRAME.response))
})

test('who asks and does not read the answers, or asks too much at once, is ended', async (t) => {
  const b = await start(t, B)
  const pings = await byHand(b.url, {})
  pings.socket.pause()
  for (let i = 0; i < 2 * (MAX_UNREAD_SIZE_BYTES / MIB); i++) pings.socket.write(encodeFrame(FRAME.ping, ENTRY))
  await until('the one that does not read is left', pings.isClosed)
  b.isSilent = true
  const asks = await byHand(b.url, {})
  for (let i = 0; i <= MAX_PEER_REQUESTS; i++)
    asks.socket.write(encodeFrame(FRAME.request, new ByteWriter().u53(i).finish()))
  await until('the one that asks too much is left', asks.isClosed)
})

test('a request that is larger than it may be is not sent, an answer that is comes back empty', async (t) => {
  const [a, b] = await pair(t)
  assert.equal((await a.transport.request(B, Buffer.alloc(MAX_PEER_REQUEST_SIZE_BYTES + 1), 1000)).ok, false)
  b.answer = Buffer.alloc(MAX_PEER_ANSWER_SIZE_BYTES)
  assert.equal((await query(b.url, Buffer.of(), 1000)).ok && (await a.transport.request(B, Buffer.of(), 1000)).ok, true)
  b.answer = Buffer.alloc(MAX_PEER_ANSWER_SIZE_BYTES + 1)
  const answered = await a.transport.request(B, Buffer.of(), 1000)
  assert.deepEqual(answered.ok && answered.value.length, 0)
})
