/** One mirror for each resource, made when somebody first asks for it. */
import type { Clock } from '../../lib/clock.ts'
import type { ApiClient } from './client.ts'
import { Mirror } from './mirror.ts'
import type { Resource } from './resource.ts'

export interface MirrorsOptions {
  readonly client: ApiClient
  readonly clock: Clock
  readonly onProblem: (message: string) => void
}

export class Mirrors {
  readonly #options: MirrorsOptions
  readonly #ending = new AbortController()
  readonly #mirrors = new Map<
    string,
    { readonly mirror: Mirror; readonly running: Promise<void>; readonly stop: () => void }
  >()

  constructor(options: MirrorsOptions) {
    this.#options = options
  }

  of(resource: Resource): Mirror {
    const name = nameOf(resource)
    const known = this.#mirrors.get(name)
    if (known !== undefined) return known.mirror
    const mirror = new Mirror({ ...this.#options, resource })
    const end = new AbortController()
    const running = mirror.run(AbortSignal.any([this.#ending.signal, end.signal]))
    this.#mirrors.set(name, { mirror, running, stop: () => end.abort() })
    return mirror
  }

  all(): readonly Mirror[] {
    return [...this.#mirrors.values()].map(({ mirror }) => mirror)
  }

  /** Of a resource that is served no more. */
  forget(resource: Resource): void {
    this.#mirrors.get(nameOf(resource))?.stop()
    this.#mirrors.delete(nameOf(resource))
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await Promise.all([...this.#mirrors.values()].map(async ({ running }) => running))
  }
}

export function nameOf(resource: Resource): string {
  return `${resource.apiVersion}/${resource.plural}`
}
