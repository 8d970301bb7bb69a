/** All objects of all resources: what the garbage collector and the deletion of a namespace need to see. */
import { systemClock } from '../../lib/system-clock.ts'
import type { Timer } from '../../lib/clock.ts'
import { discover } from '../client/discovery.ts'
import type { ChangeHandler, Mirror } from '../client/mirror.ts'
import { nameOf } from '../client/mirrors.ts'
import type { Resource } from '../client/resource.ts'
import { RESOURCES } from '../client/resource.ts'
import type { Sandbox } from './loop.ts'

/** They own nothing and nobody deletes them but time; there are many. */
const IGNORED = new Set(['v1/events', 'events.k8s.io/v1/events', 'coordination.k8s.io/v1/leases'])
/** A definition is served a moment after it was written. */
const REDISCOVER_AFTER_MS = 300

export class Universe {
  readonly #sandbox: Sandbox
  readonly #mirrors = new Map<string, Mirror>()
  #resources: readonly Resource[] = []
  readonly #handlers: ChangeHandler[] = []
  #timer: Timer | undefined
  #isStopped = false

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox
  }

  /** Resolves when everything that is there has been read. */
  async start(): Promise<void> {
    await this.#discover()
    await Promise.all([...this.#mirrors.values()].map(async ({ synced }) => synced))
    this.#sandbox.mirrors.of(RESOURCES.crds).onChange(() => this.#discoverSoon(REDISCOVER_AFTER_MS))
  }

  onChange(handler: ChangeHandler): void {
    this.#handlers.push(handler)
    for (const mirror of this.#mirrors.values()) mirror.onChange(handler)
  }

  mirrors(): readonly Mirror[] {
    return [...this.#mirrors.values()]
  }

  /** Also those that are not mirrored. */
  resources(): readonly Resource[] {
    return this.#resources
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  async #discover(): Promise<void> {
    const resources = await discover(this.#sandbox.client)
    this.#resources = resources
    const served = new Set(resources.map(nameOf))
    for (const [name, mirror] of this.#mirrors) {
      if (served.has(name)) continue
      this.#sandbox.mirrors.forget(mirror.resource)
      this.#mirrors.delete(name)
    }
    for (const resource of resources) {
      const name = nameOf(resource)
      if (IGNORED.has(name) || this.#mirrors.has(name)) continue
      const mirror = this.#sandbox.mirrors.of(resource)
      this.#mirrors.set(name, mirror)
      for (const handler of this.#handlers) mirror.onChange(handler)
    }
  }

  #discoverSoon(delayMs: number): void {
    this.#timer?.cancel()
    if (this.#isStopped) return
    this.#timer = systemClock.setTimer(delayMs, () => {
      this.#discover().catch((error: unknown) => {
        this.#sandbox.logger.warn({ err: error }, 'the resources could not be read; trying again')
        this.#discoverSoon(REDISCOVER_AFTER_MS * 10)
      })
    })
  }
}
