/** Clients that mean no good, each on a connection of its own, again and again as soon as it is thrown out. */
import { connect, type Socket } from 'node:net'
import { ADMIN_PATHS } from '../../lib/admin-api.ts'
import { Flag, FRAME_HEADER_BYTES, FrameType, PREFACE, writeFrameHeader } from '../../node-server/http2/frame.ts'

export interface Attack {
  readonly name: string
  readonly connections: number
  /** Once connected. */
  readonly begin: (socket: Socket) => void
  /** False: the attacker takes nothing from its socket. */
  readonly isReading?: boolean
}

function frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const out = Buffer.alloc(FRAME_HEADER_BYTES + payload.length)
  payload.copy(out, writeFrameHeader(out, 0, payload.length, type, flags, streamId))
  return out
}

const text = (value: string): Buffer => Buffer.concat([Buffer.of(value.length), Buffer.from(value)])
const head = (path: string): Buffer =>
  Buffer.concat([Buffer.of(0x83, 0x86, 0x04), text(path), Buffer.of(0x0f, 0x10), text('application/grpc')])
const HELLO = Buffer.concat([PREFACE, frame(FrameType.settings, 0, 0)])
const ZERO_WINDOW = Buffer.concat([PREFACE, frame(FrameType.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]))])
const EMPTY_MESSAGE = Buffer.alloc(5)
const call = (id: number, path: string): Buffer =>
  Buffer.concat([
    frame(FrameType.headers, Flag.endHeaders, id, head(path)),
    frame(FrameType.data, Flag.endStream, id, EMPTY_MESSAGE),
  ])

/** Writes `next` forever, as fast as the socket takes it. */
function flood(socket: Socket, first: Buffer, next: () => Buffer): void {
  socket.write(first)
  const go = (): void => {
    while (!socket.destroyed && socket.write(next()));
  }
  socket.on('drain', go)
  go()
}

const repeated = (one: Buffer): (() => Buffer) => {
  const many = Buffer.concat(Array.from({ length: 1000 }, () => one))
  return () => many
}

/** Streams in the order of their ids, a thousand at once. */
function streams(each: (id: number) => Buffer): () => Buffer {
  let id = -1
  return () => Buffer.concat(Array.from({ length: 1000 }, () => each((id += 2))))
}

const open = (id: number): Buffer => frame(FrameType.headers, Flag.endHeaders, id, head('/test.Echo/Now'))
/** One entry of 4,000 bytes in the table, then a thousand references to it in a block of a few bytes more. */
const BOMB = Buffer.concat([
  head('/test.Echo/Now'),
  Buffer.of(0x40, 1, 0x61, 0x7f, 0xa1, 0x1e), // a literal of 4,000 bytes that is remembered
  Buffer.alloc(4000, 0x62),
  Buffer.alloc(10_000, 0xbe),
])

/** A byte every so often, of `bytes` and then of nothing but zeros. */
function dribble(socket: Socket, bytes: Buffer): void {
  let at = 0
  const timer = setInterval(() => socket.write(at < bytes.length ? bytes.subarray(at, (at += 1)) : Buffer.of(0)), 50)
  socket.once('close', () => clearInterval(timer))
}

const SILENT: Attack = { name: 'nothing said', connections: 500, begin: () => undefined }
const UNFINISHED_TLS: Attack = {
  name: 'unfinished TLS handshakes',
  connections: 500,
  begin: (socket) => void socket.write(Buffer.from('1603010200010001fc0303', 'hex')),
}

