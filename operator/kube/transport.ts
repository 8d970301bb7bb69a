/**
 * One HTTP exchange with the API server: time limit, Retry-After, a new try where that is safe, bounded answers, and
 * every failure as a {@link ApiError}. Knows no kinds.
 */
import type { Dispatcher } from 'undici'
import { request } from 'undici'
import type { Clock } from '../../lib/clock.ts'
import { sleep } from '../../lib/clock.ts'
import { withTimeLimit } from '../../lib/time-limit.ts'
import type { Connection } from './connection.ts'
import { errorOfStatus, ApiError } from './api-error.ts'

/** A page of 500 objects of the largest size the API server stores would be more; real pages are far below. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_ATTEMPTS = 5

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  readonly contentType?: string
  /** Default: application/json. */
  readonly accept?: string
  readonly signal?: AbortSignal | undefined
  /** For the whole call, waits and new tries included. */
  readonly timeoutMs: number
}

/** `code` is the HTTP status, or `<error>` where there was none. */
export type RequestObserver = (code: string, method: string, host: string) => void

export interface TransportOptions {
  readonly connection: Connection
  readonly clock: Clock
  readonly onRequest?: RequestObserver
}

export class Transport {
  readonly #options: TransportOptions

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /** The parsed JSON of a 2xx answer. */
  async exchange(call: Call): Promise<unknown> {
    const { clock } = this.#options
    const deadlineMs = clock.monotonicMs() + call.timeoutMs
    return withTimeLimit(clock, call.timeoutMs, call.signal, async (signal) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#attempt(call, signal)
        } catch (error) {
          const failure = toApiError(error, call)
          const waitMs = this.#waitBeforeRetryMs(failure, call, attempt)
          if (waitMs === undefined || clock.monotonicMs() + waitMs >= deadlineMs) throw failure
          await sleep(clock, waitMs, signal)
          if (signal.aborted) throw failure
        }
      }
    })
  }

  /** The body of a watch, to be read as it comes; `idleMs` without a byte ends it with an error. */
  async open(call: Call, idleMs: number): Promise<AsyncIterable<Uint8Array>> {
    try {
      const answer = await this.#send(call, call.signal, idleMs)
      if (answer.statusCode < 300) return answer.body
      throw await this.#errorOf(answer, call)
    } catch (error) {
      throw toApiError(error, call)
    }
  }

  async #attempt(call: Call, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#send(call, signal, call.timeoutMs)
    if (answer.statusCode >= 300) throw await this.#errorOf(answer, call)
    return parse(await readBounded(answer.body), call)
  }

  async #send(call: Call, signal: AbortSignal | undefined, idleMs: number): Promise<Dispatcher.ResponseData> {
    const { baseUrl, headers, dispatcher } = await this.#options.connection.endpoint()
    const url = new URL(baseUrl + call.path)
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, value)
    }
    try {
      const answer = await request(url, {
        method: call.method,
        dispatcher,
        headers: {
          ...headers,
          accept: call.accept ?? 'application/json',
          'content-type': call.contentType ?? 'application/json',
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        ...(signal === undefined ? {} : { signal }),
        headersTimeout: call.timeoutMs,
        bodyTimeout: idleMs,
      })
      this.#options.onRequest?.(String(answer.statusCode), call.method, url.host)
      return answer
    } catch (error) {
      this.#options.onRequest?.('<error>', call.method, url.host)
      throw error
    }
  }

  async #errorOf(answer: Dispatcher.ResponseData, call: Call): Promise<ApiError> {
    const text = (await readBounded(answer.body)).toString('utf8')
    if (answer.statusCode === 401) this.#options.connection.invalidate()
    const seconds = Number(answer.headers['retry-after'])
    const retryAfterMs = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined
    return errorOfStatus(answer.statusCode, parseLeniently(text), describe(call), retryAfterMs)
  }

  /** Undefined when a new try would be of no use, or not safe. */
  #waitBeforeRetryMs(error: ApiError, call: Call, attempt: number): number | undefined {
    if (attempt >= MAX_ATTEMPTS) return undefined
    // The server says that it did not act on the request.
    if (error.status === 429 || (error.status === 503 && error.retryAfterMs !== undefined)) {
      return error.retryAfterMs ?? 1000
    }
    if (error.status === 401 && attempt === 1) return 0
    // A kept-alive connection may be closed in the moment it is used again; reading twice does no harm.
    if (error.problem === 'Unreachable' && call.method === 'GET' && attempt === 1) return 0
    return undefined
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of body) {
    sizeBytes += chunk.length
    if (sizeBytes > MAX_ANSWER_BYTES) throw new ApiError('BadAnswer', `the answer exceeds ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parse(bytes: Buffer, call: Call): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new ApiError('BadAnswer', `${describe(call)}: the answer is not JSON`, { cause })
  }
}

/** Errors of proxies in between are often plain text. */
function parseLeniently(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text === '' ? {} : { message: text.slice(0, 500) }
  }
}

export function describe(call: Pick<Call, 'method' | 'path'>): string {
  return `${call.method} ${call.path}`
}

export function toApiError(error: unknown, call: Pick<Call, 'method' | 'path' | 'signal'>): ApiError {
  if (error instanceof ApiError) return error
  const what = describe(call)
  if (call.signal?.aborted === true) return new ApiError('Aborted', `${what}: aborted`, { cause: error })
  const name = error instanceof Error ? error.name : ''
  const message = error instanceof Error ? error.message : String(error)
  const isTimeout = name === 'TimeoutError' || /^(Headers|Body|Connect)Timeout/.test(name)
  return new ApiError(isTimeout ? 'Timeout' : 'Unreachable', `${what}: ${message}`, { cause: error })
}
