/**
 * All traffic between members: messages and requests to each peer, snapshots beside them, and the listener that
 * receives what others send. A connection counts only after a hello with the right cluster and member.
 *
 * Neighbours: the node passes messages in and gets those that arrive. Raft tolerates every loss here, and is notified of it.
 */
import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { ByteReader, ByteWriter, EMPTY_BYTES, MalformedBytes } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { NOBODY, formatId, type ClusterId, type MemberId } from '../../lib/ids.ts'
import { err, type Result } from '../../lib/result.ts'
import {
  MAX_FRAME_SIZE_BYTES,
  MAX_PEER_ANSWER_SIZE_BYTES,
  MAX_PEER_REQUESTS,
  MAX_PEER_REQUEST_SIZE_BYTES,
  MAX_PEER_SECRETS,
  MAX_UNKNOWN_PEER_FRAME_SIZE_BYTES,
} from '../limits.ts'
import type { Message } from '../raft/message.ts'
import type { TlsOptions } from '../tls/options.ts'
import { decodeMessages } from './codec.ts'
import { Connection, type ConnectionHandlers, type PeerDialer } from './connection.ts'
import { identityProblem } from './identity.ts'
import { PeerListener, type PeerListenerOptions, type TransportLog } from './listener.ts'
import { LogLimiter } from './log-limiter.ts'
import {
  CHALLENGED_VERSION,
  FRAME,
  PROTOCOL_VERSION,
  decodeHello,
  encodeFrame,
  encodeRefused,
  type Frame,
  type Hello,
  type RefusalReason,
} from './frame.ts'
import { Peer, type PeerStats } from './peer.ts'
import type { PeerSecrets } from './peer-secrets.ts'
import { peerDialer } from './query.ts'
import { answerOf, commonSecret, decodeProof, newNonce, type Answer } from './secret.ts'
import {
  SnapshotReceiver,
  sendSnapshot,
  type IncomingSnapshot,
  type SnapshotMessage,
  type SnapshotSource,
} from './snapshot-stream.ts'

export type { IncomingSnapshot, SnapshotMessage, SnapshotSource } from './snapshot-stream.ts'

const MAX_INCOMING_SNAPSHOTS = 2
const MAX_REMOTES = 16
const HELLO_TIMEOUT_MS = 5000

export interface TransportOptions {
  /** URLs like http://0.0.0.0:2380. */
  readonly listenUrls: readonly string[]
  /** For https URLs, those listened on and those of peers. */
  readonly tls?: TlsOptions | undefined
  readonly secrets?: PeerSecrets | undefined
  readonly log?: TransportLog
  readonly clusterId: ClusterId
  readonly memberId: MemberId
  readonly clock: Clock
  /** A ping has come back. */
  readonly onRoundTrip?: (peer: MemberId, ms: number) => void
  /** Until it is known who has connected; default {@link HELLO_TIMEOUT_MS}. */
  readonly helloTimeoutMs?: number
  /** Default {@link FRAME_TIMEOUT_MS}. */
  readonly frameTimeoutMs?: number
}

export interface TransportHandlers {
  onMessages(messages: readonly Message[]): void
  /** Reads the pieces; the sender is told that they arrived when this resolves, and why not when it rejects. */
  onSnapshot(snapshot: IncomingSnapshot): Promise<void>
  /** `from` is NOBODY for a query by somebody who is not a member (yet). */
  onRequest(from: MemberId, payload: Buffer): Promise<Uint8Array>
  onUnreachable(id: MemberId): void
  /** The way to that member is open, for the first time or again. */
  onReachable(id: MemberId): void
  onRefused(by: MemberId, reason: RefusalReason): void
  /** Whether that member was removed from the cluster; it then gets that answer. */
  isRemoved(id: MemberId): boolean
}

/** The way to the other members, once it is open. */
export interface PeerTransport {
  /** The members there are, with their peer URLs; this member itself is left out. */
  setPeers(urlsById: ReadonlyMap<MemberId, readonly string[]>): void
  /** Any of them may be lost or overtaken. A proposal must not arrive twice: it would be carried out twice. */
  send(messages: readonly Message[]): void
  /** Whether a proposal, or a question about a read, can be sent there now; where it cannot, it is better kept. */
  takesProposals(to: MemberId): boolean
  request(to: MemberId, payload: Uint8Array, timeoutMs: number): Promise<Result<Buffer, string>>
  /** Streams it; resolves once nothing more is read of it, and the receiver has it or there is a reason why not. */
  sendSnapshot(message: SnapshotMessage, source: SnapshotSource): Promise<Result<void, string>>
  stats(id: MemberId): PeerLinkStats
  close(): Promise<void>
}

