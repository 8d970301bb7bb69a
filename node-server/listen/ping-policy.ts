/**
 * How often a client may ping (gRPC's keepalive enforcement, gRFC A8): each ping that comes sooner than the minimum after
 * the one before is a strike, and with the third strike the client is sent away. What the server sends in between takes
 * the strikes back: clients measure the line while they receive data. Pure.
 */
const MAX_STRIKES = 2
/** An answer to a ping: frame header and payload. */
const PING_FRAME_BYTES = 17

export class PingPolicy {
  static readonly pingBytes = PING_FRAME_BYTES
  readonly #minTimeMs: number
  #lastPingMs = Number.NEGATIVE_INFINITY
  #strikes = 0
  #pings = 0
  /** What was written beside answers to pings. */
  #otherBytes = 0

  /** 0: anything goes. */
  constructor(minTimeMs: number) {
    this.#minTimeMs = minTimeMs
  }

  /** `writtenBytes`: all that the connection has sent so far. False when the client must go. */
  allows(nowMs: number, writtenBytes: number): boolean {
    // Answers that are still to be written make it less, never more.
    const otherBytes = writtenBytes - this.#pings * PING_FRAME_BYTES
    const isSoon = nowMs - this.#lastPingMs < this.#minTimeMs
    this.#pings += 1
    this.#lastPingMs = nowMs
    if (otherBytes > this.#otherBytes) {
      this.#otherBytes = otherBytes
      this.#strikes = 0
      return true
    }
    if (isSoon) this.#strikes += 1
    return this.#strikes <= MAX_STRIKES
  }
}
