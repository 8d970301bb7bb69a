/**
 * What calls hold in memory while their clients are slow: parts of requests that are not complete, and responses that were
 * not read. Counted for each connection, so that one client cannot take all there is, and for all of them together. A little
 * is everybody's, whatever others hold: who reads and sends as one should is served although some do not.
 */
import type { ListenLimits } from './limits.ts'

export type LoadLimits = Pick<
  ListenLimits,
  | 'maxStreams'
  | 'maxConnectionRequestBytes'
  | 'maxRequestBytesHeld'
  | 'maxConnectionResponseBytes'
  | 'maxResponseBytesHeld'
>

/** What a connection may hold although all of them together hold too much. */
export interface LoadShare {
  readonly streams: number
  readonly bytes: number
}

const SHARE: LoadShare = { streams: 16, bytes: 64 * 1024 }

/** Of all connections. */
export class ListenerLoad {
  readonly limits: LoadLimits
  readonly share: LoadShare
  streams = 0
  requestBytes = 0
  responseBytes = 0

  constructor(limits: LoadLimits, share = SHARE) {
    this.limits = limits
    this.share = share
  }
}

/** Of one connection. */
export class ConnectionLoad {
  readonly total: ListenerLoad
  streams = 0
  requestBytes = 0
  responseBytes = 0

  constructor(total: ListenerLoad) {
    this.total = total
  }

  /** Undefined when there are too many; otherwise it must be closed in the end. */
  openStream(): StreamLoad | undefined {
    const { streams, limits, share } = this.total
    if (streams >= limits.maxStreams && this.streams >= share.streams) return undefined
    this.total.streams += 1
    this.streams += 1
    return new StreamLoad(this)
  }
}

/** Of one call. */
export class StreamLoad {
  readonly #connection: ConnectionLoad
  #requestBytes = 0
  #responseBytes = 0
  #isClosed = false

  constructor(connection: ConnectionLoad) {
    this.#connection = connection
  }

  /** Part of a request has come. False when that is more than may be held. */
  received(bytes: number): boolean {
    this.#addRequest(bytes)
    const { requestBytes, total } = this.#connection
    const { maxConnectionRequestBytes, maxRequestBytesHeld } = total.limits
    if (total.requestBytes > maxRequestBytesHeld) return requestBytes <= total.share.bytes
    return requestBytes <= maxConnectionRequestBytes
  }

  /** A request is complete, and its handler's to keep or to forget. It may be longer than what came: compression. */
  delivered(bytes: number): void {
    this.#addRequest(-Math.min(bytes, this.#requestBytes))
  }

  /** Whether one response more may be queued, however long: those before it are not too many. */
  get mayQueue(): boolean {
    const { responseBytes, total } = this.#connection
    const { maxConnectionResponseBytes, maxResponseBytesHeld } = total.limits
    if (total.responseBytes > maxResponseBytesHeld) return responseBytes <= total.share.bytes
    return responseBytes <= maxConnectionResponseBytes
  }

  queued(bytes: number): void {
    this.#addResponse(bytes)
  }

  /** The connection has taken it. */
  sent(bytes: number): void {
    this.#addResponse(-Math.min(bytes, this.#responseBytes))
  }

  /** Whatever it is told from then on no longer counts. */
  close(): void {
    if (this.#isClosed) return
    this.#addRequest(-this.#requestBytes)
    this.#addResponse(-this.#responseBytes)
    this.#connection.streams -= 1
    this.#connection.total.streams -= 1
    this.#isClosed = true
  }

  #addRequest(bytes: number): void {
    if (this.#isClosed) return
    this.#requestBytes += bytes
    this.#connection.requestBytes += bytes
    this.#connection.total.requestBytes += bytes
  }

  #addResponse(bytes: number): void {
    if (this.#isClosed) return
    this.#responseBytes += bytes
    this.#connection.responseBytes += bytes
    this.#connection.total.responseBytes += bytes
  }
}
