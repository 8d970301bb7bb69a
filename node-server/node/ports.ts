/**
 * What the etcd API needs from the member behind it. Handlers check and translate; everything that takes a quorum, a
 * deadline or the store happens here. Deadlines are the member's: no promise of these stays open for ever.
 */
import type { ClusterId, LogIndex, MemberId, Revision, Term } from '../../lib/ids.ts'
import type { Result } from '../../lib/result.ts'
import type { ApplyResult } from '../mvcc/apply.ts'
import type { RangeOutcome } from '../mvcc/range.ts'
import type { RangeRequest } from '../proto/generated/etcd/rpc.ts'

/** What may stand against a request whatever it asks for; api/etcd/errors.ts has what a client is told. */
export type NodeProblem =
  | 'no-leader'
  /** Leadership moved while the request was under way: the outcome of a write is unknown. */
  | 'leader-changed'
  | 'timeout'
  | 'timeout-leader-failed'
  | 'timeout-connection-lost'
  /** Too much is committed and not applied, or too many requests wait. */
  | 'too-many-requests'
  | 'request-too-large'
  | 'no-space'
  | 'stopped'

export type MembershipProblem =
  | NodeProblem
  | 'member-not-found'
  | 'member-id-exists'
  | 'peer-urls-exist'
  | 'not-a-learner'
  | 'learner-not-ready'
  | 'too-many-learners'
  /** A voter has not been heard from lately, so changing the configuration would be a risk. */
  | 'unhealthy-cluster'
  /** Too few members would be left that have ever started. */
  | 'not-enough-started-members'

export type TransferProblem = NodeProblem | 'not-leader' | 'bad-transferee'

export type ProposalKind = 'put' | 'delete-range' | 'txn' | 'compact'

/** A membership change as the etcd API asks for it: unfenced, on whatever configuration is in force. */
export type EtcdMembershipChange =
  | { readonly kind: 'add'; readonly peerURLs: readonly string[]; readonly isLearner: boolean }
  | { readonly kind: 'remove'; readonly memberId: MemberId }
  | { readonly kind: 'promote'; readonly memberId: MemberId }
  | { readonly kind: 'update'; readonly memberId: MemberId; readonly peerURLs: readonly string[] }

export interface ClusterMember {
  readonly id: MemberId
  /** Empty until the member has started for the first time. */
  readonly name: string
  readonly peerURLs: readonly string[]
  readonly clientURLs: readonly string[]
  readonly isLearner: boolean
}

export interface MembershipOutcome {
  /** The member that the change was about, as it is now, or as it was when removed. */
  readonly member: ClusterMember
  readonly members: readonly ClusterMember[]
}

export interface NodePort {
  readonly clusterId: ClusterId
  readonly memberId: MemberId
  readonly term: Term
  /** NOBODY when no leader is known. */
  readonly leader: MemberId
  readonly isLearner: boolean
  /** Revision of the store as applied so far. */
  readonly revision: Revision
  readonly commitIndex: LogIndex
  readonly appliedIndex: LogIndex
  readonly dbSizeBytes: number
  readonly dbSizeInUseBytes: number

  /**
   * Puts the request's own bytes into the log and resolves once the entry is applied here. Never proposes twice: after a
   * timeout or a change of leader the outcome is unknown. `requestBytes` must not change until then.
   */
  propose(kind: ProposalKind, requestBytes: Uint8Array): Promise<Result<ApplyResult, NodeProblem>>
  /** Resolves once this member has applied all that was committed when it was called (ReadIndex, thesis §6.4). */
  linearizableBarrier(): Promise<Result<undefined, NodeProblem>>
  /** Reads what is applied here now, without asking anybody. */
  range(request: RangeRequest): RangeOutcome
  /** Resolves once the physical part of the last compaction is done. */
  compacted(): Promise<Result<undefined, NodeProblem>>
  /** In order of their IDs. */
  members(): readonly ClusterMember[]
  changeMembership(change: EtcdMembershipChange): Promise<Result<MembershipOutcome, MembershipProblem>>
  /** Only on the leader; resolves once the target leads. */
  transferLeader(target: MemberId): Promise<Result<undefined, TransferProblem>>
}
