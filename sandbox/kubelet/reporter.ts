/**
 * Keeps the API server's idea of a pod equal to ours: one write at a time, the newest status only. What cannot be written
 * is tried again.
 */
import { systemClock } from '../../lib/system-clock.ts'
import { sleep } from '../../lib/clock.ts'
import { isProblem } from '../../operator/kube/api-error.ts'
import type { ApiClient } from '../client/client.ts'
import { isEqual } from '../client/object.ts'
import { RESOURCES } from '../client/resource.ts'
import type { Pod } from './pod.ts'

const AGAIN_MS = 500

export interface ReporterOptions {
  readonly client: ApiClient
  readonly pod: () => Pod
  readonly status: () => Readonly<Record<string, unknown>>
  readonly onProblem: (message: string) => void
}

export class Reporter {
  readonly #options: ReporterOptions
  #written: Readonly<Record<string, unknown>> | undefined
  #isWanted = false
  #isStopped = false
  #writing: Promise<void> | undefined

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  report(): void {
    this.#isWanted = true
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined))
  }

  /** Resolves when all that was reported is written, or the pod is gone. */
  async flush(): Promise<void> {
    await this.#writing
  }

  stop(): void {
    this.#isStopped = true
  }

  async #write(): Promise<void> {
    const { client, pod, status, onProblem } = this.#options
    while (this.#isWanted && !this.#isStopped) {
      this.#isWanted = false
      const next = status()
      if (isEqual(next, this.#written)) continue
      const { namespace, name, uid } = pod()
      try {
        await client.patch(
          RESOURCES.pods,
          { namespace, name },
          { metadata: { uid }, status: next },
          { subresource: 'status' },
        )
        this.#written = next
      } catch (error) {
        // Gone, or another pod of its name: nobody is left to be told.
        if (isProblem(error, 'NotFound', 'Conflict')) return
        onProblem(`the status of ${name} was not written: ${error instanceof Error ? error.message : String(error)}`)
        this.#isWanted = true
        await sleep(systemClock, AGAIN_MS)
      }
    }
  }
}
