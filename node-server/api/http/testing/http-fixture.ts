/** The HTTP side of the client port on a loopback socket, in front of a member without Raft or a table of made-up methods. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request, type IncomingMessage } from 'node:http'
import { afterEach } from 'node:test'
import { systemClock } from '../../../../lib/system-clock.ts'
import type { RpcCode, ServiceTable } from '../../../grpc/service.ts'
import { etcdServices } from '../../etcd/services.ts'
import { MemoryMember } from '../../etcd/testing/memory-member.ts'
import { httpHandler, type HttpOptions } from '../handler.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface Served {
  readonly port: number
  readonly member: MemoryMember
  /** `path CODE` of each call that reached a handler. */
  readonly calls: string[]
  /** What a handler or the log was told of failures. */
  readonly failures: string[]
  /** `health OK`, `readyz non_learner FAILED`. */
  readonly checks: string[]
  readonly get: (path: string, headers?: Record<string, string>) => Promise<Answer>
  readonly post: (
    path: string,
    body?: string | Uint8Array | object,
    headers?: Record<string, string>,
  ) => Promise<Answer>
  readonly ask: (
    method: string,
    path: string,
    body?: string | Uint8Array,
    headers?: Record<string, string>,
  ) => Promise<Answer>
}

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** Serves until the end of the test. */
export async function serve(options: Partial<HttpOptions> = {}, table?: ServiceTable): Promise<Served> {
  const member = new MemoryMember()
  const served = { member, calls: [] as string[], failures: [] as string[], checks: [] as string[] }
  const handler = httpHandler(member, table ?? etcdServices(member, { maxTxnOps: 128, clock: systemClock }), {
    corsOrigins: [],
    hostWhitelist: [],
    isGatewayEnabled: true,
    maxReceiveBytes: 64 * 1024,
    observer: {
      method: (path) => ({
        started: () => undefined,
        handled: (code: RpcCode) => served.calls.push(`${path} ${code}`),
      }),
      receivedBytes: () => undefined,
      sentBytes: () => undefined,
      failed: (path, error) => served.failures.push(`${path}: ${String(error)}`),
    },
    stopping: new AbortController().signal,
    health: {
      alarms: () => [],
      observer: {
        health: (isHealthy) => served.checks.push(`health ${isHealthy ? 'OK' : 'FAILED'}`),
        check: (type, name, isOk) => served.checks.push(`${type} ${name} ${isOk ? 'OK' : 'FAILED'}`),
      },
    },
    metrics: { contentType: 'text/plain; version=0.0.4', text: () => Promise.resolve('metric 1\n') },
    log: { error: (fields, message) => served.failures.push(`${message}: ${JSON.stringify(fields)}`) },
    ...options,
  })
  const server = createServer(handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const { port } = address
  const asked = (method: string, path: string, body?: string | Uint8Array, headers = {}): Promise<Answer> =>
    ask(port, method, path, body, headers)
  return {
    ...served,
    port,
    ask: asked,
    get: (path, headers) => asked('GET', path, undefined, headers),
    post: (path, body = '', headers) =>
      asked(
        'POST',
        path,
        typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
        headers,
      ),
  }
}

/** Not `fetch`: that would tidy paths up and follow redirects. */
async function ask(
  port: number,
  method: string,
  path: string,
  body: string | Uint8Array | undefined,
  headers: Record<string, string>,
): Promise<Answer> {
  const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false })
  asked.end(body)
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) text += chunk as string
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: text }
}

export const base64 = (text: string): string => Buffer.from(text).toString('base64')
