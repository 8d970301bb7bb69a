/** What a participant says about itself, for operators and for the leader's own checks. */
import type { PeerState } from '../../lib/admin-api.ts'
import type { LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { lastIndex, lastTerm } from './log.ts'
import type { Configuration } from './message.ts'
import { isActive } from './liveness.ts'
import { leaderOf, type Raft, type SoftState } from './state.ts'

export interface PeerStatus {
  readonly id: MemberId
  readonly match: LogIndex
  readonly state: PeerState
  /** Also while it is in another state: its store is lost. */
  readonly wantsSnapshot: boolean
  /** It has answered this leader, in this term, within the last election timeout. */
  readonly isActive: boolean
}

export interface RaftStatus {
  readonly role: SoftState['role']
  readonly term: Term
  readonly leader: MemberId
  readonly committed: LogIndex
  readonly applied: LogIndex
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  readonly configuration: Configuration
  readonly configIndex: LogIndex
  readonly isChangePending: boolean
  readonly isTransferring: boolean
  /** On the leader, without itself; otherwise empty. */
  readonly peers: readonly PeerStatus[]
}

export function status(raft: Raft): RaftStatus {
  const { role, log } = raft
  const peers: PeerStatus[] = []
  if (role.kind === 'leader') {
    for (const [id, { match, state, wantsSnapshot }] of role.progress) {
      if (id === raft.options.id) continue
      peers.push({ id, match, state, wantsSnapshot, isActive: isActive(raft, role, id) })
    }
  }
  return {
    role: role.kind,
    term: raft.term,
    leader: leaderOf(raft),
    committed: log.committed,
    applied: log.applied,
    lastIndex: lastIndex(log),
    lastTerm: lastTerm(log),
    configuration: raft.configuration,
    configIndex: raft.configIndex,
    isChangePending: isChangePending(raft),
    isTransferring: role.kind === 'leader' && role.transfer !== undefined,
    peers,
  }
}

/** A change is in the log and not applied, or the configuration is joint. Known on the leader only. */
export function isChangePending(raft: Raft): boolean {
  if (raft.role.kind !== 'leader') return false
  return raft.role.pendingConfigIndex > raft.log.applied || raft.configuration.votersOutgoing.length > 0
}
