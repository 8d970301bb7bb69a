/** What all calls of the built-in engine are: streams of HTTP/2 that speak gRPC. */
import { performance } from 'node:perf_hooks'
import { gunzip } from 'node:zlib'
import { ErrorCode } from '../http2/frame.ts'
import { field, rememberedField, type Field } from '../http2/hpack-encoder.ts'
import { fieldOf, type RequestHead } from '../http2/request-head.ts'
import { Stream, type StreamPort } from '../http2/stream.ts'
import type { StreamLoad } from '../listen/load.ts'
import type { Deadlines, Expiring } from './deadlines.ts'
import { framed, PREFIX_BYTES, sizeOf } from './frames.ts'
import { MessageReader } from './message-reader.ts'
import type {
  AnswerMetadata,
  CallContext,
  CallObserver,
  ResponseParts,
  RpcCode,
  RpcObserver,
  RpcStatus,
} from './service.ts'
import { STATUS_CODE } from './status-code.ts'
import { encodeStatusText } from './status-text.ts'

/** All that calls with one head share. */
export interface CallHead {
  readonly path: string
  readonly head: RequestHead
  /** Undefined: the client waits forever. */
  readonly timeoutMs: number | undefined
  readonly isGzip: boolean
  readonly calls: CallObserver
  readonly observer: RpcObserver
  readonly deadlines: Deadlines
  /** A longer message is refused before it is read to its end. */
  readonly maxReceiveBytes: number
}

export const HANDLER_FAILED: RpcStatus = { code: 'Internal', message: 'internal error: the log of the member has it' }

export const TOO_MUCH_UNREAD: RpcStatus = {
  code: 'ResourceExhausted',
  message: 'too many responses wait for the client to read them',
}

const STATUS_200 = field(':status', '200')
const CONTENT_TYPE = rememberedField('content-type', 'application/grpc')
const HEAD: readonly Field[] = [STATUS_200, CONTENT_TYPE]
const TRAILERS_OK: readonly Field[] = [rememberedField('grpc-status', '0')]

/** The whole answer of a call that is refused before it sends anything (gRPC over HTTP/2: Trailers-Only). */
export function refusal(status: RpcStatus): readonly Field[] {
  return [...HEAD, ...trailersOf(status)]
}

function trailersOf({ code, message, details }: RpcStatus): readonly Field[] {
  const trailers = [field('grpc-status', String(STATUS_CODE[code])), field('grpc-message', encodeStatusText(message))]
  if (details !== undefined)
    trailers.push(field('grpc-status-details-bin', Buffer.from(details).toString('base64').replace(/=+$/, '')))
  return trailers
}

export abstract class Call extends Stream implements CallContext, AnswerMetadata, Expiring {
  deadlineMs = 0
  nextExpiring: Expiring | undefined
  previousExpiring: Expiring | undefined
  protected readonly call: CallHead
  protected readonly load: StreamLoad
  protected readonly messages = new MessageReader()
  protected isCanceled = false
  #headers: Field[] | undefined
  #trailers: Field[] | undefined
  #isResponded = false
  #hasEnded = false
  #startedMs = 0
  #abort: AbortController | undefined

  constructor(port: StreamPort, id: number, call: CallHead, load: StreamLoad) {
    super(port, id)
    this.call = call
    this.load = load
    this.bytesToCome = call.head.contentLength
    if (call.timeoutMs === undefined) return
    this.deadlineMs = performance.now() + call.timeoutMs
    call.deadlines.add(this)
  }

  metadata(name: string): string | undefined {
    return fieldOf(this.call.head.fields, name)
  }

  get peer(): string {
    const { remoteAddress, remotePort } = this.port.remote
    return remoteAddress === undefined ? 'unknown' : `${remoteAddress}:${remotePort}`
  }

