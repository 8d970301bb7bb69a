import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ByteWriter } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import {
  FLOW,
  FRAME_SIZE_BYTES,
  MAX_FRAME_SIZE_BYTES,
  MAX_PEER_ANSWER_SIZE_BYTES,
  MAX_PEER_REQUESTS,
  MAX_PEER_REQUEST_SIZE_BYTES,
  MAX_STRANGERS_FRAME_SIZE_BYTES,
  MAX_UNREAD_SIZE_BYTES,
  SNAPSHOT_PIECE_SIZE_BYTES,
} from '../limits.ts'
import type { Message } from '../raft/message.ts'
import { decodeMessages, encodeMessages } from './codec.ts'
import { FRAME, FrameDecoder, encodeFrame, encodeHello, type Frame, type Hello } from './frame.ts'
import { query } from './query.ts'
import {
  Transport,
  type SnapshotMessage,
  type SnapshotSource,
  type TransportHandlers,
  type TransportOptions,
} from './transport.ts'

const A = MemberId(0xan)
const B = MemberId(0xbn)
const CLUSTER = ClusterId(0xc1n)
const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, fire) {
    const timer = setTimeout(fire, delayMs).unref()
    return { cancel: () => clearTimeout(timer) }
  },
  soon: (fire) => void setImmediate(fire),
}

interface Side {
  readonly transport: Transport
  readonly url: string
  readonly messages: Message[]
  readonly snapshots: { message: SnapshotMessage; content: Buffer }[]
  /** How each piece of a snapshot begins. */
  readonly pieces: string[]
  /** Why snapshots were not taken. */
  readonly brokenOff: string[]
  /** Said instead of taking one, when set. */
  refusal: string | undefined
  readonly unreachable: MemberId[]
  readonly refusals: string[]
  readonly removed: Set<MemberId>
  /** What requests are answered with, if not with who asks. */
  answer: Buffer | undefined
  /** Requests get no answer. */
  isSilent: boolean
  /** For snapshots. */
  roomBytes: number
}

function portOf(server: Server): number {
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function start(
  t: TestContext,
  memberId: MemberId,
  options: Partial<Pick<TransportOptions, 'clusterId' | 'log' | 'frameTimeoutMs' | 'clock'>> & {
    port?: number
    url?: string
  } = {},
): Promise<Side> {
  const url = options.url ?? `http://127.0.0.1:${options.port ?? (await freePort())}`
  const side: Omit<Side, 'transport' | 'url'> = {
    messages: [],
    snapshots: [],
    pieces: [],
    brokenOff: [],
    refusal: undefined,
    unreachable: [],
    refusals: [],
    removed: new Set(),
    answer: undefined,
    isSilent: false,
    roomBytes: 100 * MIB,
  }
  const handlers: TransportHandlers = {
    onMessages: (messages) => side.messages.push(...messages),
    onSnapshot: async ({ message, sizeBytes, pieces }) => {
      if (sizeBytes > side.roomBytes) throw new Error(`no room for ${sizeBytes} bytes`)
      const content: Uint8Array[] = []
      try {
        for await (const piece of pieces) {
          if (side.refusal !== undefined) throw new Error(side.refusal)
          content.push(piece)
          side.pieces.push(Buffer.from(piece).toString('latin1', 0, 20))
        }
      } catch (error) {
        side.brokenOff.push(String(error))
        throw error
      }
      side.snapshots.push({ message, content: Buffer.concat(content) })
    },
    onRequest: (from, payload) =>
      side.isSilent
        ? new Promise(() => undefined)
        : Promise.resolve(side.answer ?? Buffer.from(`${from.toString(16)} asks ${payload.toString()}`)),
    onUnreachable: (id) => side.unreachable.push(id),
    onRefused: (_by, reason) => side.refusals.push(reason),
    isRemoved: (id) => side.removed.has(id),
  }
  const clusterId = options.clusterId ?? CLUSTER
  const transport = await Transport.listen(
    {
      listenUrls: [url],
      clusterId,
      memberId,
      clock: options.clock ?? clock,
      ...(options.log === undefined ? {} : { log: options.log }),
      ...(options.frameTimeoutMs === undefined ? {} : { frameTimeoutMs: options.frameTimeoutMs }),
    },
    handlers,
  )
  t.after(() => transport.close())
  return Object.assign(side, { transport, url })
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (isSo()) return
    await delay(10)
  }
  assert.fail(`not within 5 s: ${what}`)
}

