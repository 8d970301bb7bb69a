/**
 * A proxy in front of an API server that breaks what passes through it, as networks, load balancers and servers do. Each
 * fault is legal HTTP or a broken connection: nothing that the client would be right to refuse.
 */
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { unreachable } from '../../lib/assert.ts'

export type Fault =
  /** The connection breaks before the server has the request. */
  | { readonly kind: 'reset' }
  /** The server has acted, and its answer is lost. */
  | { readonly kind: 'reset-after-success' }
  /** The connection stays open, and nothing ever comes. */
  | { readonly kind: 'silence' }
  | { readonly kind: 'delay'; readonly delayMs: number }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: Record<string, string>
      readonly body: string
    }
  /** The body breaks off, by a reset or as if it were complete. */
  | { readonly kind: 'cut'; readonly afterBytes: number; readonly isClean: boolean }
  /** The body stops, and the connection stays open: half-open. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  | { readonly kind: 'slow'; readonly chunkBytes: number; readonly everyMs: number }
  /** Lines of a watch that match are left out. */
  | { readonly kind: 'without-lines'; readonly matching: RegExp }
  /** What the body begins with, before the server's own. */
  | { readonly kind: 'insert'; readonly text: string }

export interface Passing {
  readonly method: string
  readonly url: URL
  readonly isWatch: boolean
  readonly authorization: string
}

/** Undefined: it passes as it is. */
export type Rule = (passing: Passing) => Fault | undefined

export const answer = (status: number, reason: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'answer',
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, reason, message: reason }),
})

export class FaultyProxy {
  rule: Rule = () => undefined
  /** What the server behind sees instead of the client's credentials, where it is set. */
  replaceToken: string | undefined
  /** Requests that were broken, by kind of fault. */
  readonly struck = new Map<Fault['kind'], number>()
  /** What the server was asked, in order. */
  readonly forwarded: Passing[] = []
  readonly #upstream: URL
  readonly #server: Server
  /** Ends what stalls. */
  readonly #ending = new AbortController()

  constructor(upstream: string) {
    this.#upstream = new URL(upstream)
    this.#server = createServer((request, response) => void this.#serve(request, response).catch(() => drop(response)))
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  get address(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
    return `http://127.0.0.1:${address.port}`
  }

  /** Breaks every connection there is, watches included; new ones are made as ever. */
  breakAll(): void {
    this.#server.closeAllConnections()
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytesOf(request)
    const url = new URL(request.url ?? '/', this.#upstream)
    const passing = {
      method: request.method ?? 'GET',
      url,
      isWatch: url.searchParams.get('watch') === 'true',
      authorization: request.headers.authorization ?? '',
    }
    const fault = this.rule(passing)
    if (fault !== undefined) this.struck.set(fault.kind, (this.struck.get(fault.kind) ?? 0) + 1)
    if (fault?.kind === 'reset') return drop(response)
    if (fault?.kind === 'silence') return
    if (fault?.kind === 'answer') return void response.writeHead(fault.status, fault.headers ?? {}).end(fault.body)
    if (fault?.kind === 'delay') await delay(fault.delayMs)
    this.forwarded.push(passing)
    const answered = await this.#forward(request, url, body, response)
    if (fault?.kind === 'reset-after-success') {
      await bytesOf(answered)
      return drop(response)
    }
    const { 'content-length': _, ...headers } = answered.headers
    response.writeHead(answered.statusCode ?? 502, headers).flushHeaders()
    await this.#pass(answered, response, fault)
  }

  async #forward(request: IncomingMessage, url: URL, body: Buffer, response: ServerResponse): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { method } = request
      const headers = { ...request.headers, authorization: this.replaceToken ?? request.headers.authorization }
      const upstream = httpRequest(url, { ...(method !== undefined && { method }), headers }, resolve)
      upstream.on('error', reject)
      response.on('close', () => upstream.destroy())
      upstream.end(body)
    })
  }

  async #pass(answered: IncomingMessage, response: ServerResponse, fault: Fault | undefined): Promise<void> {
    if (fault?.kind === 'insert') response.write(fault.text)
    const lines = fault?.kind === 'without-lines' ? new LineFilter(fault.matching) : undefined
    let passedBytes = 0
    for await (const part of answered) {
      const bytes = Buffer.from(part as Uint8Array)
      const limit = fault?.kind === 'cut' || fault?.kind === 'stall' ? fault.afterBytes : Infinity
      const shown = bytes.subarray(0, Math.max(0, limit - passedBytes))
      passedBytes += bytes.length
      if (fault?.kind === 'slow') await this.#drip(shown, response, fault)
      else response.write(lines === undefined ? shown : lines.filter(shown))
      if (passedBytes >= limit) return this.#breakOff(response, fault)
    }
    response.end()
  }

  #breakOff(response: ServerResponse, fault: Fault | undefined): void {
    if (fault?.kind === 'stall') return
    if (fault?.kind !== 'cut') return unreachable(fault as never)
    if (fault.isClean) response.end()
    else drop(response)
  }

  async #drip(bytes: Buffer, response: ServerResponse, { chunkBytes, everyMs }: Extract<Fault, { kind: 'slow' }>) {
    for (let start = 0; start < bytes.length; start += chunkBytes) {
      response.write(bytes.subarray(start, start + chunkBytes))
      await delay(everyMs, undefined, { signal: this.#ending.signal })
    }
  }
}

class LineFilter {
  readonly #matching: RegExp
  #rest = ''

  constructor(matching: RegExp) {
    this.#matching = matching
  }

  filter(bytes: Buffer): string {
    const lines = (this.#rest + bytes.toString()).split('\n')
    this.#rest = lines.pop() ?? ''
    return lines.filter((line) => !this.#matching.test(line)).map((line) => `${line}\n`).join('') // prettier-ignore
  }
}

function drop(response: ServerResponse): void {
  response.socket?.resetAndDestroy()
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of message) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}
