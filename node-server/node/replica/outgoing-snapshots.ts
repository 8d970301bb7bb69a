/**
 * Snapshots for peers that need entries that are no longer in the log. Each is a copy of the store, so there are few at a time, and
 * after one that failed the next waits, longer each time.
 *
 * Invariants
 *   - At most one is under way to a peer, also when this member has lost the lead and got it back meanwhile.
 *   - Each request of the core is answered once (reportSnapshot), unless this member no longer leads by then.
 *   - From before the store is pinned until the peer goes on from it, the log is kept for the peer, as log-cut.ts says.
 */
import { backoffMs, type BackoffOptions } from '../../../lib/backoff.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { LogIndex, MemberId } from '../../../lib/ids.ts'
import type { Result } from '../../../lib/result.ts'
import { MAX_OUTGOING_SNAPSHOTS } from '../../limits.ts'
import { reportSnapshot, status, type PeerStatus, type Raft } from '../../raft/raft.ts'
import type { SnapshotMessage } from '../../transport/transport.ts'
import type { SendingWatcher } from '../maintenance/store-files.ts'
import type { KeptLog } from './log-cut.ts'

/** The longest pause is also how long a peer whose disk has room again may have to wait. */
const BACKOFF: BackoffOptions = { firstMs: 1000, factor: 2, maxMs: 30_000, jitter: 0.2 }

export interface OutgoingSnapshotsParts {
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** In [0, 1). */
  readonly random: () => number
  readonly raft: Raft
  /** Where the log would be cut now if nobody needed more. */
  readonly usualCut: () => LogIndex
  /** Pins the store and sends it; the outcome comes back by {@link OutgoingSnapshots.ended}. */
  readonly send: (message: SnapshotMessage, watcher: SendingWatcher) => void
}

export interface SnapshotProgress {
  readonly sentBytes: number
  readonly totalBytes: number
}

interface Peer {
  /** Asked for and not begun. */
  waiting: SnapshotMessage | undefined
  /** Begun, and the peer still needs more of the log than others. */
  begun: { after: LogIndex; readonly appendedBefore: number; gotOnMs: number } | undefined
  /** Failures in a row. */
  failures: number
  notBeforeMs: number
}

interface Progress {
  sentBytes: number
  /** Undefined until the store is pinned. */
  totalBytes: number | undefined
}

export class OutgoingSnapshots {
  readonly #parts: OutgoingSnapshotsParts
  /** Peers that need a snapshot or may soon need another; removed once they have caught up. */
  readonly #peers = new Map<MemberId, Peer>()
  readonly #underWay = new Map<MemberId, Progress>()

  constructor(parts: OutgoingSnapshotsParts) {
    this.#parts = parts
  }

  /** The core requests one for that peer. */
  ask(message: SnapshotMessage): void {
    const { to } = message
    const peer = this.#peers.get(to) ?? { waiting: undefined, begun: undefined, failures: 0, notBeforeMs: 0 }
    this.#peers.set(to, peer)
    if (peer.begun !== undefined && !this.#underWay.has(to)) this.#failed(peer) // it has arrived, and did not help
    peer.waiting = message
    this.#beginDue()
  }

  /** A transfer is over. */
  ended(to: MemberId, result: Result<void, string>): void {
    if (!this.#underWay.delete(to)) return
    const peer = this.#peers.get(to)
    if (peer !== undefined) {
      if (result.ok) this.#arrived(peer)
      else this.#failed(peer)
    }
    if (peer?.waiting === undefined) reportSnapshot(this.#parts.raft, to, result.ok)
    this.#beginDue()
  }

  tick(): void {
    if (this.#peers.size === 0) return
    const peers = new Map(status(this.#parts.raft).peers.map((peer) => [peer.id, peer]))
    const usualCut = this.#parts.usualCut()
    const nowMs = this.#parts.clock.monotonicMs()
    for (const [id, peer] of this.#peers) {
      const known = peers.get(id)
      const hasCaughtUp = known?.state === 'replicate' && !known.wantsSnapshot && known.match >= usualCut
      if (known === undefined || hasCaughtUp) {
        this.#peers.delete(id)
        if (peer.waiting !== undefined) reportSnapshot(this.#parts.raft, id, false)
      } else if (peer.begun !== undefined && known.match > peer.begun.after) {
        peer.begun.after = known.match
        peer.begun.gotOnMs = nowMs
      }
    }
    this.#beginDue()
  }

  /** This member no longer leads: nobody waits for its snapshots. */
  demote(): void {
    this.#peers.clear()
  }

  /** Progress of the snapshot that is on its way to that peer. */
  progressTo(id: MemberId): SnapshotProgress | undefined {
    const { sentBytes = 0, totalBytes } = this.#underWay.get(id) ?? {}
    return totalBytes === undefined ? undefined : { sentBytes, totalBytes }
  }

  /** The peers for which the log is kept. */
  get kept(): readonly KeptLog[] {
    const { clock, raft } = this.#parts
    const nowMs = clock.monotonicMs()
    const kept: KeptLog[] = []
    for (const [id, { begun }] of this.#peers) {
      if (begun === undefined) continue
      const { after, appendedBefore, gotOnMs } = begun
      const idleMs = this.#underWay.has(id) ? 0 : nowMs - gotOnMs
      kept.push({ after, idleMs, sizeBytes: raft.log.appendedSizeBytes - appendedBefore })
    }
    return kept
  }

  #beginDue(): void {
    const nowMs = this.#parts.clock.monotonicMs()
    for (const [id, peer] of this.#peers) {
      if (this.#underWay.size >= MAX_OUTGOING_SNAPSHOTS) return
      const { waiting, notBeforeMs } = peer
      if (waiting !== undefined && nowMs >= notBeforeMs && !this.#underWay.has(id)) this.#begin(peer, waiting, nowMs)
    }
  }

  #begin(peer: Peer, message: SnapshotMessage, nowMs: number): void {
    const { raft, send } = this.#parts
    peer.waiting = undefined
    if (!this.#isWanted(message)) return reportSnapshot(raft, message.to, false)
    const begun = { after: raft.log.base.index, appendedBefore: raft.log.appendedSizeBytes, gotOnMs: nowMs }
    peer.begun = begun
    const progress: Progress = { sentBytes: 0, totalBytes: undefined }
    this.#underWay.set(message.to, progress)
    send(message, {
      onPinned: (index, totalBytes) => {
        begun.after = index
        progress.totalBytes = totalBytes
      },
      onSent: (sentBytes) => (progress.sentBytes = sentBytes),
    })
  }

  /** The peer may have gone away while it waited; it asks again when it is back. */
  #isWanted({ to, term }: SnapshotMessage): boolean {
    const { raft } = this.#parts
    const isNow = ({ id, state, wantsSnapshot, isActive }: PeerStatus): boolean =>
      id === to && (state === 'snapshot' || wantsSnapshot) && isActive
    return raft.term === term && status(raft).peers.some(isNow)
  }

  #arrived(peer: Peer): void {
    peer.waiting = undefined // asked for by this member when it led before: the snapshot that has arrived may be enough
    if (peer.begun !== undefined) peer.begun.gotOnMs = this.#parts.clock.monotonicMs()
  }

  #failed(peer: Peer): void {
    const { clock, random } = this.#parts
    peer.begun = undefined
    peer.notBeforeMs = clock.monotonicMs() + backoffMs(BACKOFF, peer.failures, random())
    peer.failures += 1
  }
}