const isConnected = (side: Side, to: MemberId): boolean => side.transport.stats(to).connectedSinceMs !== undefined
const heartbeat = (from: MemberId, to: MemberId, commit: number): Message => ({
  kind: 'heartbeat-request',
  from,
  to,
  term: Term(1),
  commit: LogIndex(commit),
  readBatch: 0,
})
const commits = (side: Side): number[] =>
  side.messages.flatMap((message) => (message.kind === 'heartbeat-request' ? [message.commit] : []))

async function pair(t: TestContext, given: readonly string[] = []): Promise<[Side, Side]> {
  const [urlOfA, urlOfB] = given
  const a = await start(t, A, urlOfA === undefined ? {} : { url: urlOfA })
  const b = await start(t, B, urlOfB === undefined ? {} : { url: urlOfB })
  const urls = new Map([
    [A, [a.url]],
    [B, [b.url]],
  ])
  for (const side of [a, b]) side.transport.setPeers(urls)
  await until(() => isConnected(a, B) && isConnected(b, A), 'both connect')
  return [a, b]
}

test('messages arrive in the order they were sent, and both sides count them', async (t) => {
  const [a, b] = await pair(t)
  for (let i = 1; i <= 100; i++) a.transport.send([heartbeat(A, B, i), heartbeat(A, B, i + 1000)])
  b.transport.send([heartbeat(B, A, 7)])
  await until(() => b.messages.length === 200 && a.messages.length === 1, 'all arrive')
  assert.deepEqual(commits(b).slice(0, 4), [1, 1001, 2, 1002])
  assert.ok(a.transport.stats(B).sentBytes > 8000 && b.transport.stats(A).receivedBytes > 8000)
  await until(() => a.transport.stats(B).roundTripMs !== undefined, 'a ping comes back')
})

test('an append without entries leaves two turns later, or with what goes before', async (t) => {
  const turn: (() => void)[] = []
  const a = await start(t, A, { clock: { ...clock, soon: (fire) => void turn.push(fire) } })
  const b = await start(t, B)
  const urls = new Map([
    [A, [a.url]],
    [B, [b.url]],
  ])
  for (const side of [a, b]) side.transport.setPeers(urls)
  await until(() => isConnected(a, B), 'it connects')
  const commit = (index: number): Message => ({
    kind: 'append-request',
    from: A,
    to: B,
    term: Term(1),
    prevIndex: LogIndex(9),
    prevTerm: Term(1),
    commit: LogIndex(index),
    entries: [],
  })
  const sentBy = (action: () => void): number => {
    const before = a.transport.stats(B).sentBytes
    action()
    return a.transport.stats(B).sentBytes - before
  }
  const pass = (): void => {
    for (const fire of turn.splice(0)) fire()
  }
  assert.equal(
    sentBy(() => a.transport.send([commit(7)])),
    0,
  )
  assert.equal(sentBy(pass), 0)
  assert.ok(sentBy(pass) > 0)
  a.transport.send([commit(8)])
  assert.ok(sentBy(() => a.transport.send([heartbeat(A, B, 1)])) > 0)
  await until(() => b.messages.length === 3, 'all arrive')
  assert.deepEqual(b.messages, [commit(7), heartbeat(A, B, 1), commit(8)])
})

