/**
 * What calls hold in memory while their clients are slow: parts of requests that are not complete, and responses that were
 * not read. Counted for each connection, so that one client cannot take all there is, and for all of them together.
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

/** Of all connections. */
export class ListenerLoad {
  readonly limits: LoadLimits
  streams = 0
  requestBytes = 0
  responseBytes = 0

  constructor(limits: LoadLimits) {
    this.limits = limits
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
    if (this.total.streams >= this.total.limits.maxStreams) return undefined
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
    return requestBytes <= maxConnectionRequestBytes && total.requestBytes <= maxRequestBytesHeld
  }

  /** A request is complete, and its handler's to keep or to forget. It may be longer than what came: compression. */
  delivered(bytes: number): void {
    this.#addRequest(-Math.min(bytes, this.#requestBytes))
  }

  /** Whether one response more may be queued, however long: those before it are not too many. */
  get mayQueue(): boolean {
    const { responseBytes, total } = this.#connection
    const { maxConnectionResponseBytes, maxResponseBytesHeld } = total.limits
    return responseBytes <= maxConnectionResponseBytes && total.responseBytes <= maxResponseBytesHeld
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
