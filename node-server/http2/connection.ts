/**
 * The server's end of an HTTP/2 connection (RFC 9113): what the client sends is checked, cut into requests and handed on;
 * what streams have to send leaves once a turn, in one write.
 *
 * Invariants: what is held for a client is bounded, whatever it sends and however slowly it reads. Its frames are answered
 * only while it reads the answers: reading stops while too much waits to be written. What costs it nothing (resets, settings,
 * frames without content) it may do so often and no more.
 *
 * Neighbours: `requests` has its streams; `route` of the options says who answers one.
 */
import type { Socket } from 'node:net'
import type { ListenLimits } from '../listen/limits.ts'
import { ConnectionError } from './errors.ts'
import {
  DEFAULT_WINDOW_BYTES,
  ErrorCode,
  Flag,
  FrameType,
  goawayFrame,
  MAX_STREAM_ID,
  pingFrame,
  SETTINGS_ACK,
  settingsFrame,
  windowUpdateFrame,
} from './frame.ts'
import { FrameReader, uint31At } from './frame-reader.ts'
import { checkFrame, protocolError } from './frame-rules.ts'
import { HeadDecoder } from './head-decoder.ts'
import { HeaderBlocks } from './header-blocks.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { Keepalive } from './keepalive.ts'
import { CONNECTION_WINDOW_BYTES, LINGER_BYTES, LINGER_MS, STREAM_WINDOW_BYTES } from './limits.ts'
import type { Slab } from './output.ts'
import type { RequestHead } from './request-head.ts'
import { Requests, type RequestsPort, type Route } from './requests.ts'
import { Sender } from './sender.ts'
import { readSettings, SettingId, settingsPayload } from './settings.ts'
import type { Stream, StreamPort } from './stream.ts'
import { Tolerance } from './tolerance.ts'
import type { Turn } from './turn.ts'

export interface ConnectionOptions {
  readonly limits: ListenLimits
  route(head: RequestHead): Route
  /** Shared by all connections. */
  readonly turn: Turn
  readonly slab: Slab
  /** For the decoder, shared as well; as long as the list of fields may be. */
  readonly text: Buffer
  /** Of the client's certificate. */
  readonly commonName: string | undefined
  onClosed(connection: Connection): void
}

const DRAIN_PING = Buffer.from('draining')
const KEEPALIVE_PING = Buffer.from('anybody?')

/** Running; told that no more streams are taken (`lastStreamId` once that is final); dead: nothing read counts any more. */
type Phase = 'running' | 'announced' | 'draining' | 'dead'

export class Connection implements RequestsPort {
  readonly commonName: string | undefined
  readonly isSecure: boolean
  readonly remote: StreamPort['remote']
  initialWindowBytes = DEFAULT_WINDOW_BYTES
  readonly #socket: Socket
  readonly #options: ConnectionOptions
  readonly #reader: FrameReader
  readonly #blocks: HeaderBlocks
  readonly #sender: Sender
  readonly #keepalive: Keepalive
  readonly #tolerance: Tolerance
  readonly #requests: Requests
  #phase: Phase = 'running'
  #hasSettings = false
  #receiveWindow = CONNECTION_WINDOW_BYTES
  #receivedBytes = 0
  #discardedBytes = 0
  #handshakeTimer: NodeJS.Timeout | undefined
  #lingerTimer: NodeJS.Timeout | undefined
  #lastReadMs: number

