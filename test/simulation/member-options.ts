/** What a simulated member is told: bounds so narrow that little data meets them. */
import type { Clock } from '../../lib/clock.ts'
import { FLOW, LEASES, type ApplySlice } from '../../node-server/limits.ts'
import { UNOBSERVED } from '../../node-server/node/observer.ts'
import { DEFAULT_MAINTENANCE, type NodeOptions } from '../../node-server/node/options.ts'
import type { World } from './world.ts'

const TICK_MS = 100
export const ELECTION_MS = 1000
/** So few that a new leader is asked for leases that it has not read yet. */
const LEASE_SLICE = 2
const APPLY_SLICE: ApplySlice = { ms: 5, parts: 2, rows: 2 }

export function memberOptions(name: string, world: World, clock: Clock): NodeOptions {
  const { options, coverage } = world
  return {
    name: name,
    clientURLs: [`http://${name}:2379`],
    heartbeatMs: TICK_MS,
    electionMs: ELECTION_MS,
    snapshotCount: options.snapshotCount,
    catchUpEntries: options.catchUpEntries,
    maxLearners: 1,
    isReconfigStrict: true,
    slowApplyMs: 1e9,
    quotaBytes: options.quotaBytes,
    maintenance: DEFAULT_MAINTENANCE,
    maxRequestBytes: options.narrow?.maxRequestBytes ?? 16 * 1024,
    flow: options.narrow?.flow ?? FLOW,
    leases: { ...LEASES, sliceLeases: LEASE_SLICE },
    applySlice: APPLY_SLICE,
    clock,
    observer: { ...UNOBSERVED, leaseExpired: () => coverage.note('lease expired') },
    log: {
      info: (fields, message) => world.noteLog(name, message, fields),
      warn: (fields, message) => world.noteLog(name, message, fields),
      error: (fields, message) => world.noteLog(name, message, fields),
    },
    random: world.random.next,
  }
}
