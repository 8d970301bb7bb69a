/**
 * The requests of a connection, from what their streams bring (RFC 9113 §5.1): who is open, what may still come for those that
 * are not, and that each brings what it may. The connection has checked the frames by themselves.
 */
import { NumberTable } from '../../lib/number-table.ts'
import { ClosedStreams } from './closed-streams.ts'
import { ConnectionError } from './errors.ts'
import { ErrorCode, Flag, rstStreamFrame } from './frame.ts'
import { protocolError, withoutPadding } from './frame-rules.ts'
import type { HeadDecoder } from './head-decoder.ts'
import type { FieldList } from './hpack-decoder.ts'
import { COSTLY_FRAME_BYTES } from './limits.ts'
import { areFields } from './request-head.ts'
import type { Stream, StreamPort } from './stream.ts'

/** Who answers the requests with one head. Kept with the bytes of the head, so that equal requests share it. */
export interface Route {
  /** Undefined: refused, which clients try again. */
  open(port: StreamPort, id: number): Stream | undefined
}

/** What requests ask of their connection. */
export interface RequestsPort extends StreamPort {
  /** Its client has been told that no more streams are taken. */
  readonly isDraining: boolean
  send(frame: Uint8Array): void
  /** A call has come to nothing, a frame has brought nothing on: a client may do so much of it. */
  countReset(): void
  countIdleFrame(): void
  /** One stream less is open. */
  onForgotten(): void
}

export class Requests {
  readonly #port: RequestsPort
  readonly #heads: HeadDecoder<Route>
  readonly #maxOpen: number
  readonly #open = new NumberTable<Stream>()
  readonly #closed = new ClosedStreams()
  #lastId = 0

  constructor(port: RequestsPort, heads: HeadDecoder<Route>, maxOpen: number) {
    this.#port = port
    this.#heads = heads
    this.#maxOpen = maxOpen
  }

  /** Open at the moment. */
  get count(): number {
    return this.#open.size
  }

  /** Of the last stream that was taken. */
  get lastId(): number {
    return this.#lastId
  }

  onData(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const stream = this.#open.get(streamId)
    if (stream === undefined) return this.#onStray(streamId, end - start)
    if (stream.hasReceivedAll) return this.#cut(stream, ErrorCode.streamClosed)
    const [from, to] = (flags & Flag.padded) === 0 ? [start, end] : withoutPadding(bytes, start, end)
    stream.receiveWindow -= end - start
    if (stream.receiveWindow < 0) return this.#cut(stream, ErrorCode.flowControlError)
    const isEnd = (flags & Flag.endStream) !== 0
    if (from === to && !isEnd) this.#port.countIdleFrame()
    if (!countBody(stream, to - from, isEnd)) return this.#cut(stream, ErrorCode.protocolError)
    if (isEnd) stream.hasReceivedAll = true
    if (to - from < end - start) stream.consumed(end - start - (to - from))
    if (to > from) stream.onData(bytes, from, to)
    if (isEnd && !stream.isClosed) stream.onEnd()
  }