  get commonName(): string | undefined {
    return this.port.commonName
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.isCanceled) this.#abort.abort()
    return this.#abort.signal
  }

  get answer(): AnswerMetadata {
    return this
  }

  addHeader(name: string, value: string): void {
    this.#headers ??= []
    this.#headers.push(field(name, value))
  }

  addTrailer(name: string, value: string): void {
    this.#trailers ??= []
    this.#trailers.push(field(name, value))
  }

  onDeadline(): void {
    this.cancel()
    this.fail({ code: 'DeadlineExceeded', message: 'context deadline exceeded' })
  }

  onClosed(isComplete: boolean): void {
    this.call.deadlines.remove(this)
    this.load.close()
    if (!isComplete) this.cancel()
  }

  /** The handler learns that nobody waits for it any more. */
  protected cancel(): void {
    if (this.isCanceled) return
    this.isCanceled = true
    this.#abort?.abort()
  }

  /** The answer has its status: what is still handed over is not sent. */
  protected get hasEnded(): boolean {
    return this.#hasEnded || this.isClosed
  }

  /** False: the call is cut, since its client has sent more than is held for it. */
  protected take(bytes: Buffer, start: number, end: number): boolean {
    if (this.load.received(end - start)) {
      this.messages.add(bytes, start, end)
      return true
    }
    this.reset(ErrorCode.enhanceYourCalm)
    return false
  }

  /** Of the next message; undefined when nothing is wrong with it as far as it has come. */
  protected get problem(): RpcStatus | undefined {
    const { nextLength, isNextCompressed } = this.messages
    if (nextLength === undefined) return undefined
    if (nextLength > this.call.maxReceiveBytes) return tooLarge(nextLength, this.call.maxReceiveBytes)
    if (!isNextCompressed || this.call.isGzip) return undefined
    return { code: 'Internal', message: 'grpc: compressed flag set with identity or empty encoding' }
  }

  /** Takes the next message, which is whole and without a problem, out of its compression. */
  protected takeMessage(done: (message: Buffer) => void): void {
    const { isNextCompressed } = this.messages
    const message = this.messages.take()
    this.load.delivered(message.length + PREFIX_BYTES)
    if (!isNextCompressed) return done(message)
    const { maxReceiveBytes } = this.call
    gunzip(message, { maxOutputLength: maxReceiveBytes }, (error, whole) => {
      if (this.hasEnded) return
      if (error === null) return done(whole)
      const isTooLarge = 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
      this.fail(
        isTooLarge
          ? {
              code: 'ResourceExhausted',
              message: `grpc: message after decompression larger than max ${maxReceiveBytes}`,
            }
          : { code: 'Internal', message: 'grpc: failed to decompress the received message' },
      )
    })
  }

  protected started(): void {
    this.#startedMs = performance.now()
    this.call.calls.started()
  }

  protected handled(code: RpcCode): void {
    this.call.calls.handled(this.isCanceled ? 'Canceled' : code, (performance.now() - this.#startedMs) / 1000)
  }

  /** One message. */
  protected send(message: Uint8Array): void {
    this.#respond()
    this.call.observer.sentBytes(message.length)
    this.load.queued(message.length)
    const prefix = Buffer.allocUnsafe(PREFIX_BYTES)
    prefix[0] = 0
    prefix.writeUInt32BE(message.length, 1)
    this.write(prefix)
    this.write(message)
  }

  /** Several, which may share parts with those of other calls. */
  protected sendEach(responses: readonly ResponseParts[]): void {
    this.#respond()
    for (const response of responses) {
      const sizeBytes = sizeOf(response)
      this.call.observer.sentBytes(sizeBytes)
      this.load.queued(sizeBytes)
    }
    for (const piece of framed(responses)) this.write(piece)
  }

  protected succeed(): void {
    if (this.hasEnded) return
    this.#respond()
    this.#end(TRAILERS_OK)
  }

  protected fail(status: RpcStatus): void {
    if (this.hasEnded) return
    if (this.#isResponded || this.#headers !== undefined) {
      this.#respond()
      return this.#end(trailersOf(status))
    }
    this.#isResponded = true
    this.respond([...refusal(status), ...(this.#trailers ?? [])])
    this.#trailers = undefined
    this.#end([])
  }

  #respond(): void {
    if (this.#isResponded) return
    this.#isResponded = true
    this.respond(this.#headers === undefined ? HEAD : [...HEAD, ...this.#headers])
  }

  #end(trailers: readonly Field[]): void {
    this.#hasEnded = true
    this.finish(this.#trailers === undefined ? trailers : [...trailers, ...this.#trailers])
  }
}

/** In the words of grpc-go, which clients of etcd know. */
function tooLarge(length: number, max: number): RpcStatus {
  return { code: 'ResourceExhausted', message: `grpc: received message larger than max (${length} vs. ${max})` }
}