test('a message in the name of another, or to another, is not taken', async (t) => {
  const [a, b] = await pair(t)
  const c = MemberId(0xccn)
  a.transport.send([heartbeat(c, B, 1), heartbeat(A, B, 2)])
  await until(() => b.messages.length > 0, 'the honest one arrives')
  assert.deepEqual(commits(b), [2])
})

test('a peer that comes back is connected to as soon as it is heard from, however long the pause was to be', async (t) => {
  const pauses: number[] = []
  const setTimer = (delayMs: number): { cancel: () => void } => {
    pauses.push(delayMs)
    return { cancel: () => undefined }
  }
  const a = await start(t, A, { clock: { ...clock, setTimer } })
  const port = await freePort()
  const urls = new Map([
    [A, [a.url]],
    [B, [`http://127.0.0.1:${port}`]],
  ])
  a.transport.setPeers(urls)
  await until(() => pauses.length > 0, 'the first attempt fails')
  const b = await start(t, B, { port })
  b.transport.setPeers(urls)
  await until(() => isConnected(a, B), 'it is connected again')
})

test('a lost peer is told once, its messages are dropped, and it is found again under another address', async (t) => {
  const [a, b] = await pair(t)
  await b.transport.close()
  await until(() => !isConnected(a, B), 'the loss is noticed')
  for (let i = 0; i < 50; i++) a.transport.send([heartbeat(A, B, i)])
  assert.deepEqual(a.unreachable, [B])
  assert.equal(a.transport.stats(B).sendFailures, 50)
  const again = await start(t, B)
  a.transport.setPeers(new Map([[B, ['http://127.0.0.1:1', again.url]]]))
  await until(() => isConnected(a, B), 'the second of its URLs answers')
  a.transport.send([heartbeat(A, B, 77)])
  await until(() => again.messages.length === 1, 'the new message arrives, no old one')
})

const strangers: readonly [string, (b: Side) => void, { clusterId?: ClusterId; as?: MemberId }, string][] = [
  ['of another cluster', () => undefined, { clusterId: ClusterId(0xc2n) }, 'cluster-mismatch'],
  ['that was removed', (b) => b.removed.add(A), {}, 'removed'],
  ['that looks for another member', () => undefined, { as: MemberId(0xddn) }, 'member-mismatch'],
]
for (const [title, prepare, { clusterId, as }, reason] of strangers) {
  test(`a member ${title} is refused with the reason, and nothing of it is taken`, async (t) => {
    const b = await start(t, B)
    prepare(b)
    const a = await start(t, A, clusterId === undefined ? {} : { clusterId })
    a.transport.setPeers(new Map([[as ?? B, [b.url]]]))
    await until(() => a.refusals.length > 0, 'the refusal comes')
    assert.equal(a.refusals[0], reason)
    a.transport.send([heartbeat(A, as ?? B, 1)])
    await delay(20)
    assert.deepEqual(b.messages, [])
  })
}

test('requests are answered, also to somebody who is not a member yet', async (t) => {
  const [a, b] = await pair(t)
  const answer = await a.transport.request(B, Buffer.from('who?'), 1000)
  assert.ok(answer.ok)
  assert.equal(answer.value.toString(), 'a asks who?')
  const queried = await query(b.url, Buffer.from('let me in'), 1000)
  assert.ok(queried.ok)
  assert.equal(queried.value.toString(), '0 asks let me in')
  const nobody = await query(`http://127.0.0.1:${await freePort()}`, Buffer.alloc(0), 1000)
  assert.ok(!nobody.ok)
})

/** A connection by hand: what it got, and whether it was closed. */
async function byHand(
  url: string,
  hello: Partial<Hello> | undefined,
): Promise<{ socket: Socket; frames: Frame[]; isClosed: () => boolean }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  const decoder = new FrameDecoder()
  const frames: Frame[] = []
  socket.on('data', (chunk: Buffer) => frames.push(...decoder.push(chunk)))
  socket.on('error', () => undefined)
  const complete: Hello = {
    version: 2,
    clusterId: CLUSTER,
    from: A,
    to: B,
    purpose: 'messages',
    peerURLs: [],
    ...hello,
  }
  if (hello !== undefined) {
    socket.write(encodeHello(complete))
    await until(() => frames.length > 0, 'an answer to the hello')
  }
  return { socket, frames, isClosed: () => socket.closed }
}

