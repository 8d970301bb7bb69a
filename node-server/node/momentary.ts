/** How a member runs that lives for a moment, in a process that is about something else. */
import type { Clock } from '../../lib/clock.ts'
import { APPLY_SLICE, FLOW, LEASES } from '../limits.ts'
import { UNOBSERVED } from './observer.ts'
import { DEFAULT_MAINTENANCE, type NodeOptions } from './options.ts'

/** Short, so that what was asked before there was a leader is soon asked again. */
const HEARTBEAT_MS = 20
export const MOMENTARY_ELECTION_MS = 100
export const MOMENTARY_REQUEST_BYTES = 64 * 1024

export function momentaryOptions(name: string, clock: Clock): NodeOptions {
  return {
    name,
    clientURLs: [],
    heartbeatMs: HEARTBEAT_MS,
    electionMs: MOMENTARY_ELECTION_MS,
    snapshotCount: Number.MAX_SAFE_INTEGER,
    catchUpEntries: Number.MAX_SAFE_INTEGER,
    maxLearners: 1,
    isReconfigStrict: true,
    slowApplyMs: Infinity,
    quotaBytes: -1,
    maintenance: DEFAULT_MAINTENANCE,
    maxRequestBytes: MOMENTARY_REQUEST_BYTES,
    flow: FLOW,
    leases: LEASES,
    applySlice: APPLY_SLICE,
    clock,
    observer: UNOBSERVED,
    log: { info: nothing, warn: nothing, error: nothing },
    random: () => 0,
  }
}

const nothing = (): void => undefined
