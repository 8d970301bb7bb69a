/** What the etcd API needs from the member behind it. Handlers know this, the store's read functions, and nothing else. */
import type { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import type { Result } from '../../lib/result.ts'
import type { ApplyResult } from '../mvcc/apply.ts'
import type { AuthInfo } from '../mvcc/auth/state.ts'
import type { PinnedStore } from '../mvcc/backend.ts'
import type { CommandKind } from '../mvcc/command.ts'
import type { StoreError } from '../mvcc/errors.ts'
import type { KeyValueHash } from '../mvcc/hash-kv.ts'
import type { AuthEffect } from '../mvcc/results.ts'
import type { Store } from '../mvcc/store.ts'

/** Why a request did not get its answer. The API's error table gives each its gRPC code and etcd's text. */
export type NodeProblem =
  | 'no-leader'
  | 'not-leader'
  | 'leader-changed'
  /** There was no leader during the whole time of the request: it was not and will not be carried out. */
  | 'not-proposed'
  /** The outcome of a write is unknown: it may still be applied. It is never proposed a second time. */
  | 'timeout'
  /** As `timeout`, and the leader was lost while it waited. */
  | 'leader-failed'
  /** As `timeout`, and the connection to the leader, or the leader's to a quorum, was lost while it waited. */
  | 'connection-lost'
  | 'too-many-requests'
  | 'not-supported-for-learner'
  | 'request-too-large'
  | 'stopped'
  /** See `NodeStatus.damage`. */
  | 'store-damaged'
  /** The store is larger than the quota allows, or the disk is nearly full. */
  | 'no-space'
  /** The disk has no space for a copy of the store. */
  | 'no-room'
  | 'unhealthy-cluster'
  /** Too few voters have started: one that has never announced its name does not count. */
  | 'not-enough-started'
  | 'member-not-found'
  | 'member-exists'
  | 'peer-urls-exist'
  | 'member-not-learner'
  | 'learner-not-ready'
  | 'too-many-learners'
  | 'change-in-flight'
  | 'bad-transferee'
  | 'transfer-timeout'
  /** Some member cannot be asked, or is of a version that cannot apply this command. */
  | 'members-too-old'

export interface Member {
  readonly id: MemberId
  readonly name: string
  readonly peerURLs: readonly string[]
  readonly clientURLs: readonly string[]
  readonly isLearner: boolean
}

export interface NodeStatus {
  readonly leader: MemberId
  readonly term: Term
  readonly commitIndex: LogIndex
  readonly appliedIndex: LogIndex
  readonly isLearner: boolean
  /** The cluster has removed this member, or it stops: its data is no longer the cluster's. */
  readonly isStopped: boolean
  /** Where its store is damaged, for logs; the member serves nothing until it has another store. */
  readonly damage: string | undefined
}

export type MemberChange =
  | { readonly kind: 'add'; readonly peerURLs: readonly string[]; readonly isLearner: boolean }
  | { readonly kind: 'promote'; readonly memberId: MemberId }
  | { readonly kind: 'remove'; readonly memberId: MemberId }
  | { readonly kind: 'update'; readonly memberId: MemberId; readonly peerURLs: readonly string[] }

/** Commands that clients send; their payload is the etcd request as it came. */
export type RequestKind = Extract<
  CommandKind,
  'put' | 'delete-range' | 'txn' | 'compact' | 'lease-grant' | 'lease-revoke' | 'alarm' | 'auth'
>

export interface LeaseTimeToLive {
  readonly ttlSeconds: number
  /** Whole seconds; negative if the lease should have ended. */
  readonly remainingSeconds: number
  /** In key order; empty unless requested. */
  readonly keys: readonly Uint8Array[]
}

export interface HashedKeyValues extends KeyValueHash {
  /** Revision of the store when the pass was finished. */
  readonly currentRevision: number
}

export type HashProblem = NodeProblem | StoreError['kind']

/** Who waits for an answer. The signal is created at its first use. */
export interface Caller {
  readonly signal: AbortSignal
}

export interface NodePort {
  readonly clusterId: ClusterId
  readonly memberId: MemberId
  /** Changes when a snapshot is installed: ask for it again in each request. */
  readonly store: Store
  /** 0 means 2 GiB, a negative one no limit. */
  readonly quotaBytes: number
  status(): NodeStatus
  members(): readonly Member[]
  /**
   * The listener is called after each batch of entries that was applied here, and when a snapshot has replaced the store:
   * it reads what it needs (revision, events, leases) from `store`. Returns a function that removes it.
   */
  onApplied(listener: () => void): () => void
  /**
   * Resolves when the request is applied here; never rejects. Times out after 5 s + 2 election timeouts. A request that still
   * waits for a leader when its caller is gone is dropped. `authInfo`: the user; undefined when authentication is off.
   */
  propose(
    kind: RequestKind,
    request: Uint8Array,
    caller?: Caller,
    authInfo?: AuthInfo,
  ): Promise<Result<ApplyResult, NodeProblem>>
  /** The listener is called for each change of users and roles that is applied here, in order. Returns a function that removes it. */
  onAuthChanged(listener: (effect: AuthEffect) => void): () => void
  /** Resolves once everything that was committed when it was called is applied here (ReadIndex). */
  linearizableBarrier(): Promise<Result<void, NodeProblem>>
  /** Hash of this member's own data; `revision` 0 means the current one. */
  hashKeyValues(revision: number): Promise<Result<HashedKeyValues, HashProblem>>
  /** Hash of all tables; comparable only between members to which nothing is written. */
  hashTables(): Promise<Result<number, HashProblem>>
  /** Gives back free space of this member's store. Rejects when the disk failed; the store is as before then. */
  defragment(): Promise<void>
  /** This member's store with everything that is applied now; the caller releases it. Rejects when it cannot be written. */
  pinStore(): Promise<Result<PinnedStore, NodeProblem>>
  /** The shortest TTL, in seconds; a shorter one is raised to it. */
  readonly minLeaseTtlSeconds: number
  /** For a grant without an ID: positive, unlike any other of this cluster. */
  newLeaseId(): bigint
  /** Through the leader, which confirms that it leads: the whole TTL lies ahead again. Undefined: there is no such lease. */
  renewLease(id: bigint): Promise<Result<number | undefined, NodeProblem>>
  /** Through the leader, like {@link renewLease}. Undefined: there is no such lease. */
  leaseTimeToLive(id: bigint, withKeys: boolean): Promise<Result<LeaseTimeToLive | undefined, NodeProblem>>
  /** As this member has them; on the leader by when they end, the next one first. */
  leaseIds(): readonly bigint[]
  /** Through the leader, wherever it is; the answer is the members after the change, and the member it was about. */
  changeMember(
    change: MemberChange,
  ): Promise<Result<{ readonly member: Member | undefined; readonly members: readonly Member[] }, NodeProblem>>
  /** Only on the leader; resolves once the target leads. */
  moveLeader(target: MemberId): Promise<Result<void, NodeProblem>>
}