const nonsense: readonly [string, Buffer][] = [
  ['a frame of 4 GiB', Buffer.alloc(64, 0xff)],
  ['HTTP', Buffer.from('GET /version HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['a frame with a wrong checksum', Buffer.from('000000050000000004deadbeef', 'hex')],
  ['messages that are malformed', encodeFrame(FRAME.messages, Buffer.from('0000ffff', 'hex'))],
  ['a request that ends within its number', encodeFrame(FRAME.request, Buffer.from('000001', 'hex'))],
]
for (const [title, bytes] of nonsense) {
  test(`${title} ends its connection and nothing else`, async (t) => {
    const [a, b] = await pair(t)
    for (const hello of [undefined, {}]) {
      const stranger = await byHand(b.url, hello)
      stranger.socket.write(bytes)
      await until(stranger.isClosed, 'the connection is closed')
    }
    a.transport.send([heartbeat(A, B, 5)])
    await until(() => b.messages.length === 1, 'others go on')
  })
}

test('who only queries is nobody, whatever member and cluster it says it is', async (t) => {
  const b = await start(t, B)
  b.transport.setPeers(new Map([[A, ['http://127.0.0.1:1']]]))
  const asked = await byHand(b.url, { purpose: 'query', clusterId: ClusterId(0n), from: A })
  asked.socket.write(encodeFrame(FRAME.request, new ByteWriter().u53(1).raw(Buffer.from('this')).finish()))
  await until(() => asked.frames.length === 2, 'an answer')
  assert.equal(asked.frames[1]?.payload.subarray(8).toString(), '0 asks this')
  const forged = await byHand(b.url, { purpose: 'query', clusterId: ClusterId(0n), from: A })
  forged.socket.write(encodeFrame(FRAME.messages, encodeMessages([heartbeat(A, B, 9)])))
  await until(forged.isClosed, 'the connection is closed')
  assert.deepEqual([b.messages, b.transport.stats(A).receivedBytes], [[], 0])
})

test('a peer URL that is none leaves its member unreachable, and nothing else', async (t) => {
  const [a, b] = await pair(t)
  const C = MemberId(0xcn)
  a.transport.setPeers(
    new Map([
      [B, [b.url]],
      [C, ['http://c:99999']],
    ]),
  )
  a.transport.send([heartbeat(A, C, 1), heartbeat(A, B, 5)])
  await until(() => b.messages.length === 1 && a.unreachable.includes(C), 'others go on')
  assert.deepEqual(await query('http://[::', Buffer.alloc(0), 100), {
    ok: false,
    error: "'http://[::' is not of the form http://host:port",
  })
})

test('peers meet by the files of sockets as by ports, and one that a killed process left is taken over', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-peer-sockets-'))
  t.after(() => rm(directory, { recursive: true }))
  const [path, other] = [join(directory, 'localhost:1'), join(directory, 'b.sock')]
  const killed = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ])
  await once(killed, 'exit')
  const [a, b] = await pair(t, [`unix://${path}`, `unix://${other}`])
  a.transport.send([heartbeat(A, B, 3)])
  await until(() => commits(b).includes(3), 'it arrives')
  const answer = await query(b.url, Buffer.from('this'), 1000)
  assert.equal(answer.ok && answer.value.toString(), '0 asks this')
})

