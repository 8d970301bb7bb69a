/** One connection between members: dialling with hello, frames in and out, and its death noticed either way. */
import { connect, type Socket } from 'node:net'
import { discard, MalformedBytes, sizeOfParts } from '../../lib/bytes.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { parseAddressURL } from '../address/address.ts'
import { FRAME_TIMEOUT_MS, MAX_UNREAD_SIZE_BYTES } from '../limits.ts'
import type { TlsDialer } from '../tls/dialer.ts'
import {
  CHALLENGED_VERSION,
  FRAME,
  FrameDecoder,
  decodeRefused,
  encodeFrame,
  encodeHello,
  type Frame,
  type Hello,
  type RefusalReason,
} from './frame.ts'
import type { PeerSecrets } from './peer-secrets.ts'
import { isAnswer, newNonce, NONCE_SIZE_BYTES, proofOf, type Exchange } from './secret.ts'

export const CONNECT_TIMEOUT_MS = 3000

export type DialFailure =
  | { readonly kind: 'unreachable'; readonly message: string }
  | { readonly kind: 'refused'; readonly reason: RefusalReason }

export interface ConnectionHandlers {
  onFrame(frame: Frame): void
  /** Once, whatever ended it; `isOurs` when it was this side, for a reason of its own. */
  onClose(reason: string, isOurs: boolean): void
}

/** Frames over a socket that is connected. */
export class Connection {
  readonly #socket: Socket
  readonly #decoder = new FrameDecoder()
  #handlers: ConnectionHandlers
  #closeReason: string | undefined
  #failure: string | undefined

  constructor(socket: Socket, handlers: ConnectionHandlers, frameTimeoutMs = FRAME_TIMEOUT_MS) {
    this.#socket = socket
    this.#handlers = handlers
    socket.setNoDelay(true)
    socket.setTimeout(frameTimeoutMs, () => {
      if (this.#decoder.isWithinFrame) this.close(`half a frame, and nothing more for ${frameTimeoutMs} ms`)
    })
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('error', (error) => {
      this.#failure ??= error.message
    })
    socket.on('close', () => {
      const isOurs = this.#closeReason !== undefined
      this.#handlers.onClose(this.#closeReason ?? this.#failure ?? 'closed by the peer', isOurs)
    })
  }

  set handlers(handlers: ConnectionHandlers) {
    this.#handlers = handlers
  }

  /** A longer frame ends the connection from now on. */
  set maxFrameSizeBytes(sizeBytes: number) {
    this.#decoder.maxSizeBytes = sizeBytes
  }

  /** False if the peer reads more slowly than we write: wait for {@link drained}. A peer that does not read at all is disconnected. */
  write(frame: Buffer): boolean {
    return this.#mayWrite(frame.length) && this.#socket.write(frame)
  }

  /** As {@link write}: the frame's parts, one behind the other. */
  writev(parts: readonly Buffer[]): boolean {
    if (!this.#mayWrite(sizeOfParts(parts))) return false
    this.#socket.cork()
    for (const part of parts) this.#socket.write(part)
    this.#socket.uncork()
    return !this.#socket.writableNeedDrain
  }

  #mayWrite(sizeBytes: number): boolean {
    if (this.#socket.writableLength + sizeBytes <= MAX_UNREAD_SIZE_BYTES) return true
    this.close('the peer does not read')
    return false
  }

  /** Until {@link resume} nothing more is read; a few frames that were read already may still come. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#socket.writableNeedDrain || this.#socket.destroyed) return resolve()
      const done = (): void => {
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.once('drain', done).once('close', done)
    })
  }

  close(reason: string): void {
    this.#closeReason ??= reason
    this.#socket.destroy()
  }

  /** Sends what was written before closing. */
  end(): void {
    this.#socket.end()
  }

  #onData(chunk: Buffer): void {
    try {
      const frames = this.#decoder.push(chunk)
      if (frames.every(({ payload }) => payload.buffer !== chunk.buffer)) discard(chunk)
      for (const frame of frames) this.#handlers.onFrame(frame)
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error
      this.close(`bad bytes from the peer: ${error.message}`)
    }
  }
}

/** First byte that a listener with TLS sends to a peer without; no frame of ours begins with it. */
const TLS_ALERT_RECORD = 0x15

/** How a member identifies itself to those that it dials. */
export interface PeerDialer {
  /** For https and unixs URLs. */
  readonly tls: TlsDialer | undefined
  readonly secrets: PeerSecrets | undefined
}

/** Connects and introduces itself; resolves once the other side has answered. Names are resolved at each call. */
export async function dial(
  url: string,
  hello: Hello,
  dialer: PeerDialer | undefined,
): Promise<Result<Connection, DialFailure>> {
  const { tls, secrets } = dialer ?? { tls: undefined, secrets: undefined }
  if (secrets === undefined) return dialOnce(url, hello, tls, undefined)
  const challenged = await dialOnce(url, { ...hello, version: CHALLENGED_VERSION }, tls, secrets)
  const isOfVersionBefore =
    !challenged.ok && challenged.error.kind === 'refused' && challenged.error.reason === 'version'
  return isOfVersionBefore && !secrets.isRequired ? dialOnce(url, hello, tls, undefined) : challenged
}

function dialOnce(
  url: string,
  hello: Hello,
  tls: TlsDialer | undefined,
  secrets: PeerSecrets | undefined,
): Promise<Result<Connection, DialFailure>> {
  const parsed = parseAddressURL(url)
  // A member may have been added with any URL; that must not end the members that cannot reach it.
  if (!parsed.ok) return Promise.resolve(err({ kind: 'unreachable', message: parsed.error }))
  const { address, isSecure } = parsed.value
  if (isSecure && tls === undefined)
    return Promise.resolve(err({ kind: 'unreachable', message: 'no TLS is configured for peers' }))
  const prover = secrets && new Prover(secrets, hello)
  return new Promise((resolve) => {
    const socket = isSecure && tls !== undefined ? tls.dial(address) : connect(address)
    const timer = setTimeout(
      () => socket.destroy(new Error(`no answer within ${CONNECT_TIMEOUT_MS} ms`)),
      CONNECT_TIMEOUT_MS,
    )
    const settle = (result: Result<Connection, DialFailure>): void => {
      clearTimeout(timer)
      resolve(result)
    }
    if (!isSecure) {
      socket.prependOnceListener('data', (chunk: Buffer) => {
        if (chunk[0] === TLS_ALERT_RECORD) connection.close('the peer speaks TLS here: its URL should begin with https')
      })
    }
    const connection = new Connection(socket, {
      onFrame: (frame) => {
        if (frame.type === FRAME.challenge && prover !== undefined) return prover.prove(connection, frame.payload)
        if (frame.type === FRAME.welcome) {
          const problem = prover?.problemOf(frame.payload)
          return problem === undefined ? settle(ok(connection)) : connection.close(problem)
        }
        if (frame.type === FRAME.refused) {
          const reason = decodeRefused(frame.payload)
          const doubt = prover?.doubtOf(reason, frame.payload.subarray(1))
          if (doubt !== undefined) return connection.close(doubt)
          settle(err({ kind: 'refused', reason }))
        }
        connection.close('not welcome')
      },
      onClose: (reason) => settle(err({ kind: 'unreachable', message: describeClose(reason, isSecure) })),
    })
    socket.once(isSecure ? 'secureConnect' : 'connect', () => connection.write(encodeHello(hello)))
  })
}

/** The dialer's part of what secret.ts draws. */
class Prover {
  readonly #secrets: PeerSecrets
  readonly #hello: Hello
  #exchange: Exchange | undefined

