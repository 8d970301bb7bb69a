/** What every controller of the sandbox is made of: a work queue of keys and one function that makes a key right. */
import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { systemClock } from '../../lib/system-clock.ts'
import { Controller } from '../../operator/controller/controller.ts'
import { DEFAULT_QUEUE_OPTIONS } from '../../operator/controller/work-queue.ts'
import type { ApiClient } from '../client/client.ts'
import type { Mirrors } from '../client/mirrors.ts'

export interface Sandbox {
  readonly client: ApiClient
  readonly mirrors: Mirrors
  readonly logger: Logger
  /** A bug: the process must end. */
  readonly onFatal: (error: Error) => void
}

export interface LoopOptions {
  readonly name: string
  /** Answers after how many milliseconds to look again; undefined: at the next change. */
  readonly reconcile: (key: string) => Promise<number | undefined>
  /** All there are: looked at now and then, and at the start. */
  readonly keys: () => Iterable<string>
  readonly maxConcurrent?: number
}

export interface Loop {
  enqueue(key: string): void
  stop(): Promise<void>
}

const RESYNC_MS = 30_000
const RECONCILE_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 1000
/** On one machine a conflict is over at once, and a person waits for the result. */
const QUEUE = { ...DEFAULT_QUEUE_OPTIONS, firstRetryMs: 20, maxRetryMs: 10_000 }

/** Call it when the mirrors that `reconcile` reads have synced. */
export function startLoop({ logger, onFatal }: Sandbox, options: LoopOptions): Loop {
  const controller = new Controller({
    name: options.name,
    reconcile: async (key) => {
      const requeueAfterMs = await options.reconcile(key)
      return requeueAfterMs === undefined ? { kind: 'done' } : { kind: 'done', requeueAfterMs }
    },
    clock: systemClock,
    logger: logger.child({ controller: options.name }),
    logFields: (key) => ({ key }),
    newId: randomUUID,
    observer: { taken: () => undefined, finished: () => undefined },
    onBug: (_, error) => onFatal(error instanceof Error ? error : new Error(String(error))),
    maxConcurrent: options.maxConcurrent ?? 4,
    reconcileTimeoutMs: RECONCILE_TIMEOUT_MS,
    resyncPeriodMs: RESYNC_MS,
    keys: options.keys,
    queue: QUEUE,
  })
  controller.start()
  return {
    enqueue: (key) => controller.enqueue(key),
    stop: async () => void (await controller.drain(STOP_TIMEOUT_MS)),
  }
}
