/** The rows of the table, in its order. */
import type { Scenario } from './scenario.ts'
import { catchUp, catchUpUnderWrites } from './scenarios/catch-up.ts'
import { compaction } from './scenarios/compaction.ts'
import { deleteRange, deleteRanges, revoke } from './scenarios/deletes.ts'
import { forwarded } from './scenarios/forwarded.ts'
import { fullDisk } from './scenarios/full-disk.ts'
import { keepAlive, leasesEnd, takeOver } from './scenarios/leases.ts'
import { election, locks, manyLocks } from './scenarios/locks.ts'
import { defragmentation, maintenanceVariants } from './scenarios/maintenance.ts'
import { noLeader } from './scenarios/no-leader.ts'
import { proposals } from './scenarios/proposals.ts'
import { fullRange, pages, rangeVariants } from './scenarios/ranges.ts'
import { snapshot } from './scenarios/snapshot.ts'
import { pastWatches, unreadWatches, watches } from './scenarios/watches.ts'

export const SCENARIOS: readonly Scenario[] = [
  catchUp,
  catchUpUnderWrites,
  forwarded,
  compaction,
  snapshot,
  fullRange,
  ...rangeVariants,
  pages,
  deleteRange,
  deleteRanges,
  revoke,
  keepAlive,
  takeOver,
  leasesEnd,
  locks,
  election,
  manyLocks,
  watches,
  unreadWatches,
  pastWatches,
  defragmentation,
  ...maintenanceVariants,
  noLeader,
  proposals,
  fullDisk,
]
