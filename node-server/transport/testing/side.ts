/** Members that talk over real sockets, without a replica behind them, and unknown peers that write bytes to them. */
import { until } from '../../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { Clock } from '../../../lib/clock.ts'
import { ClusterId, LogIndex, MemberId, Term } from '../../../lib/ids.ts'
import type { Message } from '../../raft/message.ts'
import { FrameDecoder, encodeHello, type Frame, type Hello } from '../frame.ts'
import { Transport, type SnapshotMessage, type TransportHandlers, type TransportOptions } from '../transport.ts'

export const MIB = 1024 * 1024

export const A = MemberId(0xan)
export const B = MemberId(0xbn)
export const CLUSTER = ClusterId(0xc1n)
export const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, fire) {
    const timer = setTimeout(fire, delayMs).unref()
    return { cancel: () => clearTimeout(timer) }
  },
  soon: (fire) => void setImmediate(fire),
}

export interface Side {
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
  readonly roundTrips: (readonly [peer: MemberId, ms: number])[]
  readonly unreachable: MemberId[]
  readonly reachable: MemberId[]
  readonly refusals: string[]
  readonly removed: Set<MemberId>
  /** What requests are answered with, if not with who asks. */
  answer: Buffer | undefined
  /** Requests get no answer. */
  isSilent: boolean
  /** For snapshots. */
  roomBytes: number
}

export function portOf(server: Server): number {
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

export async function start(
  t: TestContext,
  memberId: MemberId,
  options: Partial<
    Pick<TransportOptions, 'clusterId' | 'log' | 'frameTimeoutMs' | 'helloTimeoutMs' | 'secrets' | 'clock'>
  > & {
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
    reachable: [],
    roundTrips: [],
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
    onReachable: (id) => side.reachable.push(id),
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
      onRoundTrip: (peer, ms) => side.roundTrips.push([peer, ms]),
      ...(options.log === undefined ? {} : { log: options.log }),
      ...(options.helloTimeoutMs === undefined ? {} : { helloTimeoutMs: options.helloTimeoutMs }),
      secrets: options.secrets,
      ...(options.frameTimeoutMs === undefined ? {} : { frameTimeoutMs: options.frameTimeoutMs }),
    },
    handlers,
  )
  t.after(() => transport.close())
  return Object.assign(side, { transport, url })
}

export const isConnected = (side: Side, to: MemberId): boolean =>
  side.transport.stats(to).connectedSinceMs !== undefined
export const heartbeat = (from: MemberId, to: MemberId, commit: number): Message => ({
  kind: 'heartbeat-request',
  from,
  to,
  term: Term(1),
  commit: LogIndex(commit),
  readBatch: 0,
})
export const commits = (side: Side): number[] =>
  side.messages.flatMap((message) => (message.kind === 'heartbeat-request' ? [message.commit] : []))

export async function pair(t: TestContext, given: readonly string[] = []): Promise<[Side, Side]> {
  const [urlOfA, urlOfB] = given
  const a = await start(t, A, urlOfA === undefined ? {} : { url: urlOfA })
  const b = await start(t, B, urlOfB === undefined ? {} : { url: urlOfB })
  const urls = new Map([
    [A, [a.url]],
    [B, [b.url]],
  ])
  for (const side of [a, b]) side.transport.setPeers(urls)
  await until('both connect', () => isConnected(a, B) && isConnected(b, A))
  return [a, b]
}

/** A connection by hand: what it got, and whether it was closed. */
export async function byHand(
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
    await until('an answer to the hello', () => frames.length > 0)
  }
  return { socket, frames, isClosed: () => socket.closed }
}
