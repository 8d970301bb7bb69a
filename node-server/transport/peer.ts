/**
 * The way to one peer: a connection that is made again whenever it is lost, messages that wait until it reads, requests with
 * answers, and a ping that notices a dead connection. What waits is bounded. When a connection breaks, everything on its way is
 * lost, and reported so: Raft sends again. It is not known whether a proposal arrived, so it is not sent again. If a peer's address changes
 * (to TLS, say), the new connection is made before the old one is closed, and nothing is lost.
 */
import { backoffMs } from '../../lib/backoff.ts'
import { ByteReader, ByteWriter, sizeOfParts } from '../../lib/bytes.ts'
import { sleep, type Clock, type Timer } from '../../lib/clock.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { MemberId } from '../../lib/ids.ts'
import { COMMIT_NOTICE, FLOW, MAX_PEER_REQUESTS, MAX_PEER_REQUEST_SIZE_BYTES } from '../limits.ts'
import type { Message } from '../raft/message.ts'
import { encodeMessagesFrame } from './codec.ts'
import { dial, type Connection, type PeerDialer } from './connection.ts'
import { FRAME, encodeFrame, type Frame, type Hello, type RefusalReason } from './frame.ts'
import { Outbox } from './outbox.ts'

const PING_INTERVAL_MS = 1000
/** A line without an answer for so long is dead, whatever TCP believes. */
const PONG_TIMEOUT_MS = 5000
/** How long a replaced connection waits for answers to its requests. */
const RETIRED_TIMEOUT_MS = 10_000
const RECONNECT = { firstMs: 50, factor: 2, maxMs: 1000, jitter: 0.5 } as const

export interface PeerEvents {
  /** Messages were lost; told once until the next connection. */
  onUnreachable(id: MemberId): void
  /** A connection was made, where there was none. */
  onReachable(id: MemberId): void
  onRefused(id: MemberId, reason: RefusalReason): void
  /** There is no connection to be had; told again only when the reason is another. */
  onDialFailed(id: MemberId, url: string, reason: string): void
  /** The connection that there was; another is tried at once. */
  onLost(id: MemberId, reason: string): void
  onRoundTrip(id: MemberId, ms: number): void
}

export interface PeerOptions {
  readonly id: MemberId
  readonly urls: readonly string[]
  /** As it is when a connection is made. */
  readonly hello: () => Hello
  readonly dialer: PeerDialer
  readonly clock: Clock
}

export interface PeerStats {
  readonly sentBytes: number
  readonly sendFailures: number
  /** Monotonic time since when there is a connection; undefined if there is none. */
  readonly connectedSinceMs: number | undefined
}

interface OpenRequest {
  /** On which it was asked. */
  readonly connection: Connection
  readonly settle: (answer: Result<Buffer, string>) => void
}

export class Peer {
  readonly #id: MemberId
  readonly #hello: () => Hello
  readonly #dialer: PeerDialer
  readonly #clock: Clock
  readonly #events: PeerEvents
  readonly #stopped = new AbortController()
  #urls: readonly string[]
  readonly #outbox = new Outbox(FLOW.peerQueueSizeBytes)
  #connection: Connection | undefined
  /** What waits is being written to this one. */
  #flushing: Connection | undefined
  /** Ends the wait of a notice for something to go along with. */
  #noticeTimer: Timer | undefined
  /** When it last forwarded a proposal. */
  #proposedMs = -Infinity
  #usedUrl: string | undefined
  /** Replaced connections with something still on its way. */
  readonly #retired = new Set<Connection>()
  /** Resolves when another connection is needed. */
  #needed = Promise.withResolvers<void>()
  /** Ends the pause before the next attempt to connect. */
  #pause = new AbortController()
  #connectedSinceMs: number | undefined
  #isUnreachableTold = false
  #toldFailure: string | undefined
  #sentBytes = 0
  #sendFailures = 0
  #lastRequestId = 0
  readonly #requests = new Map<number, OpenRequest>()

  constructor(options: PeerOptions, events: PeerEvents) {
    this.#id = options.id
    this.#urls = options.urls
    this.#hello = options.hello
    this.#dialer = options.dialer
    this.#clock = options.clock
    this.#events = events
    void this.#keepConnected()
  }

