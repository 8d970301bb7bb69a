/**
 * Streams whose client asked for a leader (request header `hasleader: true`) end when the member has not known one for
 * three election timeouts; a new one is refused at once. As in etcd, which cancels late because reconnecting costs more
 * than being refused.
 */
import type { Clock, Timer } from '../../../lib/clock.ts'
import { NOBODY } from '../../../lib/ids.ts'
import type { NodePort } from '../../node/ports.ts'

const MAX_TIMEOUTS_WITHOUT_LEADER = 3

export class LeaderMonitor {
  readonly #node: NodePort
  readonly #clock: Clock
  readonly #electionMs: number
  readonly #listeners = new Set<() => void>()
  #timer: Timer | undefined
  #timeoutsWithoutLeader = 0

  constructor(node: NodePort, clock: Clock, electionMs: number) {
    this.#node = node
    this.#clock = clock
    this.#electionMs = electionMs
  }

  /** Calls `lost` once when there is no leader for too long. Returns what ends it. There is a leader now. */
  onLost(lost: () => void): () => void {
    const listener = (): void => lost()
    this.#listeners.add(listener)
    if (this.#timer === undefined) this.#wait()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#stop()
    }
  }

  #wait(): void {
    this.#timer = this.#clock.setTimer(this.#electionMs, () => {
      this.#look()
      if (this.#listeners.size > 0) this.#wait()
      else this.#stop()
    })
  }

  #look(): void {
    const isLed = this.#node.status().leader !== NOBODY
    this.#timeoutsWithoutLeader = isLed ? 0 : this.#timeoutsWithoutLeader + 1
    if (this.#timeoutsWithoutLeader < MAX_TIMEOUTS_WITHOUT_LEADER) return
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const lost of listeners) lost()
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timeoutsWithoutLeader = 0
  }
}
