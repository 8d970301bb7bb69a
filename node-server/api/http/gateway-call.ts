/** What a call through the gateway has instead of gRPC's metadata, deadline and stream of messages. */
import { once } from 'node:events'
import type { HttpRequest, HttpResponse } from '../../../lib/http-exchange.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { CallContext, RpcStatus } from '../../grpc/service.ts'
import { JsonValues } from './json-values.ts'

/** One request and its answer. */
export interface Exchange {
  readonly request: HttpRequest
  readonly response: HttpResponse
}

/** Why a call ends before its handler has an answer. */
export interface Call extends CallContext {
  /** Aborts once nobody would read an answer. */
  readonly gone: AbortSignal
  /** Ends the call with `status`, whatever its handler says. The first one counts. */
  end(status: RpcStatus): void
  /** Set by {@link Call.end}, by the deadline and when the member stops. */
  ended(): RpcStatus | undefined
}

const DEADLINE_EXCEEDED: RpcStatus = { code: 'DeadlineExceeded', message: 'context deadline exceeded' }
const STOPPED: RpcStatus = { code: 'Unavailable', message: 'etcdserver: server stopped' }

/** The longest timer there is. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1
const TIMEOUT_UNITS_MS: Readonly<Record<string, number>> = { H: 3.6e6, M: 6e4, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

export function openCall({ request, response }: Exchange, stopping: AbortSignal): Result<Call, RpcStatus> {
  const timeoutMs = deadlineOf(request)
  if (!timeoutMs.ok) return timeoutMs
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const deadline = timeoutMs.value === undefined ? undefined : AbortSignal.timeout(timeoutMs.value)
  const ending = new AbortController()
  let status: RpcStatus | undefined
  return ok({
    metadata: (name) => metadata(request, name),
    signal: AbortSignal.any([gone.signal, stopping, ending.signal, ...(deadline === undefined ? [] : [deadline])]),
    peer: `${request.socket.remoteAddress ?? ''}:${request.socket.remotePort ?? 0}`,
    gone: gone.signal,
    end: (reason) => {
      status ??= reason
      ending.abort()
    },
    ended: () => status ?? (deadline?.aborted === true ? DEADLINE_EXCEEDED : stopping.aborted ? STOPPED : undefined),
  })
}

/** Resolves when the signal aborts; never for one that does not. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}

function deadlineOf(request: HttpRequest): Result<number | undefined, RpcStatus> {
  const given = header(request, 'grpc-timeout')
  if (given === undefined || given === '') return ok(undefined)
  const [, digits, unit] = /^(\d{1,15})([HMSmun])$/.exec(given) ?? []
  const unitMs = TIMEOUT_UNITS_MS[unit ?? '']
  if (digits === undefined || unitMs === undefined) {
    return err({ code: 'InvalidArgument', message: `invalid grpc-timeout: ${given}` })
  }
  return ok(Math.min(Math.ceil(Number(digits) * unitMs), MAX_TIMEOUT_MS))
}

/** As etcd's gateway passes headers on: Authorization under its name, the rest of the metadata with a prefix. */
function metadata(request: HttpRequest, name: string): string | undefined {
  if (name === 'authorization') return header(request, name)
  if (name.startsWith('grpcgateway-')) return header(request, name.slice('grpcgateway-'.length))
  return header(request, `grpc-metadata-${name}`)
}

function header(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** The JSON values of a body as they arrive; ends early when the client is gone. An error is the last that comes. */
export async function* jsonBodies(
  request: HttpRequest,
  maxBytes: number,
): AsyncGenerator<Result<Uint8Array, RpcStatus>> {
  const values = new JsonValues(maxBytes)
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const complete = values.push(chunk as Buffer)
      if (!complete.ok) {
        yield err(tooLarge(complete.error, maxBytes))
        return
      }
      for (const value of complete.value) yield ok(value)
    }
  } catch (error) {
    if (request.complete) throw error
    return
  }
  const rest = values.end()
  if (rest.length > 0) yield ok(rest)
}

/** grpc-go's words for it. */
export function tooLarge(sizeBytes: number, maxBytes: number): RpcStatus {
  return {
    code: 'ResourceExhausted',
    message: `grpc: received message larger than max (${sizeBytes} vs. ${maxBytes})`,
  }
}
