/** What costs a client nothing, and us something: so often it may do it, and then the connection ends. */
import type { ListenLimits } from '../listen/limits.ts'
import { PingPolicy } from '../listen/ping-policy.ts'
import { Budget } from './budget.ts'
import { ConnectionError } from './errors.ts'
import { ErrorCode } from './frame.ts'
import { IDLE_FRAME_BURST, IDLE_FRAMES_PER_SECOND, RESET_BURST, RESETS_PER_SECOND } from './limits.ts'

export class Tolerance {
  readonly #keepaliveMinTimeMs: number
  readonly #pingPolicy: PingPolicy
  readonly #resets: Budget
  readonly #idleFrames: Budget
  #pings = 0

  constructor({ keepaliveMinTimeMs }: ListenLimits, nowMs: number) {
    this.#keepaliveMinTimeMs = keepaliveMinTimeMs
    this.#pingPolicy = new PingPolicy(keepaliveMinTimeMs)
    this.#resets = new Budget(RESET_BURST, RESETS_PER_SECOND, nowMs)
    this.#idleFrames = new Budget(IDLE_FRAME_BURST, IDLE_FRAMES_PER_SECOND, nowMs)
  }

  /** A call has come to nothing, by the client's will or by its fault. */
  countReset(nowMs: number): void {
    if (!this.#resets.take(nowMs)) throw new ConnectionError(ErrorCode.enhanceYourCalm, 'too many calls are given up')
  }

  countIdleFrame(nowMs: number): void {
    if (!this.#idleFrames.take(nowMs))
      throw new ConnectionError(ErrorCode.enhanceYourCalm, 'too many frames without content')
  }

  /** As grpc-go does: clients know this answer, and ping less often from then on. `answerBytes`: sent so far, but for pings. */
  countPing(nowMs: number, answerBytes: number): void {
    if (this.#keepaliveMinTimeMs === 0) return this.countIdleFrame(nowMs)
    const sentBytes = answerBytes + this.#pings * PingPolicy.pingBytes
    this.#pings += 1
    if (!this.#pingPolicy.allows(nowMs, sentBytes))
      throw new ConnectionError(ErrorCode.enhanceYourCalm, 'too_many_pings')
  }
}
