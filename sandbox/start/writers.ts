/**
 * Clients that write without a pause, each its own keys in order, the next only when the last is acknowledged: so the
 * number of the last one says which must be there. What is not acknowledged is tried again at another member.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { EtcdJson } from './etcd-json.ts'

const WRITERS = 4
const PAUSE_MS = 5
const AGAIN_MS = 50

export interface Written {
  readonly acknowledged: number
  readonly lost: number
  readonly longestPauseMs: number
}

export class Writers {
  readonly #etcd: EtcdJson
  readonly #prefix: string
  readonly #addresses: () => readonly string[]
  /** By writer: how many of its writes are acknowledged. */
  readonly #acknowledged: number[] = Array.from({ length: WRITERS }, () => 0)
  #isStopping = false
  #lastAtMs = performance.now()
  #longestPauseMs = 0
  readonly #running: readonly Promise<void>[]

  /** `addresses` are those of the members now; `prefix` is for these writers alone. */
  constructor(etcd: EtcdJson, prefix: string, addresses: () => readonly string[]) {
    this.#etcd = etcd
    this.#prefix = prefix
    this.#addresses = addresses
    this.#running = this.#acknowledged.map(async (_, writer) => this.#write(writer))
  }

  get acknowledged(): number {
    return this.#acknowledged.reduce((sum, count) => sum + count, 0)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#running)
  }

  /** Reads everything back from `address`. Call it when stopped. */
  async verify(address: string): Promise<Written> {
    const found = await this.#etcd.readPrefix(address, this.#prefix)
    let lost = 0
    for (const [writer, count] of this.#acknowledged.entries()) {
      for (let number = 1; number <= count; number++) {
        if (found.get(this.#key(writer, number)) !== valueOf(writer, number)) lost++
      }
    }
    return { acknowledged: this.acknowledged, lost, longestPauseMs: this.#longestPauseMs }
  }

  async #write(writer: number): Promise<void> {
    for (let attempt = 0; !this.#isStopping; attempt++) {
      const number = (this.#acknowledged[writer] ?? 0) + 1
      const addresses = this.#addresses()
      const address = addresses[(writer + attempt) % Math.max(1, addresses.length)]
      try {
        if (address === undefined) throw new Error('no member has an address')
        await this.#etcd.put(address, this.#key(writer, number), valueOf(writer, number))
        this.#acknowledged[writer] = number
        this.#noteAcknowledged()
        attempt--
        await delay(PAUSE_MS)
      } catch {
        // Not acknowledged: it may be there or not, and writing it again does no harm.
        await delay(AGAIN_MS)
      }
    }
  }

  #noteAcknowledged(): void {
    const nowMs = performance.now()
    this.#longestPauseMs = Math.max(this.#longestPauseMs, nowMs - this.#lastAtMs)
    this.#lastAtMs = nowMs
  }

  #key(writer: number, number: number): string {
    return `${this.#prefix}${writer}/${String(number).padStart(8, '0')}`
  }
}

function valueOf(writer: number, number: number): string {
  return `${writer}:${number}`
}