export const CLIENT_ATTACKS: readonly Attack[] = [
  {
    name: 'rapid reset',
    connections: 10,
    begin: (socket) =>
      flood(
        socket,
        HELLO,
        streams((id) => Buffer.concat([open(id), frame(FrameType.rstStream, 0, id, Buffer.from([0, 0, 0, 8]))])),
      ),
  },
  {
    name: 'CONTINUATION without end',
    connections: 10,
    begin: (socket) =>
      flood(
        socket,
        Buffer.concat([HELLO, frame(FrameType.headers, 0, 1, head('/test.Echo/Now'))]),
        repeated(frame(FrameType.continuation, 0, 1)),
      ),
  },
  {
    name: 'SETTINGS',
    connections: 10,
    begin: (socket) => flood(socket, HELLO, repeated(frame(FrameType.settings, 0, 0))),
  },
  {
    name: 'PING',
    connections: 10,
    begin: (socket) => flood(socket, HELLO, repeated(frame(FrameType.ping, 0, 0, Buffer.alloc(8)))),
  },
  {
    name: 'empty DATA',
    connections: 10,
    begin: (socket) => flood(socket, Buffer.concat([HELLO, open(1)]), repeated(frame(FrameType.data, 0, 1))),
  },
  {
    name: 'header bombs',
    connections: 10,
    begin: (socket) =>
      flood(
        socket,
        HELLO,
        (() => {
          let id = -1
          return () => frame(FrameType.headers, Flag.endHeaders | Flag.endStream, (id += 2), BOMB)
        })(),
      ),
  },
  {
    name: 'windows of nothing',
    connections: 10,
    begin: (socket) =>
      void socket.write(
        Buffer.concat([ZERO_WINDOW, ...Array.from({ length: 500 }, (_, i) => call(2 * i + 1, '/test.Echo/Large'))]),
      ),
  },
  {
    name: 'never reading',
    connections: 10,
    isReading: false,
    begin: (socket) =>
      void socket.write(
        Buffer.concat([
          HELLO,
          frame(FrameType.windowUpdate, 0, 0, Buffer.from([0x7f, 0, 0, 0])),
          ...Array.from({ length: 500 }, (_, i) => call(2 * i + 1, '/test.Echo/Large')),
        ]),
      ),
  },
  {
    name: 'slow bytes',
    connections: 500,
    begin: (socket) => dribble(socket, Buffer.concat([HELLO, call(1, '/test.Echo/Now')])),
  },
  UNFINISHED_TLS,
]

/** Of a frame between members: length, a checksum that is wrong, and the type of a hello. */
function peerFrameHead(length: number): Buffer {
  const head = Buffer.alloc(9)
  head.writeUInt32BE(length, 0)
  head[8] = 1
  return head
}

export const PEER_ATTACKS: readonly Attack[] = [
  SILENT,
  { name: 'absurd lengths', connections: 10, begin: (socket) => void socket.write(peerFrameHead(0xffffffff)) },
  { name: 'wrong checksums', connections: 10, begin: (socket) => void socket.write(peerFrameHead(1)) },
  { name: 'half frames', connections: 500, begin: (socket) => void socket.write(peerFrameHead(200)) },
  { name: 'slow bytes', connections: 500, begin: (socket) => dribble(socket, peerFrameHead(200)) },
  UNFINISHED_TLS,
]

const REQUEST = 'GET /metrics HTTP/1.1\r\nHost: x\r\n'

export const ADMIN_ATTACKS: readonly Attack[] = [
  SILENT,
  {
    name: 'header bombs',
    connections: 10,
    begin: (socket) => flood(socket, Buffer.from(REQUEST), repeated(Buffer.from(`X: ${'a'.repeat(60)}\r\n`))),
  },
  { name: 'slow bytes', connections: 500, begin: (socket) => dribble(socket, Buffer.from(REQUEST)) },
  {
    name: 'bodies without end',
    connections: 10,
    begin: (socket) =>
      flood(
        socket,
        Buffer.from(`POST ${ADMIN_PATHS.membership} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`),
        repeated(Buffer.from(`40\r\n${'b'.repeat(0x40)}\r\n`)),
      ),
  },
  {
    name: 'never reading',
    connections: 10,
    isReading: false,
    begin: (socket) => void socket.write(`${REQUEST}\r\n`.repeat(1000)),
  },
  {
    name: 'requests given up',
    connections: 10,
    begin: (socket) => void socket.write(`${REQUEST}\r\n`, () => socket.destroy()),
  },
  UNFINISHED_TLS,
]

export const TARGETS = { client: CLIENT_ATTACKS, peer: PEER_ATTACKS, admin: ADMIN_ATTACKS } as const

/** Returns what ends it. */
export function attack({ connections, begin, isReading = true }: Attack, port: number): () => void {
  const sockets = new Set<Socket>()
  let isOver = false
  const one = (): void => {
    if (isOver) return
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    sockets.add(socket)
    socket.once('connect', () => begin(socket))
    socket.once('close', () => {
      sockets.delete(socket)
      setImmediate(one)
    })
    if (isReading) socket.resume()
  }
  for (let i = 0; i < connections; i++) one()
  return () => {
    isOver = true
    for (const socket of sockets) socket.destroy()
  }
}
