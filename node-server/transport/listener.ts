/**
 * Where peers connect to: plain on http and unix URLs, TLS on https and unixs URLs, both on an address that has both; who
 * comes with the wrong one is told so.
 */
import type { X509Certificate } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { byAddress, plainAddress, type AddressGroup } from '../address/address.ts'
import { bind } from '../address/bind.ts'
import { openAcceptor, type TlsAcceptor } from '../tls/acceptor.ts'
import type { TlsOptions } from '../tls/options.ts'
import { shownChain } from '../tls/peer-check.ts'
import { encodeRefused } from './frame.ts'

export interface TransportLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

const MAX_CONNECTIONS = 1024
const FIRST_BYTES_TIMEOUT_MS = 5000
const TLS_HANDSHAKE_RECORD = 0x16
/** An alert of TLS: fatal, protocol version. A peer that speaks plainly learns from it where it is. */
const TLS_ALERT = Buffer.from('15030100020246', 'hex')

/** What is accepted on one address. */
interface Way {
  readonly acceptor: TlsAcceptor | undefined
  readonly takesPlain: boolean
}

export interface PeerListenerOptions {
  readonly urls: readonly string[]
  readonly tls: TlsOptions | undefined
  readonly log: TransportLog
  /** A connection from which nothing was read yet; `certificate`: its verified certificate. */
  readonly onConnection: (socket: Socket, certificate: X509Certificate | undefined) => void
}

export class PeerListener {
  readonly #options: PeerListenerOptions
  readonly #servers: Server[] = []
  /** Before a connection is handed on. */
  readonly #undecided = new Set<Socket>()
  #acceptor: TlsAcceptor | undefined
  #isClosed = false

  private constructor(options: PeerListenerOptions) {
    this.#options = options
  }

  /** Rejects when an address cannot be listened on, or the files of TLS are of no use. */
  static async open(options: PeerListenerOptions): Promise<PeerListener> {
    const listener = new PeerListener(options)
    try {
      for (const group of byAddress(options.urls)) await listener.#bind(group)
    } catch (error) {
      await listener.close()
      throw error
    }
    return listener
  }

  /** Resolves once all connections are closed: those handed on are for their owners to close. */
  async close(): Promise<void> {
    this.#isClosed = true
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)))
    for (const socket of this.#undecided) socket.destroy()
    await Promise.all(closed)
  }

  async #bind(group: AddressGroup): Promise<void> {
    const [first] = group
    const secure = group.find(({ isSecure }) => isSecure)
    const way: Way = {
      acceptor: secure && (this.#acceptor ??= this.#openAcceptor(secure.url)),
      takesPlain: group.some(({ isSecure }) => !isSecure),
    }
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket, way))
    server.maxConnections = MAX_CONNECTIONS
    this.#servers.push(server)
    await bind(server, first.address)
  }

  #openAcceptor(url: string): TlsAcceptor {
    const { tls, log } = this.#options
    if (tls === undefined)
      throw new Error(`cannot listen on TLS for ${url}: KeyFile and CertFile are not presented (--peer-cert-file)`)
    const acceptor = openAcceptor({
      tls,
      checksRemoteAddress: true,
      alpn: [],
      handshakeTimeoutMs: FIRST_BYTES_TIMEOUT_MS,
      log,
      endpoint: 'peer',
      onSecure: (socket) => this.#handOn(socket, shownChain(socket)[0]),
    })
    if (!acceptor.ok) throw new Error(acceptor.error)
    return acceptor.value
  }

  #accept(socket: Socket, way: Way): void {
    this.#undecided.add(socket)
    const timer = setTimeout(() => socket.destroy(), FIRST_BYTES_TIMEOUT_MS)
    const forget = (): void => {
      clearTimeout(timer)
      this.#undecided.delete(socket)
    }
    const onReadable = (): void => {
      const bytes: Buffer | null = socket.read()
      if (bytes === null) return
      socket.off('readable', onReadable).off('end', onEnd).off('close', forget)
      forget()
      socket.unshift(bytes)
      this.#route(socket, bytes[0] === TLS_HANDSHAKE_RECORD, way)
    }
    const onEnd = (): void => {
      socket.destroy()
    }
    socket.on('error', () => undefined) // 'close' follows
    socket.once('close', forget).on('readable', onReadable).once('end', onEnd)
  }

  /** Whose handshake ends after the close would have no owner to close it, and hold the listener open forever. */
  #handOn(socket: Socket, certificate?: X509Certificate): void {
    if (this.#isClosed) socket.destroy()
    else this.#options.onConnection(socket, certificate)
  }

  #route(socket: Socket, isTls: boolean, { acceptor, takesPlain }: Way): void {
    if (isTls && acceptor !== undefined) return acceptor.accept(socket)
    if (!isTls && takesPlain) return this.#handOn(socket)
    if (acceptor !== undefined) {
      acceptor.logRejected(socket.remoteAddress, 'tls: first record does not look like a TLS handshake')
      socket.end(TLS_ALERT)
    } else {
      const fields = {
        'remote-addr': plainAddress(socket.remoteAddress ?? ''),
        error: 'the peer speaks TLS, and this URL is http',
      }
      this.#options.log.warn(fields, 'rejected connection on peer endpoint')
      socket.end(encodeRefused('version'))
    }
    // Read to the end, or closing would take back what was just written.
    socket.resume()
    setTimeout(() => socket.destroy(), FIRST_BYTES_TIMEOUT_MS).unref()
  }
}
