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
import { createServer, type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { byAddress, type AddressGroup } from '../address/address.ts'
import { bind } from '../address/bind.ts'
import { openAcceptor, type Endpoint, type TlsAcceptor } from '../tls/acceptor.ts'
import type { TlsOptions } from '../tls/options.ts'
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
  /** For the log; `client` when absent. */
  readonly endpoint?: Endpoint
  readonly onHttp1: TakeConnection
  /** Undefined: HTTP/2 is not offered. */
  readonly onHttp2: TakeConnection | undefined
}

/** As etcd's: a dead line is noticed by the kernel. */
const TCP_KEEPALIVE_MS = 30_000

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
    const groups = byAddress(this.#options.urls)
    const secure = groups.flat().find(({ isSecure }) => isSecure)
    if (secure !== undefined) this.#acceptor = this.#openAcceptor(secure.url)
    const bound = new Map<string, string>()
    for (const group of groups) {
      const address = await this.#bind(group)
      for (const { url } of group) bound.set(url, address)
    }
    this.#addresses = this.#options.urls.map((url) => bound.get(url) ?? '')
  }

  #openAcceptor(url: string): TlsAcceptor {
    const { tls, limits, log, onHttp2, endpoint = 'client' } = this.#options
    if (tls === undefined)
      throw new Error(
        `TLS key/cert (--cert-file, --key-file) must be provided for ${endpoint} url ${url} with HTTPS scheme`,
      )
    const acceptor = openAcceptor({
      tls,
      checksRemoteAddress: false,
      // gRPC clients offer h2 alone, curl and browsers both: HTTP/2 serves them all.
      alpn: onHttp2 === undefined ? ['http/1.1'] : ['h2', 'http/1.1'],
      handshakeTimeoutMs: limits.handshakeTimeoutMs,
      log,
      endpoint,
      onSecure: (socket) => this.#routeSecure(socket),
    })
    if (!acceptor.ok) throw new Error(acceptor.error)
    return acceptor.value
  }

  async #bind(group: AddressGroup): Promise<string> {
    const [first] = group
    const acceptor = group.some(({ isSecure }) => isSecure) ? this.#acceptor : undefined
    const takesPlain = group.some(({ isSecure }) => !isSecure)
    const server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS },
      (socket) => this.#decide(socket, (protocol) => this.#route(socket, protocol, acceptor, takesPlain)),
    )
    server.maxConnections = this.#options.limits.maxConnections
    this.#servers.push(server)
    try {
      return await bind(server, first.address)
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
