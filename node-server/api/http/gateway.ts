/**
 * etcd's JSON gateway: the methods of the gRPC API for clients that have only HTTP. JSON becomes the bytes that a handler
 * takes, its bytes become JSON again; a stream answers one line for each message, `{"result":…}` or at last `{"error":…}`.
 *
 * Calls are counted with those that came by gRPC. What never reaches a handler (unreadable JSON) is not counted, as in etcd.
 */
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import type { DescMessage } from '@bufbuild/protobuf'
import type { HttpResponse } from '../../../lib/http-exchange.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import {
  type CallObserver,
  type Method,
  type RpcObserver,
  type RpcStatus,
  type RpcStream,
  type ServiceTable,
  type StreamHandler,
  type UnaryHandler,
} from '../../grpc/service.ts'
import { REGISTRY } from '../../proto/descriptors.ts'
import { sendJson } from './answer.ts'
import { aborted, jsonBodies, openCall, tooLarge, type Call, type Exchange } from './gateway-call.ts'
import { GATEWAY_ROUTES } from './gateway-routes.ts'
import { messageFromJson, messageToJson } from './message-json.ts'
import { STATUS_CODE } from '../../grpc/status-code.ts'
import { HTTP_STATUS } from './status.ts'

export interface GatewayOptions {
  /** A longer message is refused, as it is by gRPC. */
  readonly maxReceiveBytes: number
  readonly observer: RpcObserver
  /** Aborts when the member stops: streams that would go on forever end then. */
  readonly stopping: AbortSignal
}

/** Answers one request for a path under /v3/. Never rejects. */
export type Gateway = (path: string, exchange: Exchange) => Promise<void>

interface Route {
  readonly path: string
  readonly input: DescMessage
  readonly output: DescMessage
  /** Whether the client may send more than one message. */
  readonly isBidi: boolean
  /** Undefined where this member does not have the method. */
  readonly method: Method | undefined
  readonly calls: CallObserver | undefined
}

const NOT_FOUND: RpcStatus = { code: 'NotFound', message: 'Not Found' }
const NOT_ALLOWED: RpcStatus = { code: 'Unimplemented', message: 'Method Not Allowed' }
const FAILED: RpcStatus = { code: 'Internal', message: 'internal error: the log of the member has it' }

export function gateway(services: ServiceTable, options: GatewayOptions): Gateway {
  const routes = new Map<string, Route>()
  for (const [path, method] of Object.entries(GATEWAY_ROUTES)) {
    routes.set(path, route(method, services[method], options.observer))
  }
  return async (path, exchange) => {
    const found = routes.get(path)
    if (found === undefined) return sendStatus(exchange.response, NOT_FOUND)
    if (exchange.request.method !== 'POST') return sendStatus(exchange.response, NOT_ALLOWED)
    try {
      await serve(found, exchange, options)
    } catch (error) {
      options.observer.failed(found.path, error)
      if (exchange.response.headersSent) exchange.response.destroy()
      else sendStatus(exchange.response, FAILED)
    }
    // What a client sends beyond its request is not kept, but it is read, so that the connection can be used again.
    exchange.request.resume()
  }
}

function route(path: string, method: Method | undefined, observer: RpcObserver): Route {
  const [service = '', name = ''] = path.slice(1).split('/')
  const descriptor = REGISTRY.getService(service)?.methods.find((candidate) => candidate.name === name)
  if (descriptor === undefined) throw new Error(`no descriptor of ${path}`)
  return {
    path,
    input: descriptor.input,
    output: descriptor.output,
    isBidi: descriptor.methodKind === 'bidi_streaming',
    method,
    calls: method && observer.method(path, method.kind),
  }
}

async function serve(route: Route, exchange: Exchange, options: GatewayOptions): Promise<void> {
  const { method, calls, path } = route
  if (method === undefined || calls === undefined) return sendStatus(exchange.response, unknownMethod(path))
  const opened = openCall(exchange, options.stopping)
  if (!opened.ok) return sendStatus(exchange.response, opened.error)
  const call = opened.value
  let status: RpcStatus | undefined
  const startedMs = performance.now()
  const run = async (handling: () => Promise<RpcStatus | undefined>): Promise<void> => {
    calls.started()
    try {
      status = FAILED
      status = await handling()
    } finally {
      calls.handled(call.gone.aborted ? 'Canceled' : (status?.code ?? 'OK'), (performance.now() - startedMs) / 1000)
    }
  }
  const messages = requestMessages(route, exchange, options)
  if (method.kind === 'stream' && route.isBidi) {
    return run(() => serveStream(route, method.handle, exchange, call, toEnd(messages, call), options))
  }
  const first = await messages.next()
  const request: Result<Uint8Array, RpcStatus> = first.done === true ? ok(new Uint8Array()) : first.value
  if (!request.ok) return sendStatus(exchange.response, request.error)
  if (method.kind === 'unary')
    return run(() => serveUnary(route, method.handle, exchange, call, request.value, options))
  return run(() => serveStream(route, method.handle, exchange, call, single(request.value), options))
}

