/**
 * What the leader knows about one peer, and how fast it may send to it.
 *
 * `probe`: one message at a time until it is known where the logs match. `replicate`: a pipeline, bounded by messages and
 * bytes in flight. `snapshot`: nothing, until the snapshot has arrived or failed.
 */
import { assert, unreachable } from '../../lib/assert.ts'
import { LogIndex } from '../../lib/ids.ts'
import type { PeerState } from '../../lib/admin-api.ts'

export interface Progress {
  state: PeerState
  /** Highest index known durable there. match < next. */
  match: LogIndex
  /** The next entry to send. */
  next: LogIndex
  /** Probe only: a message is out, and nothing more is sent until an answer or a heartbeat's answer. */
  isProbeSent: boolean
  /** It has asked for a snapshot although the log reaches it: it gets both. */
  wantsSnapshot: boolean
  /** One was asked for, and {@link wantsSnapshot} needs no other until it has ended. */
  isSnapshotOut: boolean
  /** Replicate only: the last index and size of each message in flight, oldest first. */
  inflight: { readonly lastIndex: LogIndex; readonly sizeBytes: number }[]
  inflightSizeBytes: number
  /** The leader's tick count when it began to wait for the peer's first answer. */
  readonly awaitedSinceTick: number
  /** The leader's tick count at the peer's last answer; undefined until it has answered this leader, in this term. */
  answeredAtTick: number | undefined
  /** Newest round of heartbeats, of reads or of a roll call, that the peer has answered. */
  readBatch: number
}

export function createProgress(next: LogIndex, nowTick: number): Progress {
  return {
    state: 'probe',
    match: LogIndex(0),
    next,
    isProbeSent: false,
    wantsSnapshot: false,
    isSnapshotOut: false,
    inflight: [],
    inflightSizeBytes: 0,
    awaitedSinceTick: nowTick,
    answeredAtTick: undefined,
    readBatch: 0,
  }
}

/** Known to be there: it has answered this leader, in this term, within the last `ticks`. */
export function isAnswering({ answeredAtTick }: Progress, nowTick: number, ticks: number): boolean {
  return answeredAtTick !== undefined && nowTick - answeredAtTick <= ticks
}

/** Not known to be away: it answers, or has had less than `ticks` to do so. A new leader gives up no peer before that. */
export function mayBeThere({ answeredAtTick, awaitedSinceTick }: Progress, nowTick: number, ticks: number): boolean {
  return nowTick - (answeredAtTick ?? awaitedSinceTick) <= ticks
}

function enter(progress: Progress, state: PeerState, next: LogIndex): void {
  assert(next > progress.match, () => `next ${next} must be beyond match ${progress.match}`)
  progress.state = state
  progress.next = next
  progress.isProbeSent = false
  progress.inflight = []
  progress.inflightSizeBytes = 0
}

export function becomeProbe(progress: Progress): void {
  enter(progress, 'probe', LogIndex(progress.match + 1))
}

export function becomeReplicate(progress: Progress): void {
  enter(progress, 'replicate', LogIndex(progress.match + 1))
}

export function becomeSnapshot(progress: Progress): void {
  enter(progress, 'snapshot', LogIndex(Math.max(progress.next, progress.match + 1)))
}

/** It has its snapshot: probe where the log begins now, which may be further on than when the snapshot was asked for. */
export function snapshotDelivered(progress: Progress, base: LogIndex): void {
  enter(progress, 'probe', LogIndex(Math.max(progress.match, base) + 1))
}

/** The peer has everything up to `index`. False when that was known. */
export function matched(progress: Progress, index: LogIndex): boolean {
  release(progress, index)
  progress.next = LogIndex(Math.max(progress.next, index + 1))
  if (index <= progress.match) return false
  progress.match = index
  progress.isProbeSent = false
  return true
}

/** The peer does not match at `rejected`. False when the answer is older than what is known. */
export function rejected(progress: Progress, rejectedIndex: LogIndex, hint: LogIndex): boolean {
  if (progress.state === 'replicate') {
    if (rejectedIndex <= progress.match) return false
    progress.next = LogIndex(progress.match + 1)
    return true
  }
  if (progress.next - 1 !== rejectedIndex) return false
  progress.next = LogIndex(Math.max(Math.min(rejectedIndex, hint + 1), progress.match + 1))
  progress.isProbeSent = false
  return true
}

export interface FlowLimits {
  readonly maxInflightMessages: number
  readonly maxInflightSizeBytes: number
}

export function mayAppend(progress: Progress, limits: FlowLimits): boolean {
  switch (progress.state) {
    case 'probe':
      return !progress.isProbeSent
    case 'replicate':
      return (
        progress.inflight.length < limits.maxInflightMessages &&
        progress.inflightSizeBytes < limits.maxInflightSizeBytes
      )
    case 'snapshot':
      return false
    default:
      return unreachable(progress.state)
  }
}

/** An append with entries up to `last` left (`last` undefined: an empty one). */
export function sent(progress: Progress, last: LogIndex | undefined, sizeBytes: number): void {
  if (progress.state === 'probe') {
    progress.isProbeSent = true
    return
  }
  if (last === undefined) return
  progress.next = LogIndex(last + 1)
  progress.inflight.push({ lastIndex: last, sizeBytes })
  progress.inflightSizeBytes += sizeBytes
}

/** A heartbeat was answered: the peer lives, so a lost probe gets another chance. */
export function heard(progress: Progress): void {
  progress.isProbeSent = false
}

function release(progress: Progress, index: LogIndex): void {
  let done = 0
  for (const message of progress.inflight) {
    if (message.lastIndex > index) break
    progress.inflightSizeBytes -= message.sizeBytes
    done += 1
  }
  if (done > 0) progress.inflight.splice(0, done)
}
