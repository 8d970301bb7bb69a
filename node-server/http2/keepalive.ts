/** A client that has long said nothing is asked whether it is there (etcd: --grpc-keepalive-interval, -timeout). */
import type { ListenLimits } from '../listen/limits.ts'

export interface KeepalivePort {
  /** Of the last bytes that came. */
  lastReadMs(): number
  /** `heard` is called with its answer. */
  ping(): void
  /** Nobody is there. */
  giveUp(): void
}

export class Keepalive {
  readonly #limits: ListenLimits
  readonly #port: KeepalivePort
  #timer: NodeJS.Timeout | undefined
  #isAsked = false

  constructor(limits: ListenLimits, port: KeepalivePort) {
    this.#limits = limits
    this.#port = port
  }

  start(): void {
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#limits
    if (keepaliveIntervalMs > 0 && keepaliveTimeoutMs > 0) this.#wait(keepaliveIntervalMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  heard(): void {
    this.#isAsked = false
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), Math.max(ms, 1))
    this.#timer.unref()
  }

  #look(): void {
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#limits
    const silentMs = performance.now() - this.#port.lastReadMs()
    if (this.#isAsked && silentMs >= keepaliveTimeoutMs) return this.#port.giveUp()
    if (silentMs < keepaliveIntervalMs) return this.#wait(keepaliveIntervalMs - silentMs)
    if (!this.#isAsked) this.#port.ping()
    this.#isAsked = true
    this.#wait(keepaliveTimeoutMs)
  }
}