async function serveUnary(
  route: Route,
  handle: UnaryHandler,
  { response }: Exchange,
  call: Call,
  request: Uint8Array,
  { observer }: GatewayOptions,
): Promise<RpcStatus | undefined> {
  const cut = aborted(call.signal).then(() => err(call.ended() ?? FAILED))
  const answer = await Promise.race([handle(request, call), cut])
  if (call.gone.aborted) return undefined
  if (!answer.ok) {
    sendStatus(response, answer.error)
    return answer.error
  }
  observer.sentBytes(answer.value.length)
  sendJson(response, 200, JSON.stringify(messageToJson(route.output, answer.value)))
  return undefined
}

async function serveStream(
  route: Route,
  handle: StreamHandler,
  { response }: Exchange,
  call: Call,
  requests: AsyncIterable<Uint8Array>,
  { observer }: GatewayOptions,
): Promise<RpcStatus | undefined> {
  const write: RpcStream['write'] = (responses) => {
    let hasRoom = !call.signal.aborted
    for (const parts of hasRoom ? responses : []) {
      const message = Buffer.concat(parts)
      observer.sentBytes(message.length)
      hasRoom = writeLine(response, { result: messageToJson(route.output, message) })
    }
    return hasRoom
  }
  const stream: RpcStream = { requests, write, drained: () => drained(response, call.signal) }
  const handled = await handle(stream, call)
  const status = call.ended() ?? handled
  if (call.gone.aborted) return status
  if (status !== undefined) {
    if (!response.headersSent) response.statusCode = HTTP_STATUS[status.code]
    if (!writeLine(response, { error: statusJson(status) })) await drained(response, call.gone)
  }
  response.end()
  return status
}

/** False: no more should be written for now. */
function writeLine(response: HttpResponse, value: object): boolean {
  if (!response.headersSent) response.setHeader('Content-Type', 'application/json')
  return response.write(`${JSON.stringify(value)}\n`)
}

/** Resolves true once more may be written. */
async function drained(response: HttpResponse, signal: AbortSignal): Promise<boolean> {
  try {
    if (!signal.aborted) await once(response, 'drain', { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return !signal.aborted
}

/** The messages of the body, as bytes; an error is the last that comes. */
async function* requestMessages(
  { input }: Route,
  { request }: Exchange,
  { maxReceiveBytes, observer }: GatewayOptions,
): AsyncGenerator<Result<Uint8Array, RpcStatus>> {
  for await (const json of jsonBodies(request, maxJsonBytes(maxReceiveBytes))) {
    const message = json.ok ? readMessage(input, json.value, maxReceiveBytes) : json
    if (message.ok) observer.receivedBytes(message.value.length)
    yield message
    if (!message.ok) return
  }
}

function readMessage(input: DescMessage, json: Uint8Array, maxBytes: number): Result<Uint8Array, RpcStatus> {
  const message = messageFromJson(input, json)
  if (!message.ok) return err({ code: 'InvalidArgument', message: message.error })
  const sizeBytes = message.value.length
  return sizeBytes > maxBytes ? err(tooLarge(sizeBytes, maxBytes)) : message
}

/** Base64 takes 4 bytes for 3; names, quotes and blanks take the rest. */
function maxJsonBytes(maxReceiveBytes: number): number {
  return 2 * maxReceiveBytes + 64 * 1024
}

/** What cannot be read ends the whole call: etcd goes on without telling, and the client waits in vain. */
async function* toEnd(messages: AsyncIterable<Result<Uint8Array, RpcStatus>>, call: Call): AsyncGenerator<Uint8Array> {
  for await (const message of messages) {
    if (!message.ok) {
      call.end(undecodable(message.error))
      return
    }
    yield message.value
  }
}

function undecodable({ code, message }: RpcStatus): RpcStatus {
  return { code, message: code === 'InvalidArgument' ? `Failed to decode request: ${message}` : message }
}

async function* single(message: Uint8Array): AsyncGenerator<Uint8Array> {
  yield message
}

function sendStatus(response: HttpResponse, status: RpcStatus): void {
  if (status.code === 'Unauthenticated') response.setHeader('WWW-Authenticate', status.message)
  sendJson(response, HTTP_STATUS[status.code], JSON.stringify(statusJson(status)))
}

function statusJson({ code, message }: RpcStatus): { readonly code: number; readonly message: string } {
  return { code: STATUS_CODE[code], message }
}

function unknownMethod(path: string): RpcStatus {
  const [service = '', name = ''] = path.slice(1).split('/')
  return { code: 'Unimplemented', message: `unknown method ${name} for service ${service}` }
}
