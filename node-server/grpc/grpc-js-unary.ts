/** A unary call, from its first header to its status. */
import { performance } from 'node:perf_hooks'
import { ServerInterceptingCall, type Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js'
import type { Result } from '../../lib/result.ts'
import type { StreamLoad } from '../listen/load.ts'
import { PREFIX_BYTES } from './frames.ts'
import { STATUS_CODE } from './status-code.ts'
import type { CallContext, CallObserver, RpcCode, RpcObserver, RpcStatus, UnaryHandler } from './service.ts'

/** All that the calls of one method share. */
export interface UnaryRoute {
  readonly path: string
  readonly handle: UnaryHandler
  readonly calls: CallObserver
  readonly observer: RpcObserver
}

export const HANDLER_FAILED: RpcStatus = { code: 'Internal', message: 'internal error: the log of the member has it' }

const OK = { code: STATUS_CODE.OK, details: 'OK', metadata: null }

export const TOO_MUCH_UNREAD: RpcStatus = {
  code: 'ResourceExhausted',
  message: 'too many responses wait for the client to read them',
}

/**
 * Takes the place of the library's own path for unary calls. It is the call that the library talks to, the listener of
 * what the client sends, and the context of the handler, all in one object.
 */
export class UnaryCall extends ServerInterceptingCall implements CallContext {
  readonly #next: ServerInterceptingCallInterface
  readonly #route: UnaryRoute
  readonly #load: StreamLoad
  #headers: Metadata | undefined
  #request: Buffer | undefined
  #startedMs = 0
  #isCanceled = false
  #abort: AbortController | undefined

  constructor(next: ServerInterceptingCallInterface, route: UnaryRoute, load: StreamLoad) {
    super(next)
    this.#next = next
    this.#route = route
    this.#load = load
  }

  /** The library's listener would answer from its own handler: it is left out. */
  override start(): void {
    this.#next.start(this)
  }

  onReceiveMetadata(headers: Metadata): void {
    this.#headers = headers
    this.#next.startRead()
  }

  onReceiveMessage(request: Buffer): void {
    this.#load.delivered(request.length + PREFIX_BYTES)
    if (this.#request !== undefined) {
      return this.#next.sendStatus({ code: STATUS_CODE.Internal, details: 'more than one request in a unary call' })
    }
    this.#request = request
    this.#next.startRead()
  }

  onReceiveHalfClose(): void {
    const request = this.#request
    if (request === undefined) {
      return this.#next.sendStatus({ code: STATUS_CODE.Internal, details: 'a unary call without a request' })
    }
    const { handle, calls, observer } = this.#route
    this.#startedMs = performance.now()
    calls.started()
    observer.receivedBytes(request.length)
    try {
      const answer = handle(request, this)
      if (!(answer instanceof Promise)) return this.#answer(answer)
      answer.then(
        (settled) => this.#answer(settled),
        (error: unknown) => this.#fail(error),
      )
    } catch (error) {
      this.#fail(error)
    }
  }

  onCancel(): void {
    this.#isCanceled = true
    this.#abort?.abort()
  }

  metadata(name: string): string | undefined {
    return this.#headers?.get(name)[0]?.toString()
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#isCanceled) this.#abort.abort()
    return this.#abort.signal
  }

  get peer(): string {
    return this.#next.getPeer()
  }

  get commonName(): string | undefined {
    return commonNameOf(this.#next.getAuthContext())
  }

  #answer(answer: Result<Uint8Array, RpcStatus>): void {
    if (!answer.ok) return this.#refuse(answer.error)
    if (!this.#load.mayQueue) return this.#refuse(TOO_MUCH_UNREAD)
    const { length } = answer.value
    this.#handled('OK')
    this.#route.observer.sentBytes(length)
    this.#load.queued(length)
    // The status follows at once rather than after the flush, so that both leave in one write.
    this.#next.sendMessage(asBuffer(answer.value), () => this.#load.sent(length))
    this.#next.sendStatus(OK)
  }

  #fail(error: unknown): void {
    this.#route.observer.failed(this.#route.path, error)
    this.#refuse(HANDLER_FAILED)
  }

  #refuse(status: RpcStatus): void {
    this.#handled(status.code)
    this.#next.sendStatus({ code: STATUS_CODE[status.code], details: status.message, metadata: null })
  }

  #handled(code: RpcCode): void {
    this.#route.calls.handled(this.#isCanceled ? 'Canceled' : code, (performance.now() - this.#startedMs) / 1000)
  }
}

export function commonNameOf({ sslPeerCertificate }: AuthContext): string | undefined {
  const subject: { readonly CN?: string | string[] } | undefined = sslPeerCertificate?.subject // none: no subject
  const name = subject?.CN
  return Array.isArray(name) ? name.at(-1) : name
}

type AuthContext = ReturnType<ServerInterceptingCallInterface['getAuthContext']>

/** The same bytes, as the type that the library copies from. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
