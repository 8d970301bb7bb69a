/**
 * The sockets that clients connect to. One address serves every protocol: what a connection says first tells which it
 * speaks.
 *
 *   connection ──► TLS? ──► handshake, checks ──► ALPN ──► HTTP/2 │ HTTP/1.1
 *              └─► preface of HTTP/2 ──────────────────► HTTP/2
 *              └─► anything that looks like a method ──► HTTP/1.1
 *
 * Neighbours: `http1` and `http2` take the connections over.
 */
import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { addressKey, formatAddress, parseListenUrl, type Address, type ListenUrl } from './address.ts'
import { onFirstBytes } from './first-bytes.ts'
import type { ListenLimits } from './limits.ts'

export interface ListenLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** Takes a connection over, with all that was read of it put back. */
export type TakeConnection = (socket: Socket) => void

export interface ListenerOptions {
  readonly urls: readonly string[]
  readonly limits: ListenLimits
  readonly log: ListenLog
  readonly onHttp1: TakeConnection
  readonly onHttp2: TakeConnection
}

/** As etcd's: a dead line is noticed by the kernel. */
const TCP_KEEPALIVE_MS = 30_000

export class Listener {
  readonly #options: ListenerOptions
  readonly #servers: Server[] = []
  /** Connections whose protocol is not known yet. */
  readonly #undecided = new Set<Socket>()
  #addresses: readonly string[] = []

  private constructor(options: ListenerOptions) {
    this.#options = options
  }

  /** Rejects when an address cannot be bound; then nothing is left open. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    try {
      await listener.#bindAll()
    } catch (error) {
      await listener.close()
      throw error
    }
    return listener
  }

  /** `host:port` as bound, or the path of a unix socket, in the order of the URLs. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  /** No new connections; those that were taken over are not touched. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    for (const socket of this.#undecided) socket.destroy()
    // A server counts as closed when its last connection is: that is for those who have taken them over.
    void closed
    await Promise.resolve()
  }

  async #bindAll(): Promise<void> {
    const groups = new Map<string, ListenUrl[]>()
    const keys: string[] = []
    for (const url of this.#options.urls) {
      const parsed = parseListenUrl(url)
      if (!parsed.ok) throw new Error(`cannot listen on ${url}: ${parsed.error}`)
      const key = addressKey(parsed.value.address)
      keys.push(key)
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [parsed.value])
      else group.push(parsed.value)
    }
    const bound = new Map<string, string>()
    for (const [key, group] of groups) bound.set(key, await this.#bind(group))
    this.#addresses = keys.map((key) => bound.get(key) ?? '')
  }

  async #bind(group: readonly ListenUrl[]): Promise<string> {
    const [first] = group
    if (first === undefined) return ''
    const server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS },
      (socket) => this.#accept(socket),
    )
    server.maxConnections = this.#options.limits.maxConnections
    this.#servers.push(server)
    try {
      return await listen(server, first.address)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`cannot listen on ${first.url}: ${reason}`, { cause: error })
    }
  }

  #accept(socket: Socket): void {
    this.#undecided.add(socket)
    const timer = setTimeout(() => socket.destroy(), this.#options.limits.handshakeTimeoutMs)
    const decided = (): void => {
      clearTimeout(timer)
      this.#undecided.delete(socket)
    }
    socket.once('close', decided)
    socket.on('error', () => undefined) // 'close' follows
    onFirstBytes(socket, (protocol) => {
      decided()
      socket.off('close', decided)
      this.#route(socket, protocol)
    })
  }

  #route(socket: Socket, protocol: 'tls' | 'http1' | 'http2' | 'unknown'): void {
    switch (protocol) {
      case 'http1':
        return this.#options.onHttp1(socket)
      case 'http2':
        socket.allowHalfOpen = false
        return this.#options.onHttp2(socket)
      default:
        socket.destroy()
    }
  }
}

async function listen(server: Server, address: Address): Promise<string> {
  if (address.kind === 'unix') {
    await removeStaleSocket(address.path)
    server.listen(address.path)
    await once(server, 'listening')
    return address.path
  }
  // Of localhost's addresses the one that etcdctl dials; Go, too, prefers it.
  server.listen({ host: address.host === 'localhost' ? '127.0.0.1' : address.host, port: address.port })
  await once(server, 'listening')
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
  return formatAddress(address.host, port)
}

/** What a killed process left; anything but a socket is not ours to remove. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => undefined)
  if (stat?.isSocket() === true) await unlink(path)
}