  constructor(socket: Socket, options: ConnectionOptions) {
    const { limits, turn, slab, text, commonName } = options
    const nowMs = performance.now()
    this.#socket = socket
    this.#options = options
    this.commonName = commonName
    const { remoteAddress, remotePort } = socket
    this.remote = { remoteAddress, remotePort } // which it forgets when it is closed
    this.isSecure = Reflect.get(socket, 'encrypted') === true
    this.#reader = new FrameReader((type, flags, streamId, bytes, start, end) =>
      this.#onFrame(type, flags, streamId, bytes, start, end),
    )
    this.#blocks = new HeaderBlocks(limits.maxHeaderBytes, (streamId, isEnd, bytes, start, end) =>
      this.#requests.onBlock(streamId, isEnd, bytes, start, end),
    )
    const decoder = new HpackDecoder({ maxListBytes: limits.maxHeaderBytes }, text)
    const heads = new HeadDecoder(decoder, (head) => options.route(head))
    this.#requests = new Requests(this, heads, limits.maxConcurrentStreams)
    this.#sender = new Sender(socket, turn, slab, {
      onAnswered: (stream) => this.#requests.onAnswered(stream),
      onFlushed: () => this.#onFlushed(),
    })
    this.#tolerance = new Tolerance(limits, nowMs)
    this.#lastReadMs = nowMs
    this.#handshakeTimer = setTimeout(() => socket.destroy(), limits.handshakeTimeoutMs)
    this.#announce()
    this.#keepalive = new Keepalive(limits, {
      lastReadMs: () => this.#lastReadMs,
      ping: () => this.send(pingFrame(KEEPALIVE_PING, false)),
      giveUp: () => socket.destroy(),
    })
    socket.on('close', () => this.#onSocketClosed())
    socket.on('error', () => undefined) // 'close' follows
    socket.on('drain', () => this.#onDrain())
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk))
    socket.resume()
  }

  /** No new streams; the connection ends when those there are have ended. */
  drain(): void {
    if (this.#phase !== 'running') return
    // What is on its way is still served: the answer to the ping tells that nothing more is (RFC 9113 §6.8).
    this.#phase = 'announced'
    this.send(goawayFrame(MAX_STREAM_ID, ErrorCode.noError, 'graceful_stop'))
    this.send(pingFrame(DRAIN_PING, false))
  }

  destroy(): void {
    this.#socket.destroy()
  }

  ready(stream: Stream): void {
    this.#sender.ready(stream)
  }

  allowMore(stream: Stream, bytes: number): void {
    this.send(windowUpdateFrame(stream.id, bytes))
  }

  reset(stream: Stream, code: ErrorCode): void {
    this.#requests.reset(stream, code)
  }

  get isDraining(): boolean {
    return this.#phase === 'draining'
  }

  send(frame: Uint8Array): void {
    this.#sender.control(frame)
  }

  countReset(): void {
    this.#tolerance.countReset(this.#lastReadMs)
  }

  countIdleFrame(): void {
    this.#tolerance.countIdleFrame(this.#lastReadMs)
  }

  onForgotten(): void {
    if (this.#phase === 'draining') this.#sender.schedule()
  }

  #announce(): void {
    const { maxConcurrentStreams, maxHeaderBytes } = this.#options.limits
    const settings = settingsPayload([
      [SettingId.maxConcurrentStreams, maxConcurrentStreams],
      [SettingId.initialWindowSize, STREAM_WINDOW_BYTES],
      [SettingId.maxHeaderListSize, maxHeaderBytes],
    ])
    this.send(settingsFrame(settings))
    this.send(windowUpdateFrame(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES))
  }

  // What comes

  #onChunk(chunk: Buffer): void {
    if (this.#phase === 'dead') return this.#discard(chunk)
    this.#lastReadMs = performance.now()
    try {
      this.#reader.read(chunk)
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error
      this.#fail(error.code, error.message)
    }
    if (this.#sender.isFull) this.#socket.pause()
  }

  #onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (this.#phase === 'dead') return
    if (!this.#hasSettings && type !== FrameType.settings) throw protocolError('SETTINGS must come first')
    checkFrame(type, streamId, end - start)
    this.#blocks.check(type, streamId)
    switch (type) {
      case FrameType.data:
        this.#countReceived(end - start)
        return this.#requests.onData(flags, streamId, bytes, start, end)
      case FrameType.headers:
        return this.#blocks.onHeaders(flags, streamId, bytes, start, end)
      case FrameType.continuation:
        return this.#blocks.onContinuation(flags, bytes, start, end)
      case FrameType.rstStream:
        return this.#requests.onReset(streamId)
      case FrameType.settings:
        return this.#onSettings(flags, bytes, start, end)
      case FrameType.ping:
        return this.#onPing(flags, bytes, start, end)
      case FrameType.windowUpdate:
        return this.#onWindowUpdate(streamId, bytes, start)
      case FrameType.priority:
        return this.#onPriority(streamId, bytes, start)
      case FrameType.goaway:
        return this.#onGoaway()
      default: // RFC 9113 §5.5: what is not known is ignored
        return this.countIdleFrame()
    }
  }

  #onSettings(flags: number, bytes: Buffer, start: number, end: number): void {
    const isAck = (flags & Flag.ack) !== 0
    if (isAck && end > start)
      throw new ConnectionError(ErrorCode.frameSizeError, 'an acknowledgement of SETTINGS with content')
    if (isAck && this.#hasSettings) return this.countIdleFrame()
    if (isAck) throw protocolError('SETTINGS must come first')
    if (this.#hasSettings) this.countIdleFrame()
    readSettings(bytes, start, end, (id, value) => this.#onSetting(id, value))
    this.send(SETTINGS_ACK)
    if (!this.#hasSettings) this.#keepalive.start()
    this.#hasSettings = true
    clearTimeout(this.#handshakeTimer)
  }

  #onSetting(id: number, value: number): void {
    if (id === SettingId.headerTableSize) this.#sender.resizeTable(value)
    const more = value - this.initialWindowBytes
    if (id !== SettingId.initialWindowSize || more === 0) return
    this.initialWindowBytes = value
    if (!this.#requests.widenAll(more)) throw windowTooLarge()
  }

  #onPing(flags: number, bytes: Buffer, start: number, end: number): void {
    const payload = bytes.subarray(start, end)
    if ((flags & Flag.ack) !== 0) {
      this.#keepalive.heard()
      if (this.#phase === 'announced' && payload.equals(DRAIN_PING)) this.#onDrainAnswered()
      return this.countIdleFrame()
    }
    this.#tolerance.countPing(this.#lastReadMs, this.#sender.answerBytes)
    this.send(pingFrame(payload, true))
  }

  #onDrainAnswered(): void {
    this.#phase = 'draining'
    this.send(goawayFrame(this.#requests.lastId, ErrorCode.noError, ''))
    this.#endIfDrained()
  }

  #onGoaway(): void {
    this.countIdleFrame()
    if (this.#phase === 'dead') return
    this.#phase = 'draining'
    this.#endIfDrained()
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number): void {
    const more = uint31At(bytes, start)
    if (streamId !== 0) return this.#requests.onWindowUpdate(streamId, more)
    if (more === 0) throw protocolError('WINDOW_UPDATE of nothing')
    if (!this.#sender.widen(more)) throw windowTooLarge()
  }

  #onPriority(streamId: number, bytes: Buffer, start: number): void {
    if (uint31At(bytes, start) === streamId) throw protocolError('a stream that depends on itself')
    this.countIdleFrame()
  }

  #countReceived(bytes: number): void {
    this.#receiveWindow -= bytes
    if (this.#receiveWindow < 0) throw new ConnectionError(ErrorCode.flowControlError, 'more than the window allows')
    this.#receivedBytes += bytes
    if (this.#receivedBytes < CONNECTION_WINDOW_BYTES / 2) return
    this.#receiveWindow += this.#receivedBytes
    this.send(windowUpdateFrame(0, this.#receivedBytes))
    this.#receivedBytes = 0
  }

  #onFlushed(): void {
    if (this.#phase === 'dead') this.#socket.end()
    else this.#endIfDrained()
  }

  #onDrain(): void {
    this.#sender.onDrain()
    if (this.#socket.isPaused()) this.#socket.resume()
  }

  // How it ends

  #endIfDrained(): void {
    if (this.#phase !== 'draining' || this.#requests.count > 0) return
    if (this.#sender.hasControl) return this.#sender.schedule()
    this.#phase = 'dead'
    this.#socket.destroySoon() // all has been said, by both
  }

  /** The last word, and nothing that streams still had to send. */
  #fail(code: ErrorCode, text: string): void {
    this.send(goawayFrame(this.#requests.lastId, code, text))
    this.#linger()
    this.#closeStreams()
  }

  #linger(): void {
    this.#phase = 'dead'
    // What still comes is read and forgotten: unread, it would take our last word from the client.
    this.#socket.resume()
    this.#lingerTimer ??= setTimeout(() => this.#socket.destroy(), LINGER_MS)
  }

  #discard(chunk: Buffer): void {
    this.#discardedBytes += chunk.length
    if (this.#discardedBytes > LINGER_BYTES) this.#socket.destroy()
  }

  #onSocketClosed(): void {
    this.#phase = 'dead'
    clearTimeout(this.#handshakeTimer)
    this.#keepalive.stop()
    clearTimeout(this.#lingerTimer)
    this.#closeStreams()
    this.#options.onClosed(this)
  }

  #closeStreams(): void {
    this.#sender.dropAnswers()
    this.#requests.closeAll()
  }
}

function windowTooLarge(): ConnectionError {
  return new ConnectionError(ErrorCode.flowControlError, 'a window over the limit')
}