  constructor(secrets: PeerSecrets, hello: Hello) {
    this.#secrets = secrets
    this.#hello = hello
  }

  prove(connection: Connection, listenerNonce: Buffer): void {
    // A second challenge, or a malformed nonce, would let the other side choose what is proved to a third.
    if (this.#exchange !== undefined || listenerNonce.length !== NONCE_SIZE_BYTES)
      return connection.close('not a challenge')
    this.#exchange = { hello: this.#hello, listenerNonce, dialerNonce: newNonce() }
    connection.write(encodeFrame(FRAME.proof, proofOf(this.#secrets.current(), this.#exchange)))
  }

  /** Why the welcome is not accepted. */
  problemOf(welcome: Buffer): string | undefined {
    if (!this.#secrets.isRequired) return undefined
    if (this.#exchange === undefined) return 'the peer does not ask for the secret of the cluster: it may be anybody'
    const isKnown = isAnswer(welcome, 'welcome', this.#secrets.current(), this.#exchange)
    return isKnown ? undefined : 'the peer does not know the secret of the cluster'
  }

  /** Why the refusal is not believed. */
  doubtOf(reason: RefusalReason, shown: Buffer): string | undefined {
    if (reason !== 'removed' || !this.#secrets.isRequired) return undefined
    const isKnown = this.#exchange !== undefined && isAnswer(shown, 'removed', this.#secrets.current(), this.#exchange)
    return isKnown ? undefined : 'it says that this member was removed, and has not shown the secret of the cluster'
  }
}

function describeClose(reason: string, isSecure: boolean): string {
  if (isSecure && reason.includes('wrong version number'))
    return 'the peer does not speak TLS here: its URL should begin with http'
  return reason
}
