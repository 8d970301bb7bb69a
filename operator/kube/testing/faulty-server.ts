/** An HTTP server that answers from a script, so that a test can make every fault of a real one happen on demand. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import type { Connection, Endpoint } from '../connection.ts'

export interface Received {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly contentType: string
  readonly authorization: string
  readonly body: string
}

export type Answer = (response: ServerResponse, received: Received) => void

/** Answers with JSON. */
export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))

export const status = (code: number, reason: string, headers?: Record<string, string>): Answer =>
  json(code, { kind: 'Status', code, reason, message: `${reason} happened` }, headers)

/** Cuts the connection, as a crash or a proxy does. */
export const reset: Answer = (response) => response.socket?.resetAndDestroy()

export class FaultyServer {
  readonly received: Received[] = []
  readonly open = new Set<ServerResponse>()
  connections = 0
  answer: Answer = status(404, 'NotFound')
  readonly #server = createServer((request, response) => void this.#serve(request, response))

  async start(): Promise<Connection> {
    this.#server.on('connection', () => this.connections++)
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const { port } = this.#server.address() as AddressInfo
    return new PlainConnection(`http://127.0.0.1:${port}`)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(Buffer.from(chunk as Uint8Array))
    const url = new URL(request.url ?? '/', 'http://server')
    const received = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      contentType: request.headers['content-type'] ?? '',
      authorization: request.headers.authorization ?? '',
      body: Buffer.concat(chunks).toString(),
    }
    this.received.push(received)
    this.open.add(response)
    response.on('close', () => this.open.delete(response))
    this.answer(response, received)
  }
}

class PlainConnection implements Connection {
  readonly #agent = new Agent({ allowH2: false })
  readonly #baseUrl: string
  token = 'first'
  invalidations = 0

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl
  }

  async endpoint(): Promise<Endpoint> {
    const headers = { authorization: `Bearer ${this.token}` }
    return { baseUrl: this.#baseUrl, headers, dispatcher: this.#agent }
  }

  invalidate(): void {
    this.invalidations++
    this.token = 'second'
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}
