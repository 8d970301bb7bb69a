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
import type { TLSSocket } from 'node:tls'
import { openAcceptor, type TlsAcceptor } from '../tls/acceptor.ts'
import type { TlsOptions } from '../tls/options.ts'
import { addressKey, formatAddress, parseListenUrl, type Address, type ListenUrl } from './address.ts'
import { onFirstBytes, type Protocol } from './first-bytes.ts'
import type { ListenLimits } from './limits.ts'

export interface ListenLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** Takes a connection over, with all that was read of it put back. */
export type TakeConnection = (socket: Socket) => void

export interface ListenerOptions {
  /** An address with an http and an https URL takes both. */
  readonly urls: readonly string[]
  /** Needed for https and unixs. */
  readonly tls: TlsOptions | undefined
  readonly limits: ListenLimits
  readonly log: ListenLog
  readonly onHttp1: TakeConnection
  /** Undefined: HTTP/2 is not offered. */
  readonly onHttp2: TakeConnection | undefined
}

/** As etcd's: a dead line is noticed by the kernel. */
const TCP_KEEPALIVE_MS = 30_000

/**
 * Connections that the kernel keeps until they are accepted, as Go asks for; Node's 511 are not enough for clients that all
 * come back at once, and whoever finds no place tries again only a second later. The kernel's somaxconn may lower it.
 */
const BACKLOG = 4096

export class Listener {
  readonly #options: ListenerOptions
  readonly #servers: Server[] = []
  /** Connections whose protocol is not known yet. */
  readonly #undecided = new Set<Socket>()
  #addresses: readonly string[] = []
  #acceptor: TlsAcceptor | undefined

  private constructor(options: ListenerOptions) {
    this.#options = options
  }

  /** Rejects when an address cannot be bound; then nothing is left open. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    try {
      await listener.#bindAll()
    } catch (error) {
      listener.close()
      throw error
    }
    return listener
  }

  /** `host:port` as bound, or the path of a unix socket, in the order of the URLs. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  /** No new connections; those that were taken over are not touched. */
  close(): void {
    // Its own callback waits for the last connection as well: that is for those who have taken them over.
    for (const server of this.#servers) server.close()
    for (const socket of this.#undecided) socket.destroy()
  }

  async #bindAll(): Promise<void> {
    const groups = new Map<string, ListenUrl[]>()
    const keys: string[] = []
    for (const url of this.#options.urls) {
      const parsed = parseListenUrl(url)
      if (!parsed.ok) throw new Error(`cannot listen on ${url}: ${parsed.error}`)
      if (parsed.value.isSecure) this.#acceptor ??= this.#openAcceptor(url)
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

  #openAcceptor(url: string): TlsAcceptor {
    const { tls, limits, log, onHttp2 } = this.#options
    if (tls === undefined)
      throw new Error(`TLS key/cert (--cert-file, --key-file) must be provided for client url ${url} with HTTPS scheme`)
    const acceptor = openAcceptor({
      tls,
      checksRemoteAddress: false,
      // gRPC clients offer h2 alone, curl and browsers both: HTTP/2 serves them all.
      alpn: onHttp2 === undefined ? ['http/1.1'] : ['h2', 'http/1.1'],
      handshakeTimeoutMs: limits.handshakeTimeoutMs,
      log,
      endpoint: 'client',
      onSecure: (socket) => this.#routeSecure(socket),
    })
    if (!acceptor.ok) throw new Error(acceptor.error)
    return acceptor.value
  }

  async #bind(group: readonly ListenUrl[]): Promise<string> {
    const [first] = group
    if (first === undefined) return ''
    const acceptor = group.some(({ isSecure }) => isSecure) ? this.#acceptor : undefined
    const takesPlain = group.some(({ isSecure }) => !isSecure)
    const server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS },
      (socket) => this.#decide(socket, (protocol) => this.#route(socket, protocol, acceptor, takesPlain)),
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

  /** Waits for the first bytes, not longer than the limit. */
  #decide(socket: Socket, decided: (protocol: Protocol | 'unknown') => void): void {
    this.#undecided.add(socket)
    const timer = setTimeout(() => socket.destroy(), this.#options.limits.handshakeTimeoutMs)
    const forget = (): void => {
      clearTimeout(timer)
      this.#undecided.delete(socket)
    }
    socket.once('close', forget)
    socket.on('error', () => undefined) // 'close' follows
    onFirstBytes(socket, (protocol) => {
      forget()
      socket.off('close', forget)
      decided(protocol)
    })
  }

  #route(socket: Socket, protocol: Protocol | 'unknown', acceptor: TlsAcceptor | undefined, takesPlain: boolean): void {
    if (protocol === 'tls' && acceptor !== undefined) return acceptor.accept(socket)
    if (protocol !== 'tls' && takesPlain) return this.#handOver(socket, protocol)
    acceptor?.logRejected(socket.remoteAddress, 'tls: first record does not look like a TLS handshake')
    socket.destroy()
  }

  #handOver(socket: Socket, protocol: Protocol | 'unknown'): void {
    const { onHttp1, onHttp2 } = this.#options
    if (protocol === 'http1') return onHttp1(socket)
    if (protocol !== 'http2' || onHttp2 === undefined) return void socket.destroy()
    socket.allowHalfOpen = false
    onHttp2(socket)
  }

  #routeSecure(socket: TLSSocket): void {
    if (socket.alpnProtocol === 'h2') return this.#handOver(socket, 'http2')
    if (socket.alpnProtocol === 'http/1.1') return this.#handOver(socket, 'http1')
    this.#decide(socket, (protocol) => this.#handOver(socket, protocol))
  }
}

async function listen(server: Server, address: Address): Promise<string> {
  if (address.kind === 'unix') {
    await removeStaleSocket(address.path)
    server.listen({ path: address.path, backlog: BACKLOG })
    await once(server, 'listening')
    return address.path
  }
  // Of localhost's addresses the one that etcdctl dials; Go, too, prefers it.
  server.listen({
    host: address.host === 'localhost' ? '127.0.0.1' : address.host,
    port: address.port,
    backlog: BACKLOG,
  })
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
