/** A request that is no gRPC call, and its answer, in the form that HTTP's handlers know. */
import { Readable, Writable } from 'node:stream'
import type { HttpHandler, HttpHeaders, HttpRequest, HttpResponse } from '../../lib/http-exchange.ts'
import type { StreamLoad } from '../listen/load.ts'
import { ErrorCode } from './frame.ts'
import { field, type Field } from './hpack-encoder.ts'
import { MAX_WAITING_BYTES } from './limits.ts'
import type { RequestHead } from './request-head.ts'
import { Stream, type StreamPort } from './stream.ts'

export class Exchange extends Stream {
  readonly #load: StreamLoad
  readonly #handle: HttpHandler
  readonly #request: Request
  readonly #response: Response
  #unreadBytes = 0
  #onRoom: (() => void) | undefined

  constructor(port: StreamPort, id: number, head: RequestHead, load: StreamLoad, handle: HttpHandler) {
    super(port, id)
    this.#load = load
    this.#handle = handle
    this.bytesToCome = head.contentLength
    this.#request = new Request(head, port, () => this.#allowMore())
    this.#response = new Response({
      respond: (fields, hasBody) => {
        this.respond(fields)
        if (!hasBody || head.method === 'HEAD') this.finish([])
      },
      write: (bytes, done) => (head.method === 'HEAD' ? done() : this.#write(bytes, done)),
      finish: () => this.finish([]),
      cut: () => this.reset(ErrorCode.internalError),
    })
  }

  override onOpened(): void {
    this.#handle(this.#request, this.#response)
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (!this.#load.received(end - start)) return this.reset(ErrorCode.enhanceYourCalm)
    this.#unreadBytes += end - start
    // A copy: its reader may be slow, and must not keep all that was read with it.
    if (this.#request.destroyed || this.#request.push(Buffer.from(bytes.subarray(start, end)))) this.#allowMore()
  }

  onEnd(): void {
    this.#request.complete = true
    if (!this.#request.destroyed) this.#request.push(null)
  }

  onSent(bytes: number): void {
    this.#load.sent(bytes)
    if (this.queuedBytes >= MAX_WAITING_BYTES) return
    const onRoom = this.#onRoom
    this.#onRoom = undefined
    onRoom?.()
  }

  onClosed(isComplete: boolean): void {
    this.#load.close()
    if (isComplete) return
    this.#request.destroy()
    this.#response.destroy()
  }

  #allowMore(): void {
    this.#load.delivered(this.#unreadBytes)
    this.consumed(this.#unreadBytes)
    this.#unreadBytes = 0
  }

  #write(bytes: Buffer, done: () => void): void {
    this.#load.queued(bytes.length)
    this.write(bytes)
    if (this.queuedBytes < MAX_WAITING_BYTES) done()
    else this.#onRoom = done
  }
}

class Request extends Readable implements HttpRequest {
  readonly httpVersion = '2.0'
  readonly method: string
  readonly url: string
  readonly headers: HttpHeaders
  readonly socket: HttpRequest['socket'] & { readonly encrypted: boolean }
  complete = false
  readonly #onRead: () => void

  constructor(head: RequestHead, { remote, isSecure }: StreamPort, onRead: () => void) {
    super()
    this.method = head.method
    this.url = head.path
    this.headers = headersOf(head)
    this.socket = { ...remote, encrypted: isSecure }
    this.#onRead = onRead
  }

  override _read(): void {
    this.#onRead()
  }
}

/** What an answer asks of its stream. */
interface ResponsePort {
  respond(fields: readonly Field[], hasBody: boolean): void
  write(bytes: Buffer, done: () => void): void
  finish(): void
  /** It has not been finished. */
  cut(): void
}

class Response extends Writable implements HttpResponse {
  statusCode = 200
  headersSent = false
  readonly #port: ResponsePort
  readonly #headers = new Map<string, string | number | readonly string[]>()

  constructor(port: ResponsePort) {
    super({ decodeStrings: true })
    this.#port = port
  }

  setHeader(name: string, value: string | number | readonly string[]): this {
    this.#headers.set(name.toLowerCase(), value)
    return this
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#respond(true)
    this.#port.write(chunk, done)
  }

  override _final(done: () => void): void {
    if (this.headersSent) this.#port.finish()
    else this.#respond(false)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.writableFinished) this.#port.cut()
    done(error)
  }

  #respond(hasBody: boolean): void {
    if (this.headersSent) return
    this.headersSent = true
    if (!this.#headers.has('date')) this.setHeader('date', new Date().toUTCString())
    const fields = [field(':status', String(this.statusCode))]
    for (const [name, value] of this.#headers) {
      if (OF_A_CONNECTION.has(name)) continue
      for (const one of typeof value === 'object' ? value : [String(value)]) fields.push(field(name, one))
    }
    this.#port.respond(fields, hasBody)
  }
}

/** Handlers set these for HTTP/1.1; there are none in HTTP/2 (RFC 9113 §8.2.2). */
const OF_A_CONNECTION: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade'])

function headersOf({ fields, authority }: RequestHead): HttpHeaders {
  const headers: Record<string, string> = {}
  if (authority !== '') headers['host'] = authority
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? ''
    const value = fields[at + 1] ?? ''
    const before = name === 'host' ? undefined : headers[name]
    headers[name] = before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ', '}${value}`
  }
  return headers
}