  set urls(urls: readonly string[]) {
    const isNew = urls.some((url) => !this.#urls.includes(url))
    this.#urls = urls
    if (isNew) this.#pause.abort()
    if (!this.#isWellConnected) this.#needed.resolve()
  }

  /** The one first to which a connection stands, or stood last. */
  get urls(): readonly string[] {
    return this.#urls.toSorted((a, b) => Number(b === this.#usedUrl) - Number(a === this.#usedUrl))
  }

  get stats(): PeerStats {
    return {
      sentBytes: this.#sentBytes,
      sendFailures: this.#sendFailures,
      connectedSinceMs: this.#connectedSinceMs,
    }
  }

  send(messages: readonly Message[]): void {
    const connection = this.#connection
    const taken = connection === undefined ? 0 : messages.filter((message) => this.#outbox.add(message)).length
    this.#sendFailures += messages.length - taken
    if (taken < messages.length) this.#tellUnreachable()
    else this.#isUnreachableTold = false
    if (connection === undefined) return
    if (messages.every(isNotice)) this.#flushLater(connection)
    else void this.#flush(connection)
  }

  /** The peer was heard from, so the pause before the next attempt to connect ends. */
  heard(): void {
    this.#pause.abort()
  }

  /** It has forwarded a proposal: a client of its own waits to hear that it is committed. */
  proposed(): void {
    this.#proposedMs = this.#clock.monotonicMs()
  }

  /** Whether a message that is sent now will be written, if the connection lasts. */
  get hasRoom(): boolean {
    return this.#connection !== undefined && !this.#outbox.isFull
  }

  /** An error says in words why there is no answer; whether the request was carried out is then unknown. */
  request(payload: Uint8Array, timeoutMs: number): Promise<Result<Buffer, string>> {
    const connection = this.#connection
    if (connection === undefined) return Promise.resolve(err('there is no connection to the peer'))
    if (payload.length > MAX_PEER_REQUEST_SIZE_BYTES)
      return Promise.resolve(err(`${payload.length} bytes are more than a request to a peer may have`))
    if (this.#requests.size >= MAX_PEER_REQUESTS) return Promise.resolve(err('too many requests wait for the peer'))
    const requestId = ++this.#lastRequestId
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(timeoutMs, () => settle(err(`the peer did not answer within ${timeoutMs} ms`)))
      const settle = (answer: Result<Buffer, string>): void => {
        timer.cancel()
        this.#requests.delete(requestId)
        if (this.#retired.has(connection)) this.#endIfIdle(connection)
        resolve(answer)
      }
      this.#requests.set(requestId, { connection, settle })
      this.#write(connection, [encodeFrame(FRAME.request, new ByteWriter(16).u53(requestId).raw(payload).finish())])
    })
  }

  stop(): void {
    this.#stopped.abort()
    this.#pause.abort()
    this.#needed.resolve()
    this.#connection?.close('stopped')
    for (const connection of this.#retired) connection.close('stopped')
  }

  #tellUnreachable(): void {
    if (this.#isUnreachableTold || this.#stopped.signal.aborted) return
    this.#isUnreachableTold = true
    this.#events.onUnreachable(this.#id)
  }

  #flushLater(connection: Connection): void {
    // In the turn after the next one: clients get their answers in the next.
    if (this.#clock.monotonicMs() - this.#proposedMs < COMMIT_NOTICE.clientsMs)
      return this.#clock.soon(() => this.#clock.soon(() => void this.#flush(connection)))
    this.#noticeTimer ??= this.#clock.setTimer(COMMIT_NOTICE.waitMs, () => {
      this.#noticeTimer = undefined
      if (this.#connection !== undefined) void this.#flush(this.#connection)
    })
  }

  /** One frame after the other, as fast as the peer reads; between two of them everything else has its turn. */
  async #flush(connection: Connection): Promise<void> {
    this.#noticeTimer?.cancel()
    this.#noticeTimer = undefined
    if (this.#flushing === connection) return
    this.#flushing = connection
    while (this.#connection === connection && !this.#outbox.isEmpty) {
      if (!this.#write(connection, encodeMessagesFrame(this.#outbox.next()))) await connection.drained()
      if (!this.#outbox.isEmpty) await new Promise<void>((resolve) => this.#clock.soon(resolve))
    }
    if (this.#flushing === connection) this.#flushing = undefined
  }

  #write(connection: Connection, parts: readonly Buffer[]): boolean {
    this.#sentBytes += sizeOfParts(parts)
    return connection.writev(parts)
  }

  async #keepConnected(): Promise<void> {
    for (let attempt = 0; !this.#stopped.signal.aborted; attempt++) {
      const url = this.#urls[attempt % Math.max(1, this.#urls.length)]
      const dialled = url === undefined ? undefined : await dial(url, this.#hello(), this.#dialer)
      if (dialled?.ok === true) {
        if (this.#stopped.signal.aborted) return dialled.value.close('stopped')
        this.#toldFailure = undefined
        this.#usedUrl = url
        this.#use(dialled.value)
      } else if (dialled?.error.kind === 'refused') this.#events.onRefused(this.#id, dialled.error.reason)
      else if (dialled !== undefined && url !== undefined) this.#tellFailure(url, dialled.error.message)
      if (this.#isWellConnected) {
        await this.#isConnectionNeeded()
        attempt = 0
      }
      // Jitter spreads the returns of many; nothing depends on it, so it needs no seed.
      await sleep(this.#clock, backoffMs(RECONNECT, attempt, Math.random()), this.#pause.signal)
      if (this.#pause.signal.aborted) this.#pause = new AbortController()
    }
  }

  /** A connection stands, to where the peer is to be reached. */
  get #isWellConnected(): boolean {
    return this.#connection !== undefined && this.#usedUrl !== undefined && this.#urls.includes(this.#usedUrl)
  }

  #isConnectionNeeded(): Promise<void> {
    this.#needed = Promise.withResolvers()
    return this.#needed.promise
  }

  #tellFailure(url: string, reason: string): void {
    const failure = `${url} ${reason}`
    if (failure === this.#toldFailure || this.#stopped.signal.aborted) return
    this.#toldFailure = failure
    this.#events.onDialFailed(this.#id, url, reason)
  }

  /** Replaces the present connection, if there is one. */
  #use(connection: Connection): void {
    const now = this.#clock.monotonicMs()
    const former = this.#connection
    this.#connection = connection
    this.#connectedSinceMs ??= now
    let lastPongMs = now
    const beat = (): void => {
      if (this.#connection !== connection) return
      if (this.#clock.monotonicMs() - lastPongMs > PONG_TIMEOUT_MS)
        return connection.close('the peer does not answer pings')
      connection.write(
        encodeFrame(FRAME.ping, new ByteWriter(8).u53(Math.floor(this.#clock.monotonicMs() * 1000)).finish()),
      )
      this.#clock.setTimer(PING_INTERVAL_MS, beat)
    }
    connection.handlers = {
      onFrame: (frame) => {
        if (frame.type === FRAME.pong) {
          lastPongMs = this.#clock.monotonicMs()
          this.#events.onRoundTrip(this.#id, lastPongMs - new ByteReader(frame.payload).u53() / 1000)
        } else this.#onAnswer(frame)
      },
      onClose: (reason) => this.#onClosed(connection, reason),
    }
    beat()
    if (former === undefined) return this.#events.onReachable(this.#id)
    void this.#flush(connection)
    this.#retire(former)
  }

  #onClosed(connection: Connection, reason: string): void {
    if (connection === this.#connection) {
      this.#connection = undefined
      this.#connectedSinceMs = undefined
      this.#outbox.clear()
      this.#tellUnreachable()
      if (!this.#stopped.signal.aborted) this.#events.onLost(this.#id, reason)
      this.#needed.resolve()
    }
    this.#retired.delete(connection)
    for (const request of this.#requests.values())
      if (request.connection === connection) request.settle(err(`the connection was lost: ${reason}`))
  }

  /** What was written to it still arrives, and its requests still get answers. */
  #retire(connection: Connection): void {
    this.#retired.add(connection)
    this.#clock.setTimer(RETIRED_TIMEOUT_MS, () => {
      if (this.#retired.has(connection)) connection.close('the peer is reached by another connection')
    })
    this.#endIfIdle(connection)
  }

  #endIfIdle(connection: Connection): void {
    if (this.#requests.values().every((request) => request.connection !== connection)) connection.end()
  }

  #onAnswer(frame: Frame): void {
    if (frame.type !== FRAME.response) return
    const reader = new ByteReader(frame.payload)
    const request = this.#requests.get(reader.u53())
    request?.settle(ok(reader.raw(reader.remainingBytes)))
  }
}

/** It only says how far entries are committed. */
function isNotice(message: Message): boolean {
  return message.kind === 'append-request' && message.entries.length === 0
}