test('a member that is not known yet is answered: it has come by itself, and said where it is', async (t) => {
  const [a, b] = [await start(t, A), await start(t, B)]
  const members = new Map([
    [A, [a.url]],
    [B, [b.url]],
  ])
  a.transport.setPeers(members)
  b.transport.setPeers(new Map([[B, [b.url]]])) // its log is behind: it has not read of A
  await until(() => isConnected(b, A), 'b has a way to a')
  b.transport.send([heartbeat(B, A, 7)])
  await until(() => commits(a).includes(7), 'a is answered')
  b.transport.setPeers(members)
  assert.ok(isConnected(b, A), 'the connection stays when the log names it')
  b.removed.add(A)
  b.transport.setPeers(new Map([[B, [b.url]]]))
  assert.ok(!isConnected(b, A), 'whoever was removed is forgotten')
})

test('another version of the protocol is refused with the reason', async (t) => {
  const b = await start(t, B)
  const { frames } = await byHand(b.url, { version: 3 })
  assert.equal(frames[0]?.type, FRAME.refused)
})

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

const MIB = 1024 * 1024
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
  await until(() => isConnected(a, B), 'the deaf peer welcomes us')
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
  await until(() => messagesIn(deaf.frames).length >= taken, 'all that waited arrives')
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
  await until(() => !isConnected(a, B), 'the first connection is gone')
  await until(() => isConnected(a, B), 'the deaf peer welcomes us')
  // Small entries as well: many of them share a frame.
  const small = Array.from({ length: 100 }, (_, i) => append(count + i + 1, Buffer.alloc(1000)))
  a.transport.send([...Array.from({ length: count }, (_, i) => append(i + 1)), ...small])
  a.transport.send([heartbeat(A, B, 7)])
  deaf.listen()
  await until(() => messagesIn(deaf.frames).length === count + small.length + 1, 'all arrive')
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
  await until(() => isConnected(a, B), 'the deaf peer welcomes us')
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
  await until(() => !isConnected(a, B), 'the loss is noticed')
  assert.deepEqual([a.unreachable, a.transport.takesProposals(B)], [[B], false])
  await until(() => isConnected(a, B), 'it is connected again')
  a.transport.send([proposal('after')])
  deaf.listen()
  await until(() => messagesIn(deaf.frames).length > 0, 'something arrives')
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
const FRAME_TIMEOUT_MS = 100

