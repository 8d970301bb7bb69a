/**
 * The accepting end of TLS, on connections that somebody else has accepted. The files are looked at for every handshake;
 * connections that stand are never touched by a change.
 */
import { constants, type X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, getCACertificates, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls'
import { err, ok, type Result } from '../../lib/result.ts'
import { plainAddress } from '../address/address.ts'
import { CredentialSource, type Credentials, type TlsLog } from './credentials.ts'
import type { TlsOptions } from './options.ts'
import { alternativeNames, checkAllowed, checkRemoteAddress, RevocationCheck, shownChain } from './peer-check.ts'
import { tlsSettings, type TlsSettings } from './settings.ts'

export type Endpoint = 'client' | 'peer' | 'admin'

export interface AcceptorOptions {
  readonly tls: TlsOptions
  /** For peers: the certificate must be for the address that it comes from, unless that check is skipped. */
  readonly checksRemoteAddress: boolean
  /** In the order of preference; empty: none is agreed on. */
  readonly alpn: readonly string[]
  readonly handshakeTimeoutMs: number
  readonly log: TlsLog
  /** For the log: etcd writes `rejected connection on client endpoint`. */
  readonly endpoint: Endpoint
  /** After the handshake and all checks. */
  readonly onSecure: (socket: TLSSocket) => void
}

export interface TlsAcceptor {
  /** Shakes hands, checks, then hands the connection on; one that is refused is logged and closed. */
  accept(socket: Socket): void
  /** For a connection that was refused before a handshake. */
  logRejected(remoteAddress: string | undefined, error: string, fields?: object): void
}

/** The error is for the user. */
export function openAcceptor(options: AcceptorOptions): Result<TlsAcceptor, string> {
  const { tls, log } = options
  const { certFile, keyFile, trustedCaFile } = tls
  if (certFile === undefined || keyFile === undefined)
    return err(`KeyFile and CertFile must both be present[key: ${keyFile ?? ''}, cert: ${certFile ?? ''}]`)
  const settings = tlsSettings(tls, log)
  if (!settings.ok) return settings
  const files = { certFile, keyFile, caFile: trustedCaFile }
  const credentials = tls.credentials === undefined ? CredentialSource.open(files, log) : ok(tls.credentials)
  if (!credentials.ok) return credentials
  return ok(new Acceptor(options, settings.value, credentials.value))
}

/** Anybody who connects could write such lines: so many in a window, then only their number. */
const MAX_LOGGED_REJECTIONS = 20
const REJECTION_WINDOW_MS = 10_000

class Acceptor implements TlsAcceptor {
  readonly #options: AcceptorOptions
  readonly #settings: TlsSettings
  readonly #source: CredentialSource
  readonly #revocations: RevocationCheck | undefined
  readonly #server: Server
  /** Of the sockets below TLS: once a handshake has failed they no longer know it. */
  readonly #remotes = new WeakMap<object, string>()
  #used: Credentials
  #windowStartMs = 0
  #rejections = 0

  constructor(options: AcceptorOptions, settings: TlsSettings, source: CredentialSource) {
    this.#options = options
    this.#settings = settings
    this.#source = source
    this.#used = source.current()
    const { crlFile, trustedCaFile, clientCertAuth, clientCertOptional } = options.tls
    this.#revocations = crlFile === undefined ? undefined : new RevocationCheck(crlFile)
    // A CA alone is enough to ask for certificates, as in etcd.
    const needsCertificate = clientCertAuth || trustedCaFile !== undefined
    this.#server = createServer({
      ...this.#context(),
      requestCert: needsCertificate,
      rejectUnauthorized: needsCertificate && !clientCertOptional,
      handshakeTimeout: options.handshakeTimeoutMs,
      ...(options.alpn.length === 0 ? {} : { ALPNProtocols: [...options.alpn] }),
    })
    this.#server.on('secureConnection', (socket: TLSSocket) => void this.#onSecure(socket))
    this.#server.on('tlsClientError', (error: Error, socket: TLSSocket) => this.#onFailure(error, socket))
  }

  accept(socket: Socket): void {
    const current = this.#source.current()
    if (current !== this.#used) {
      this.#used = current
      this.#server.setSecureContext(this.#context())
    }
    socket.allowHalfOpen = false
    this.#remotes.set(socket, remoteOf(socket))
    this.#server.emit('connection', socket)
  }

  logRejected(remoteAddress: string | undefined, error: string, fields: object = {}): void {
    const { log, endpoint } = this.#options
    const nowMs = performance.now()
    if (nowMs - this.#windowStartMs > REJECTION_WINDOW_MS) {
      const unlogged = this.#rejections - MAX_LOGGED_REJECTIONS
      if (unlogged > 0) log.warn({ count: unlogged }, `rejected more connections on ${endpoint} endpoint`)
      this.#windowStartMs = nowMs
      this.#rejections = 0
    }
    this.#rejections += 1
    if (this.#rejections > MAX_LOGGED_REJECTIONS) return
    log.warn(
      { 'remote-addr': plainAddress(remoteAddress ?? ''), error, ...fields },
      `rejected connection on ${endpoint} endpoint`,
    )
  }

  #context(): SecureContextOptions {
    const { cert, key, ca } = this.#used
    return {
      ...this.#settings,
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ca: [...(ca ?? getCACertificates('system'))],
      // A resumed session would keep its first verdict after a CA, a list of revocations or an allowed name has changed.
      secureOptions: constants.SSL_OP_NO_TICKET,
    }
  }

  async #onSecure(socket: TLSSocket): Promise<void> {
    socket.on('error', () => undefined) // 'close' follows
    const chain = shownChain(socket)
    const verdict = await this.#verdict(socket, chain)
    if (verdict.ok) {
      if (!socket.destroyed) this.#options.onSecure(socket)
      return
    }
    this.logRejected(remoteOf(socket), verdict.error, shownFields(chain[0]))
    socket.destroy()
  }

  async #verdict(
    { remoteAddress, authorized, authorizationError }: TLSSocket,
    chain: readonly X509Certificate[],
  ): Promise<Result<void, string>> {
    const { tls, checksRemoteAddress } = this.#options
    const [leaf] = chain
    // Nothing was asked for or required, or it would have ended with the handshake.
    if (leaf === undefined) return ok(undefined)
    if (!authorized) return err(String(authorizationError))
    const allowed = checkAllowed(chain, tls)
    if (!allowed.ok) return allowed
    if (checksRemoteAddress && !tls.skipClientSanVerification && remoteAddress !== undefined) {
      const address = await checkRemoteAddress(leaf, remoteAddress)
      if (!address.ok) return address
    }
    return this.#revocations?.check(chain) ?? ok(undefined)
  }

  #onFailure(error: Error, socket: TLSSocket): void {
    const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message
    const text = socket.authorizationError === null ? reason : String(socket.authorizationError)
    const below: unknown = Reflect.get(socket, '_parent')
    const remote = typeof below === 'object' && below !== null ? this.#remotes.get(below) : undefined
    this.logRejected(remote ?? socket.remoteAddress, text, { 'server-name': socket.servername || undefined })
    socket.destroy()
  }
}

/** Whose certificate it was, so that its owner can be found. */
function shownFields(leaf: X509Certificate | undefined): object {
  if (leaf === undefined) return {}
  const { dns, addresses } = alternativeNames(leaf)
  return { subject: leaf.subject, 'not-after': leaf.validTo, 'ip-addresses': addresses, 'dns-names': dns }
}

function remoteOf({ remoteAddress = '', remotePort }: Socket): string {
  return remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`
}
