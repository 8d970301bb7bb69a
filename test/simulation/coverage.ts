/** How often each fault struck and each rare path was taken: a simulation that never gets somewhere proves nothing there. */

export const FAULTS = [
  'crash of one member',
  'crash of all members',
  'crash in a restart loop',
  'crash while names change',
  'pause longer than an election',
  'stall of the event loop',
  'unsynced write lost or torn at a crash',
  'slow sync',
  'sync fails (EIO)',
  'disk full (ENOSPC, half a write)',
  'flipped bit on a stopped disk',
  'volume of another member',
  'empty volume under a known name',
  'message dropped',
  'message duplicated',
  'message delayed past others',
  'corrupt frame',
  'partition',
  'one-way partition',
  'leader cut off from all others',
  'clogged link',
  'message from a removed member',
  'message for another cluster',
  'stalled snapshot stream',
  'slow snapshot stream',
  'no room for a snapshot',
  'wall clock jump',
  'clock drift',
  'oversized request',
  'store damaged while it is used',
  'client gives up waiting',
  'slow watcher',
] as const

export const PATHS = [
  'election by time-out',
  'election by transfer',
  'leader steps down without a quorum',
  'term change during a ReadIndex round',
  'snapshot sent to a follower',
  'snapshot installed',
  'snapshot installed at a start',
  'snapshot installed beside a defragmentation',
  'member goes on without its damaged store',
  'damaged store replaced by a snapshot',
  'torn tail cut at a start',
  'log compacted',
  'log segment released',
  'uncommitted entries overwritten',
  'proposal forwarded to the leader',
  'proposals wait for room on the way to the leader',
  'pipeline to a follower is full',
  'member added as a learner',
  'learner promoted',
  'member removed',
  'leader removed',
  'member replaced by one with an empty volume',
  'removed member refused by its peers',
  'change refused: stale configuration',
  'change refused: quorum at risk',
  'two changes asked for at once',
  'change refused: another in flight',
  'repeat of an operation answered with its first result',
  'directory refused at a start',
  'write whose outcome is unknown',
  'linearizable read on a follower',
  'serializable read',
  'restarted member serves without a leader',
  'txn that succeeds',
  'txn that fails',
  'compaction',
  'read refused as compacted',
  'joint configuration entered and left',
  'lease expired',
  'lease revoked',
  'lease renewed',
  'lease renewed through a follower',
  'watch resumed on another member',
  'watch behind or held up',
  'watch cancelled by a compaction',
  'watch from the past',
  'defragmentation',
  'NOSPACE alarm',
] as const

export type Fault = (typeof FAULTS)[number]
export type Path = (typeof PATHS)[number]
export type Place = Fault | Path

export class Coverage {
  readonly counts = new Map<string, number>()

  note(place: Place, times = 1): void {
    this.counts.set(place, (this.counts.get(place) ?? 0) + times)
  }

  add(other: Iterable<readonly [string, number]>): void {
    for (const [place, times] of other) this.counts.set(place, (this.counts.get(place) ?? 0) + times)
  }

  get missing(): readonly Place[] {
    return [...FAULTS, ...PATHS].filter((place) => (this.counts.get(place) ?? 0) === 0)
  }
}