/** What is sent after which hello, and what the one line about it says. */
const beyond: readonly (readonly [string, Partial<Hello> | undefined, Buffer, RegExp])[] = [
  ['a frame of the largest size', {}, unknown(MAX_FRAME_SIZE_BYTES), /unexpected frame 99/],
  [
    'a frame over the limit',
    {},
    framed(MAX_FRAME_SIZE_BYTES + 1),
    new RegExp(`a frame of ${MAX_FRAME_SIZE_BYTES + 1} bytes; at most ${MAX_FRAME_SIZE_BYTES} are taken`),
  ],
  ['what a stranger may send at most', undefined, unknown(MAX_STRANGERS_FRAME_SIZE_BYTES), /no hello/],
  [
    'a byte more of a stranger',
    undefined,
    framed(MAX_STRANGERS_FRAME_SIZE_BYTES + 1),
    new RegExp(`a frame of ${MAX_STRANGERS_FRAME_SIZE_BYTES + 1} bytes; at most ${MAX_STRANGERS_FRAME_SIZE_BYTES} `),
  ],
  [
    'a byte more of who only asks',
    { purpose: 'query' },
    framed(MAX_STRANGERS_FRAME_SIZE_BYTES + 1),
    new RegExp(`at most ${MAX_STRANGERS_FRAME_SIZE_BYTES} are taken`),
  ],
  [
    'a request over the limit',
    {},
    request(MAX_PEER_REQUEST_SIZE_BYTES + 1),
    new RegExp(
      `a request of ${MAX_PEER_REQUEST_SIZE_BYTES + 1} bytes; at most ${MAX_PEER_REQUEST_SIZE_BYTES} are taken`,
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
      await until(stranger.isClosed, 'the connection is closed')
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
  await until(() => asks.frames.some(({ type }) => type === FRAME.response), 'it is answered')
})

test('who asks and does not read the answers, or asks too much at once, is ended', async (t) => {
  const b = await start(t, B)
  const pings = await byHand(b.url, {})
  pings.socket.pause()
  for (let i = 0; i < 2 * (MAX_UNREAD_SIZE_BYTES / MIB); i++) pings.socket.write(encodeFrame(FRAME.ping, ENTRY))
  await until(pings.isClosed, 'the one that does not read is left')
  b.isSilent = true
  const asks = await byHand(b.url, {})
  for (let i = 0; i <= MAX_PEER_REQUESTS; i++)
    asks.socket.write(encodeFrame(FRAME.request, new ByteWriter().u53(i).finish()))
  await until(asks.isClosed, 'the one that asks too much is left')
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

const snapshotMessage = (to: MemberId): Extract<Message, { kind: 'snapshot-request' }> => ({
  kind: 'snapshot-request',
  from: A,
  to,
  term: Term(3),
  snapshot: {
    index: LogIndex(9),
    term: Term(2),
    configIndex: LogIndex(1),
    configuration: { voters: [A, B], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
  },
})

const sourceOf = (content: Buffer): SnapshotSource => ({
  sizeBytes: content.length,
  read: async function* () {
    for (let at = 0; at < content.length; at += SNAPSHOT_PIECE_SIZE_BYTES)
      yield content.subarray(at, at + SNAPSHOT_PIECE_SIZE_BYTES)
  },
})
const CONTENT = sourceOf(Buffer.from('content'))

test('a snapshot arrives whole, beside the messages, and the sender learns of it', async (t) => {
  const [a, b] = await pair(t)
  const content = Buffer.alloc(20 * 1024 * 1024 + 17)
  for (let at = 0; at < content.length; at += 4099) content.writeUInt8(at % 251, at)
  const sending = a.transport.sendSnapshot(snapshotMessage(B), sourceOf(content))
  a.transport.send([heartbeat(A, B, 1)])
  assert.deepEqual(await sending, ok(undefined))
  assert.equal(b.snapshots.length, 1)
  assert.deepEqual(b.snapshots[0]?.message, snapshotMessage(B))
  assert.ok(b.snapshots[0]?.content.equals(content))
  assert.equal(commits(b).length, 1)
})

test('a snapshot goes to any of the URLs of a peer that answers', async (t) => {
  const [a, b] = [await start(t, A), await start(t, B)]
  a.transport.setPeers(new Map([[B, [`http://127.0.0.1:${await freePort()}`, b.url]]]))
  assert.deepEqual(await a.transport.sendSnapshot(snapshotMessage(B), CONTENT), ok(undefined))
  await until(() => isConnected(a, B), 'it connects')
  assert.deepEqual(await a.transport.sendSnapshot(snapshotMessage(B), CONTENT), ok(undefined))
  assert.equal(b.snapshots.length, 2)
})

const END = (digest: string): Buffer => encodeFrame(FRAME.snapshotEnd, Buffer.from(digest, 'hex'))
const EMPTY_DIGEST = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const begin = (sizeBytes: number, from = A): Buffer =>
  encodeFrame(
    FRAME.snapshotBegin,
    new ByteWriter()
      .u53(sizeBytes)
      .raw(encodeMessages([{ ...snapshotMessage(B), from }]))
      .finish(),
  )
const chunk = (text: string): Buffer => encodeFrame(FRAME.snapshotChunk, Buffer.from(text))
const brokenStreams: readonly [string, readonly Buffer[]][] = [
  ['without a beginning', [END(EMPTY_DIGEST)]],
  ['that begins with something else', [encodeFrame(FRAME.snapshotBegin, Buffer.alloc(12))]],
  ['with chunks before its beginning', [chunk('x')]],
  ['with more bytes than announced', [begin(3), chunk('four'), END(EMPTY_DIGEST)]],
  ['with fewer bytes than announced', [begin(5), chunk('four'), END(EMPTY_DIGEST)]],
  ['whose digest is another', [begin(4), chunk('four'), END(EMPTY_DIGEST)]],
  ['that begins twice', [begin(4), begin(4)]],
  ['that is more than there is room for', [begin(2 ** 53 - 1)]],
  ['of another sender', [begin(0, MemberId(0xdn)), END(EMPTY_DIGEST)]],
  ['with frames that do not belong there', [encodeFrame(FRAME.messages, Buffer.alloc(4))]],
]
for (const [title, frames] of brokenStreams) {
  test(`a snapshot stream ${title} is answered with the reason, and is nothing`, async (t) => {
    const b = await start(t, B)
    const stream = await byHand(b.url, { purpose: 'snapshot' })
    for (const frame of frames) stream.socket.write(frame)
    await until(() => stream.frames.some(({ type }) => type === FRAME.snapshotDone) || stream.isClosed(), 'it ends')
    stream.socket.destroy()
    assert.deepEqual(b.snapshots, [])
  })
}

test('a snapshot for which there is no room is refused before it is read, and told of once a minute', async (t) => {
  const lines: string[] = []
  const log = { info: () => undefined, warn: (fields: object) => lines.push(JSON.stringify(fields)) }
  const [a, b] = [await start(t, A), await start(t, B, { log })]
  a.transport.setPeers(new Map([[B, [b.url]]]))
  const send = (): Promise<Result<void, string>> => a.transport.sendSnapshot(snapshotMessage(B), CONTENT)
  b.roomBytes = CONTENT.sizeBytes - 1
  const reason = `Error: no room for ${CONTENT.sizeBytes} bytes`
  assert.deepEqual([await send(), await send()], [err(reason), err(reason)])
  assert.deepEqual([b.pieces, b.snapshots], [[], []])
  b.roomBytes += 1
  assert.deepEqual(await send(), ok(undefined))
  assert.deepEqual(
    lines.filter((line) => line.includes(reason)),
    [JSON.stringify({ from: 'a', reason })],
  )
})

test('who reads a snapshot stream that breaks off is told', async (t) => {
  const b = await start(t, B)
  const stream = await byHand(b.url, { purpose: 'snapshot' })
  stream.socket.write(Buffer.concat([begin(1000), chunk('some of it')]))
  await until(() => b.pieces.length === 1, 'some of it has come')
  stream.socket.destroy()
  await until(() => b.brokenOff.length === 1, 'it breaks off')
  assert.deepEqual([b.pieces, b.snapshots], [['some of it'], []])
  assert.match(b.brokenOff[0] ?? '', /the snapshot stream broke off/)
})

test('a receiver that takes no more ends the stream of a sender that waits for it', async (t) => {
  const [a, b] = await pair(t)
  b.roomBytes = Infinity
  b.refusal = 'ENOSPC: no space left on device'
  const piece = Buffer.alloc(SNAPSHOT_PIECE_SIZE_BYTES)
  const endless = async function* (): AsyncIterable<Uint8Array> {
    for (;;) yield piece
  }
  const sent = await a.transport.sendSnapshot(snapshotMessage(B), { sizeBytes: Number.MAX_SAFE_INTEGER, read: endless })
  assert.match(sent.ok ? 'sent' : sent.error, /ENOSPC/)
})

test('a snapshot to a peer that is not there fails with the reason', async (t) => {
  const a = await start(t, A)
  const failure = async (): Promise<string> => {
    const sent = await a.transport.sendSnapshot(snapshotMessage(B), CONTENT)
    return sent.ok ? 'sent' : sent.error
  }
  assert.match(await failure(), /not known/)
  a.transport.setPeers(new Map([[B, [`http://127.0.0.1:${await freePort()}`]]]))
  assert.match(await failure(), /ECONNREFUSED/)
})
