/** One life of a process: what there is while it runs, and is gone with it. */
import type { Lifecycle } from '../../node-server/node/lifecycle/lifecycle.ts'
import type { NodePort } from '../../node-server/node/ports.ts'
import type { WatchableStore } from '../../node-server/node/watch/watchable-store.ts'
import type { ServiceTable } from '../../node-server/grpc/service.ts'
import type { DurableLog } from './disk.ts'
import type { Host } from './network.ts'
import type { Seen } from './oracle.ts'
import type { ProcessClock } from './process-clock.ts'
import type { Damageable } from './stores-in-runs.ts'

export interface Life {
  readonly clock: ProcessClock
  readonly durable: DurableLog
  readonly found: (log: DurableLog) => void
  readonly lifecycle: Lifecycle
  host: Host | undefined
  /** The store that it opened last. */
  backend: Damageable | undefined
  /** There is no data: it waits to be told what to be. */
  isWaiting: boolean
  /** While it runs, whether it serves clients or not. */
  port: NodePort | undefined
  /** When it began to run. */
  beganMs: number
  services: ServiceTable | undefined
  watchableStore: WatchableStore | undefined
  seen: Seen | undefined
  /** Each ends a stream: the connections go when clients are served no more, for a moment or for good. */
  readonly streams: Set<() => void>
  /** Told when the process is gone. */
  readonly onEnd: Set<() => void>
}
