/** The API of a member that serves, with streams so narrow and slices so short that a few events fill them. */
import type { Clock } from '../../lib/clock.ts'
import { etcdServices } from '../../node-server/api/etcd/services.ts'
import type { ServiceTable } from '../../node-server/grpc/service.ts'
import { WATCH, type WatchLimits } from '../../node-server/limits.ts'
import type { NodePort } from '../../node-server/node/ports.ts'
import { WatchableStore } from '../../node-server/node/watch/watchable-store.ts'
import { ELECTION_MS } from './member-options.ts'
import type { World } from './world.ts'

/** Little, so that a slow watcher's stream is full after a few responses. */
const OUTBOX_BYTES = 1500
/** So that watchers read on in several pages, and not all of them in one cohort. */
const WATCH_LIMITS: WatchLimits = { ...WATCH, pageEvents: 6, cohortWatchers: 4, cohortPages: 2 }
/** How often a look at the clock finds that a slice of the watchers' work is over. */
const SLICE_OVER = 0.5
/** So that ranges over the few keys of a simulation take several slices. */
const RANGE_SLICE_ROWS = 2

export interface Served {
  readonly watchableStore: WatchableStore
  readonly services: ServiceTable
}

export function serve(port: NodePort, clock: Clock, world: World): Served {
  const watchableStore = new WatchableStore(port, hastyClock(clock, world.random), WATCH_LIMITS)
  const watch = { watchableStore, electionMs: ELECTION_MS, random: world.random.next, outboxBytes: OUTBOX_BYTES }
  port.onApplied(() => {
    if (watchableStore.counts.slowWatchers > 0) world.coverage.note('unsynced watcher or victim')
  })
  // Once there are users, they are told by the names in their certificates.
  const auth = { isClientCertAuth: true }
  const options = { maxTxnOps: 128, clock, watch, auth, sliceRows: RANGE_SLICE_ROWS }
  return { watchableStore, services: etcdServices(port, options) }
}

/** Time stands still within a turn; with this one, work in slices is cut anywhere all the same. */
function hastyClock(clock: Clock, random: World['random']): Clock {
  let aheadMs = 0
  return {
    monotonicMs: () => clock.monotonicMs() + (random.chance(SLICE_OVER) ? (aheadMs += 10) : aheadMs),
    wallMs: () => clock.wallMs(),
    setTimer: (delayMs, fire) => clock.setTimer(delayMs, fire),
    soon: (fire) => clock.soon(fire),
  }
}
