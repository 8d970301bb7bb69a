/**
 * What members say to one another and what they keep: the vocabulary of the Raft core. Entry data is bytes; the core
 * never looks inside. Sources: Raft §5 (RequestVote, AppendEntries), §7 (InstallSnapshot); Ongaro's thesis §3.10
 * (leader transfer), §4 (membership), §6.4 (ReadIndex), §9.6 (PreVote).
 */
import type { LogIndex, MemberId, Term } from '../../lib/ids.ts'

export type EntryKind = 'normal' | 'config'

export interface Entry {
  readonly term: Term
  readonly index: LogIndex
  /** `config`: the data is a membership change; at most one of them is uncommitted-or-unapplied at a time. */
  readonly kind: EntryKind
  /** Empty for the entry with which a leader opens its term (Raft §5.4.2). */
  readonly data: Uint8Array
}

/** Term, index, kind and length. */
const ENTRY_HEAD_SIZE_BYTES = 21

/** What an entry takes in a message and counts for in every bound of bytes: many small ones are not nothing. */
export function entrySizeBytes({ data }: Pick<Entry, 'data'>): number {
  return ENTRY_HEAD_SIZE_BYTES + data.length
}

/** Must be durable before any message of the same Ready that promises something is sent. */
export interface HardState {
  readonly term: Term
  /** NOBODY when no vote was given in this term. */
  readonly vote: MemberId
  readonly commit: LogIndex
}

/**
 * Who takes part. Outside of a change `votersOutgoing` is empty. In a joint configuration (C_old,new) decisions need a
 * majority of `voters` and one of `votersOutgoing`. `learnersNext` are outgoing voters that become learners on leaving.
 */
export interface Configuration {
  readonly voters: readonly MemberId[]
  readonly votersOutgoing: readonly MemberId[]
  readonly learners: readonly MemberId[]
  readonly learnersNext: readonly MemberId[]
  /** Leave the joint configuration as soon as it is applied. */
  readonly autoLeave: boolean
}

export interface SnapshotMeta {
  readonly index: LogIndex
  readonly term: Term
  readonly configuration: Configuration
  /** Raft index of the entry that made this configuration. */
  readonly configIndex: LogIndex
}

export type ConfigChangeStep =
  | { readonly kind: 'add-voter'; readonly memberId: MemberId }
  | { readonly kind: 'add-learner'; readonly memberId: MemberId }
  | { readonly kind: 'remove'; readonly memberId: MemberId }

/**
 * `simple`: exactly one step that changes at most one voter. `joint`: any number of steps, through C_old,new, left
 * automatically. `leave-joint`: proposed by the leader itself. `none`: a refused change, applied without effect.
 */
export type ConfigChange =
  | { readonly kind: 'none' }
  | { readonly kind: 'simple'; readonly step: ConfigChangeStep }
  | { readonly kind: 'joint'; readonly steps: readonly ConfigChangeStep[] }
  | { readonly kind: 'leave-joint' }

interface Envelope {
  readonly from: MemberId
  readonly to: MemberId
  /** The sender's term; for a pre-vote the term that it would start. */
  readonly term: Term
}

export type Message =
  | (Envelope & {
      readonly kind: 'vote-request'
      readonly lastIndex: LogIndex
      readonly lastTerm: Term
      readonly isTransfer: boolean
    })
  | (Envelope & { readonly kind: 'vote-response'; readonly isGranted: boolean })
  | (Envelope & { readonly kind: 'pre-vote-request'; readonly lastIndex: LogIndex; readonly lastTerm: Term })
  | (Envelope & { readonly kind: 'pre-vote-response'; readonly isGranted: boolean })
  | (Envelope & {
      readonly kind: 'append-request'
      readonly prevIndex: LogIndex
      readonly prevTerm: Term
      readonly entries: readonly Entry[]
      readonly commit: LogIndex
    })
  | (Envelope & {
      readonly kind: 'append-response'
      readonly isRejected: boolean
      /** The follower's store is damaged: it goes on only from a snapshot, whatever its log has. */
      readonly needsSnapshot: boolean
      /** Accepted: last index now matching. Rejected: the prevIndex that did not match. */
      readonly index: LogIndex
      /** Rejected only: where the leader should probe next (Raft §5.3, last paragraph). */
      readonly hintIndex: LogIndex
      readonly hintTerm: Term
    })
  | (Envelope & {
      readonly kind: 'heartbeat-request'
      readonly commit: LogIndex
      /** Newest ReadIndex batch that this heartbeat confirms; 0 for none. */
      readonly readBatch: number
    })
  | (Envelope & { readonly kind: 'heartbeat-response'; readonly readBatch: number })
  /** Names the snapshot; its bytes travel as a stream of their own, and the receiver steps this once it has them all. */
  | (Envelope & { readonly kind: 'snapshot-request'; readonly snapshot: SnapshotMeta })
  | (Envelope & { readonly kind: 'transfer-leader-request'; readonly target: MemberId })
  | (Envelope & { readonly kind: 'timeout-now-request' })
  /** A follower hands proposals to its leader; refused ones are dropped, never proposed twice. */
  | (Envelope & { readonly kind: 'propose-request'; readonly entries: readonly ProposedEntry[] })
  | (Envelope & { readonly kind: 'read-index-request'; readonly requestId: number })
  | (Envelope & { readonly kind: 'read-index-response'; readonly requestId: number; readonly index: LogIndex })

export interface ProposedEntry {
  readonly kind: EntryKind
  readonly data: Uint8Array
}

export type MessageKind = Message['kind']
