/** etcd's JSON gateway, as much of it as the tour needs: any HTTP client can do the same. */
import { Agent, fetch } from 'undici'
import { z } from 'zod'

const TIMEOUT_MS = 3000
const PAGE = 5000
/** A page more than any tour writes. */
const MAX_PAGES = 1000

const Range = z.object({
  kvs: z.array(z.object({ key: z.string(), value: z.string().default('') })).default([]),
  more: z.boolean().default(false),
})

export interface ClientCredentials {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** `address` is always a member's. What it does not answer in time, or with anything but success, rejects. */
export class EtcdJson {
  readonly #scheme: 'http' | 'https'
  readonly #agent: Agent

  /** Undefined for members without TLS. */
  constructor(credentials: ClientCredentials | undefined) {
    this.#scheme = credentials === undefined ? 'http' : 'https'
    const { ca, cert, key } = credentials ?? {}
    this.#agent = new Agent(credentials === undefined ? {} : { connect: { ca, cert, key } })
  }

  /** Acknowledged once it resolves; when it rejects, nobody knows. */
  async put(address: string, key: string, value: string): Promise<void> {
    await this.#call(address, '/v3/kv/put', { key: encode(key), value: encode(value) })
  }

  /** Linearizable: what every acknowledged write before it has left. */
  async readPrefix(address: string, prefix: string): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>()
    const end = endOf(prefix)
    let from = prefix
    for (let page = 0; page < MAX_PAGES; page++) {
      const request = { key: encode(from), range_end: encode(end), limit: String(PAGE) }
      const { kvs, more } = Range.parse(await this.#call(address, '/v3/kv/range', request))
      for (const { key, value } of kvs) found.set(decode(key), decode(value))
      const last = kvs.at(-1)
      if (!more || last === undefined) return found
      from = `${decode(last.key)}\0`
    }
    throw new Error(`more than ${MAX_PAGES} pages of ${prefix}`)
  }

  async deletePrefix(address: string, prefix: string): Promise<void> {
    await this.#call(address, '/v3/kv/deleterange', { key: encode(prefix), range_end: encode(endOf(prefix)) })
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }

  async #call(address: string, path: string, body: unknown): Promise<unknown> {
    const response = await fetch(`${this.#scheme}://${address}:2379${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      dispatcher: this.#agent,
    })
    const answer: unknown = await response.json()
    if (!response.ok) throw new Error(`${path} answers ${response.status}: ${JSON.stringify(answer)}`)
    return answer
  }
}

/** The first key after all that begin with an ASCII prefix. */
function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCodePoint(prefix.charCodeAt(prefix.length - 1) + 1)
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64')
}

function decode(text: string): string {
  return Buffer.from(text, 'base64').toString()
}