export interface PeerLinkStats extends PeerStats {
  readonly receivedBytes: number
}

/** The peer of an incoming connection. */
interface Caller {
  /** NOBODY until the hello, and for a query. */
  from: MemberId
  /** Undefined where none is asked for. */
  readonly certificate: X509Certificate | undefined
  unanswered: number
}

/** A connection before its hello was accepted. */
interface Arrival {
  readonly connection: Connection
  readonly caller: Caller
  readonly onClose: ConnectionHandlers['onClose']
  /** Stops the time-out for its hello. */
  readonly welcomed: () => void
}

export class Transport implements PeerTransport {
  readonly #options: TransportOptions
  readonly #handlers: TransportHandlers
  readonly #peers = new Map<MemberId, Peer>()
  /**
   * Members that this one has not heard of in the log yet, and that have come to it by themselves: a leader may be one, and
   * without an answer it would never get this member to where it knows it (etcd: the X-PeerURLs header).
   */
  readonly #remotes = new Map<MemberId, Peer>()
  #ownURLs: readonly string[] = []
  readonly #dialer: PeerDialer
  readonly #warnings: LogLimiter
  #listener: PeerListener | undefined
  readonly #incoming = new Map<Connection, Caller>()
  /** Of all members as this one knows them, itself included. */
  #urlsById: ReadonlyMap<MemberId, readonly string[]> = new Map()
  readonly #receivedBytes = new Map<MemberId, number>()
  #incomingSnapshots = 0
  #isClosed = false

  private constructor(options: TransportOptions, handlers: TransportHandlers, dialer: PeerDialer) {
    this.#options = options
    this.#handlers = handlers
    this.#dialer = dialer
    this.#warnings = new LogLimiter(options.log ?? SILENT, options.clock)
  }

  /** Throws when an address cannot be listened on, or the files of TLS are of no use. */
  static async listen(options: TransportOptions, handlers: TransportHandlers): Promise<Transport> {
    const { listenUrls, tls, secrets, log = SILENT } = options
    const transport = new Transport(options, handlers, peerDialer(tls, log, secrets))
    const onConnection: PeerListenerOptions['onConnection'] = (socket, shown) => transport.#accept(socket, shown)
    transport.#listener = await PeerListener.open({ urls: listenUrls, tls, log, onConnection })
    return transport
  }