  /** A whole header block: a request, or the trailers of one. */
  onBlock(streamId: number, isEnd: boolean, bytes: Buffer, start: number, end: number): void {
    if (streamId > this.#lastId) this.#onRequest(streamId, isEnd, bytes, start, end)
    else this.#onTrailers(streamId, isEnd, this.#heads.fields(bytes, start, end))
  }

  onReset(streamId: number): void {
    this.#checkNotIdle(streamId)
    this.#port.countReset()
    const stream = this.#open.get(streamId)
    if (stream === undefined) return
    this.#forget(stream, false)
    stream.close(false)
  }

  onWindowUpdate(streamId: number, more: number): void {
    const stream = this.#open.get(streamId)
    if (stream === undefined) return this.#checkNotIdle(streamId)
    if (more === 0) return this.#cut(stream, ErrorCode.protocolError)
    if (!stream.widen(more)) this.#cut(stream, ErrorCode.flowControlError)
  }

  /** False: a window is larger than it may get. */
  widenAll(more: number): boolean {
    for (const stream of this.#open.values()) if (!stream.widen(more)) return false
    return true
  }

  reset(stream: Stream, code: ErrorCode): void {
    this.#port.send(rstStreamFrame(stream.id, code))
    this.#forget(stream, true)
    stream.close(false)
  }

  onAnswered(stream: Stream): void {
    this.#forget(stream, !stream.hasReceivedAll)
    stream.close(true)
  }

  /** The connection has failed. */
  closeAll(): void {
    for (const stream of this.#open.values()) {
      this.#open.delete(stream.id)
      stream.close(false)
    }
  }

  #onRequest(streamId: number, isEnd: boolean, bytes: Buffer, start: number, end: number): void {
    const route = this.#heads.route(bytes, start, end)
    if (this.#port.isDraining) return // its client has been told that it is not served
    this.#lastId = streamId
    if (typeof route === 'number') {
      this.#refuse(streamId, route)
      return this.#port.countReset()
    }
    if (this.#open.size >= this.#maxOpen) return this.#refuse(streamId, ErrorCode.refusedStream)
    const stream = route.open(this.#port, streamId)
    if (stream === undefined) return this.#refuse(streamId, ErrorCode.refusedStream)
    this.#open.add(streamId, stream)
    stream.onOpened()
    if (!isEnd || stream.isClosed) return
    if (!countBody(stream, 0, true)) return this.#cut(stream, ErrorCode.protocolError)
    stream.hasReceivedAll = true
    stream.onEnd()
  }

  #onTrailers(streamId: number, isEnd: boolean, fields: FieldList | undefined): void {
    const stream = this.#open.get(streamId)
    if (stream === undefined) return this.#onStrayHeaders(streamId)
    if (stream.hasReceivedAll) return this.#cut(stream, ErrorCode.streamClosed)
    if (fields === undefined || !isEnd || !areFields(fields) || !countBody(stream, 0, true))
      return this.#cut(stream, ErrorCode.protocolError)
    stream.hasReceivedAll = true
    stream.onEnd()
  }

  #onStrayHeaders(streamId: number): void {
    const ending = this.#closed.find(streamId)
    if (ending === 'reset-by-us') return this.#port.countIdleFrame()
    if (ending === 'ended') throw new ConnectionError(ErrorCode.streamClosed, 'HEADERS on a stream that has ended')
    throw protocolError('HEADERS on a stream that was passed over')
  }

  /** DATA for a stream that is not there. */
  #onStray(streamId: number, length: number): void {
    this.#checkNotIdle(streamId)
    if (streamId > this.#lastId) return
    const isExpected = this.#closed.find(streamId) === 'reset-by-us'
    if (!isExpected || length < COSTLY_FRAME_BYTES) this.#port.countIdleFrame()
    if (!isExpected) this.#port.send(rstStreamFrame(streamId, ErrorCode.streamClosed))
  }

  #checkNotIdle(streamId: number): void {
    if (streamId % 2 === 0 || streamId > this.#lastId) {
      // Of a stream that came after the last one that is served: its client does not know yet.
      if (this.#port.isDraining && streamId % 2 === 1) return
      throw protocolError('a frame on a stream that was never opened')
    }
  }

  /** A stream error: the client's fault. */
  #cut(stream: Stream, code: ErrorCode): void {
    this.reset(stream, code)
    this.#port.countReset()
  }

  #refuse(streamId: number, code: ErrorCode): void {
    this.#closed.add(streamId, true)
    this.#port.send(rstStreamFrame(streamId, code))
  }

  #forget(stream: Stream, isResetByUs: boolean): void {
    this.#open.delete(stream.id)
    this.#closed.add(stream.id, isResetByUs)
    this.#port.onForgotten()
  }
}

/** Whether as much comes as the client has said (RFC 9113 §8.1.1). */
function countBody(stream: Stream, bytes: number, isEnd: boolean): boolean {
  if (stream.bytesToCome === undefined) return true
  stream.bytesToCome -= bytes
  return isEnd ? stream.bytesToCome === 0 : stream.bytesToCome >= 0
}
