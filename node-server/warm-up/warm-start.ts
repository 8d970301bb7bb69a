/**
 * When a member warms up (warm-up.ts): once, and before it serves clients, while its cluster elects a leader. One that comes
 * back to a cluster that has a leader first fetches what it has missed, with the processor to itself, and serves clients as
 * soon as it has that; it warms up beside them. Fetching is helped by nothing of it, and takes less time than it does.
 */
import { sleep, type Clock } from '../../lib/clock.ts'
import { LEADER_HEARD_HEARTBEATS, WARM_UP, WARM_UP_BESIDE, type WarmUpLimits } from '../limits.ts'
import { warmUp } from './warm-up.ts'

export interface WarmStartLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export class WarmStart {
  readonly #clock: Clock
  readonly #log: WarmStartLog
  readonly #work: typeof warmUp
  readonly #stopped = new AbortController()
  #warmedUp: Promise<void> | undefined

  constructor(clock: Clock, log: WarmStartLog, work = warmUp) {
    this.#clock = clock
    this.#log = log
    this.#work = work
  }

  /** Of a member that has nothing yet. */
  begin(limits = WARM_UP): Promise<void> {
    this.#warmedUp ??= this.#warmUp(limits)
    return this.#warmedUp
  }

  /** Of one that runs again: if there is a leader, it makes itself heard. */
  async beginUnlessLed(isLed: () => boolean, heartbeatMs: number): Promise<void> {
    await sleep(this.#clock, LEADER_HEARD_HEARTBEATS * heartbeatMs, this.#stopped.signal)
    if (!isLed()) await this.begin()
  }

  /** Calls `serve` when clients may come. `isFollower`: another member leads. */
  async beforeOrBeside(isFollower: boolean, serve: () => Promise<void>): Promise<void> {
    if (this.#warmedUp !== undefined || !isFollower) await this.begin()
    await serve()
    void this.begin(WARM_UP_BESIDE)
  }

  /** Nobody waits for it any longer. */
  stop(): void {
    this.#stopped.abort()
  }

  /** A member that cannot be warmed up is as good as any. */
  async #warmUp(limits: WarmUpLimits): Promise<void> {
    const { signal } = this.#stopped
    if (signal.aborted) return
    const startMs = this.#clock.monotonicMs()
    try {
      const calls = await this.#work(this.#clock, limits, signal)
      this.#log.info({ calls, ms: Math.round(this.#clock.monotonicMs() - startMs) }, 'warmed up')
    } catch (error) {
      this.#log.warn({ err: error }, 'not warmed up')
    }
  }
}