  setPeers(urlsById: ReadonlyMap<MemberId, readonly string[]>): void {
    this.#urlsById = urlsById
    for (const [connection, caller] of this.#incoming) {
      if (this.#isImpostor(caller)) connection.close('its certificate is not that of the member')
      // It connects again, and gets that answer: it may never learn of it from its own log.
      else if (this.#handlers.isRemoved(caller.from)) connection.close('it was removed from the cluster')
    }
    this.#ownURLs = urlsById.get(this.#options.memberId) ?? this.#ownURLs
    for (const [id, remote] of this.#remotes) {
      if (urlsById.size > 0 && !this.#handlers.isRemoved(id)) continue
      remote.stop()
      this.#remotes.delete(id)
    }
    for (const [id, peer] of this.#peers) {
      if (urlsById.has(id)) continue
      peer.stop()
      this.#peers.delete(id)
      this.#receivedBytes.delete(id)
    }
    for (const [id, urls] of urlsById) {
      if (id === this.#options.memberId) continue
      const peer = this.#peers.get(id) ?? this.#asPeer(id)
      if (peer === undefined) this.#peers.set(id, this.#createPeer(id, urls))
      else peer.urls = urls
    }
  }

  send(messages: readonly Message[]): void {
    if (messages.length === 0) return
    const byPeer = new Map<MemberId, Message[]>()
    for (const message of messages) {
      const batch = byPeer.get(message.to)
      if (batch === undefined) byPeer.set(message.to, [message])
      else batch.push(message)
    }
    for (const [id, batch] of byPeer) this.#peer(id)?.send(batch)
  }

  takesProposals(to: MemberId): boolean {
    return this.#peer(to)?.hasRoom ?? false
  }

  request(to: MemberId, payload: Uint8Array, timeoutMs: number): Promise<Result<Buffer, string>> {
    return this.#peer(to)?.request(payload, timeoutMs) ?? Promise.resolve(err('the peer is not known here'))
  }

  sendSnapshot(message: SnapshotMessage, source: SnapshotSource): Promise<Result<void, string>> {
    const urls = this.#peer(message.to)?.urls ?? []
    return sendSnapshot(urls, this.#hello(message.to), message, source, this.#dialer).catch((error: unknown) =>
      err(String(error)),
    )
  }

  stats(id: MemberId): PeerLinkStats {
    const none = { sentBytes: 0, sendFailures: 0, connectedSinceMs: undefined }
    return { ...(this.#peer(id)?.stats ?? none), receivedBytes: this.#receivedBytes.get(id) ?? 0 }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const peer of [...this.#peers.values(), ...this.#remotes.values()]) peer.stop()
    for (const connection of this.#incoming.keys()) connection.close('stopped')
    await this.#listener?.close()
  }

  #createPeer(id: MemberId, urls: readonly string[]): Peer {
    const { clock, log = SILENT, onRoundTrip } = this.#options
    const events = {
      onUnreachable: (peer: MemberId): void => this.#handlers.onUnreachable(peer),
      onReachable: (peer: MemberId): void => this.#handlers.onReachable(peer),
      onRefused: (peer: MemberId, reason: RefusalReason): void => this.#handlers.onRefused(peer, reason),
      onDialFailed: (peer: MemberId, url: string, error: string): void =>
        log.warn({ peer: formatId(peer), url, reason: error }, 'cannot connect to a peer'),
      onLost: (peer: MemberId, reason: string): void =>
        this.#warnings.warn(`lost ${peer}`, { peer: formatId(peer), reason }, 'lost the connection to a peer'),
      onRoundTrip: (peer: MemberId, ms: number): void => onRoundTrip?.(peer, ms),
    }
    return new Peer({ id, urls, hello: () => this.#hello(id), dialer: this.#dialer, clock }, events)
  }

  #hello(to: MemberId): Hello {
    const { clusterId, memberId } = this.#options
    return { version: PROTOCOL_VERSION, clusterId, from: memberId, to, purpose: 'messages', peerURLs: this.#ownURLs }
  }

  #peer(id: MemberId): Peer | undefined {
    return this.#peers.get(id) ?? this.#remotes.get(id)
  }

  /** The log has named it now. */
  #asPeer(id: MemberId): Peer | undefined {
    const remote = this.#remotes.get(id)
    if (remote === undefined) return undefined
    this.#remotes.delete(id)
    this.#peers.set(id, remote)
    return remote
  }

  #noteRemote({ from, peerURLs }: Hello): void {
    if (from === NOBODY || from === this.#options.memberId || this.#peers.has(from) || peerURLs.length === 0) return
    const known = this.#remotes.get(from)
    if (known !== undefined) known.urls = peerURLs
    else if (this.#remotes.size < MAX_REMOTES) this.#remotes.set(from, this.#createPeer(from, peerURLs))
  }

  #accept(socket: Socket, certificate: X509Certificate | undefined): void {
    const caller: Caller = { from: NOBODY, certificate, unanswered: 0 }
    // For the whole stream, however slow it is.
    const timer = setTimeout(
      () => connection.close('no hello in time'),
      this.#options.helloTimeoutMs ?? HELLO_TIMEOUT_MS,
    )
    const onClose = (reason: string, isOurs: boolean): void => {
      clearTimeout(timer)
      this.#onIncomingClosed(connection, caller.from, reason, isOurs)
    }
    const onFrame = (frame: Frame): void => this.#onHello(arrival, frame)
    const connection = new Connection(socket, { onFrame, onClose }, this.#options.frameTimeoutMs)
    const arrival: Arrival = { connection, caller, onClose, welcomed: () => clearTimeout(timer) }
    connection.maxFrameSizeBytes = MAX_UNKNOWN_PEER_FRAME_SIZE_BYTES
    this.#incoming.set(connection, caller)
  }

  #onIncomingClosed(connection: Connection, from: MemberId, reason: string, isOurs: boolean): void {
    this.#incoming.delete(connection)
    if (!isOurs || this.#isClosed) return
    const kind = this.#peer(from) === undefined ? 'unknown peers' : `ended ${from}`
    this.#warnings.warn(kind, { from: formatId(from), reason }, 'ended the connection of a peer')
  }

  #onHello(arrival: Arrival, frame: Frame): void {
    const { connection, caller, onClose } = arrival
    if (frame.type !== FRAME.hello) return connection.close('no hello')
    const hello = decodeHello(frame.payload)
    const reason = this.#refusal(hello, caller)
    if (reason !== undefined) return refuse(arrival, reason)
    const { secrets } = this.#options
    if (secrets === undefined) return this.#admit(arrival, hello)
    if (hello.version !== CHALLENGED_VERSION) return this.#onSecretNotShown(arrival, hello, secrets)
    const listenerNonce = newNonce()
    connection.handlers = {
      onFrame: (proof) => this.#onProof(arrival, hello, secrets, { listenerNonce, frame: proof }),
      onClose,
    }
    connection.write(encodeFrame(FRAME.challenge, listenerNonce))
  }

  #onProof(
    arrival: Arrival,
    hello: Hello,
    secrets: PeerSecrets,
    { listenerNonce, frame }: { readonly listenerNonce: Buffer; readonly frame: Frame },
  ): void {
    if (frame.type !== FRAME.proof) return arrival.connection.close('no proof')
    const { dialerNonce, shown } = decodeProof(frame.payload, MAX_PEER_SECRETS)
    const exchange = { hello, listenerNonce, dialerNonce }
    const secret = commonSecret(secrets.current(), shown, exchange)
    if (secret === undefined) this.#onSecretNotShown(arrival, hello, secrets)
    else this.#admit(arrival, hello, (answer) => answerOf(secret, answer, exchange))
  }

  #onSecretNotShown(arrival: Arrival, hello: Hello, { isRequired }: PeerSecrets): void {
    const kind = this.#peer(hello.from) === undefined ? 'secret of unknown peers' : `secret of ${hello.from}`
    const done = isRequired ? 'refused' : 'took'
    const fields = { from: formatId(hello.from), purpose: hello.purpose }
    this.#warnings.warn(kind, fields, `${done} a peer that has not shown the secret of the cluster`)
    if (isRequired) refuse(arrival, 'secret')
    else this.#admit(arrival, hello)
  }

  #admit(arrival: Arrival, hello: Hello, shownWith: (answer: Answer) => Uint8Array = () => EMPTY_BYTES): void {
    const isRemoved = hello.purpose !== 'query' && this.#handlers.isRemoved(hello.from)
    if (isRemoved) refuse(arrival, 'removed', shownWith('removed'))
    else this.#welcome(arrival, hello, shownWith('welcome'))
  }

  #welcome({ connection, caller, onClose, welcomed }: Arrival, hello: Hello, answer: Uint8Array): void {
    welcomed()
    // The sender of a query has proved nothing, not even that it knows the cluster: what it claims to be is ignored.
    const from = hello.purpose === 'query' ? NOBODY : hello.from
    caller.from = from
    if (hello.purpose !== 'query') connection.maxFrameSizeBytes = MAX_FRAME_SIZE_BYTES
    if (hello.purpose === 'snapshot') this.#receiveSnapshot(connection, from, onClose)
    else {
      if (hello.purpose === 'messages') {
        this.#noteRemote(hello)
        this.#peer(from)?.heard()
      }
      connection.handlers = { onFrame: (next) => this.#onFrame(connection, caller, next), onClose }
    }
    connection.write(encodeFrame(FRAME.welcome, answer))
  }

  #refusal(hello: Hello, { certificate }: Caller): RefusalReason | undefined {
    const { clusterId, memberId } = this.#options
    if (hello.version !== PROTOCOL_VERSION && hello.version !== CHALLENGED_VERSION) return 'version'
    if (hello.purpose === 'query') return undefined
    if (hello.clusterId !== clusterId) return 'cluster-mismatch'
    if (hello.to !== memberId) return 'member-mismatch'
    if (this.#isImpostor({ from: hello.from, certificate })) return 'certificate-mismatch'
    return undefined
  }

  /** A member that is not known here yet is judged by its CA alone, until it is. */
  #isImpostor({ from, certificate }: Pick<Caller, 'from' | 'certificate'>): boolean {
    const urls = this.#urlsById.get(from)
    if (certificate === undefined || urls === undefined || this.#options.tls?.skipClientSanVerification === true)
      return false
    const problem = identityProblem(certificate, urls)
    if (problem === undefined) return false
    const fields = { from: formatId(from), subject: certificate.subject, reason: problem }
    this.#warnings.warn(`impostor ${from}`, fields, 'refused a peer that is not the member that it says it is')
    return true
  }

  #receiveSnapshot(connection: Connection, from: MemberId, onClose: ConnectionHandlers['onClose']): void {
    if (this.#incomingSnapshots >= MAX_INCOMING_SNAPSHOTS) return connection.close('too many snapshots at once')
    this.#incomingSnapshots += 1
    const receiver = new SnapshotReceiver(connection, {
      onSnapshot: async (snapshot) => {
        const { message } = snapshot
        if (message.from !== from || message.to !== this.#options.memberId)
          throw new MalformedBytes('not its own snapshot')
        await this.#handlers.onSnapshot(snapshot)
      },
      onRefused: (reason) =>
        this.#warnings.warn(`snapshot ${from}`, { from: formatId(from), reason }, 'refused the snapshot of a peer'),
    })
    connection.handlers = {
      onFrame: (frame) => receiver.onFrame(frame),
      onClose: (reason, isOurs) => {
        this.#incomingSnapshots -= 1
        receiver.onClose(reason)
        onClose(reason, isOurs)
      },
    }
  }

  #onFrame(connection: Connection, caller: Caller, frame: Frame): void {
    const { from } = caller
    // Only of members: a stranger may call itself anything.
    if (this.#peers.has(from))
      this.#receivedBytes.set(from, (this.#receivedBytes.get(from) ?? 0) + frame.payload.length + 9)
    switch (frame.type) {
      case FRAME.messages: {
        if (from === NOBODY) return connection.close('messages without a sender')
        // The hello said who sends and to whom: no member sends for another.
        const messages = decodeMessages(frame.payload).filter(
          (message) => message.from === from && message.to === this.#options.memberId,
        )
        if (messages.some(({ kind }) => kind === 'propose-request')) this.#peer(from)?.proposed()
        return this.#handlers.onMessages(messages)
      }
      case FRAME.ping:
        connection.write(encodeFrame(FRAME.pong, frame.payload))
        return
      case FRAME.request: {
        const reader = new ByteReader(frame.payload)
        const requestId = reader.u53()
        const request = reader.raw(reader.remainingBytes)
        if (request.length > MAX_PEER_REQUEST_SIZE_BYTES)
          return connection.close(
            `a request of ${request.length} bytes; at most ${MAX_PEER_REQUEST_SIZE_BYTES} are accepted`,
          )
        if (caller.unanswered >= MAX_PEER_REQUESTS)
          return connection.close(`too many requests at once; at most ${MAX_PEER_REQUESTS} are accepted`)
        void this.#answer(connection, caller, requestId, request)
        return
      }
      default:
        connection.close(`unexpected frame ${frame.type}`)
    }
  }

  async #answer(connection: Connection, caller: Caller, requestId: number, request: Buffer): Promise<void> {
    caller.unanswered += 1
    const found = await this.#handlers.onRequest(caller.from, request)
    caller.unanswered -= 1
    // None, as far as the other side can read it.
    const answer = found.length > MAX_PEER_ANSWER_SIZE_BYTES ? EMPTY_BYTES : found
    connection.write(encodeFrame(FRAME.response, new ByteWriter(answer.length + 8).u53(requestId).raw(answer).finish()))
  }
}

/** What it still sends is ignored. */
function refuse({ connection, onClose }: Arrival, reason: RefusalReason, shown = EMPTY_BYTES): void {
  connection.handlers = { onFrame: () => undefined, onClose }
  connection.write(encodeRefused(reason, shown))
  connection.end()
}

const SILENT: TransportLog = { info: () => undefined, warn: () => undefined }
