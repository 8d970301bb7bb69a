/**
 * The contract between operator and members: the requests and answers of the admin API, as JSON. IDs are lower-case hex (64 bits
 * do not fit a JSON number), indexes and terms are numbers.
 *
 * Every mutation is fenced and idempotent. `expectedConfigIndex` is the Raft index of the configuration that the caller
 * decided on: the change is refused once another configuration took effect. `operationId` names the caller's intent: a
 * repeat is answered with the first result, whichever member is asked and whatever happened in between.
 */
export const ADMIN_PATHS = {
  status: '/admin/v1/status',
  bootstrap: '/admin/v1/bootstrap',
  join: '/admin/v1/join',
  membership: '/admin/v1/membership',
  leaderTransfer: '/admin/v1/leader-transfer',
  recover: '/admin/v1/recover',
  upkeep: '/admin/v1/upkeep',
} as const

/** `waiting`: an empty data directory that has not been told to bootstrap or to join. */
export type MemberRole = 'waiting' | 'follower' | 'pre-candidate' | 'candidate' | 'leader' | 'learner' | 'removed'

export type PeerState = 'probe' | 'replicate' | 'snapshot'

export interface AdminMember {
  readonly id: string
  readonly name: string
  readonly peerURLs: readonly string[]
  readonly clientURLs: readonly string[]
  readonly isLearner: boolean
}

export interface AdminPeer {
  readonly id: string
  /** Highest log index known durable on that member. */
  readonly matchIndex: number
  /** The leader's last index less matchIndex. */
  readonly lag: number
  readonly state: PeerState
  /** Progress of the snapshot that is being sent to it, if one is. */
  readonly snapshot?: { readonly sentBytes: number; readonly totalBytes: number }
  /** It has answered this leader, in this term, within the last election timeout. */
  readonly isActive: boolean
}

export interface AdminAlarm {
  readonly memberId: string
  readonly type: 'NOSPACE' | 'CORRUPT'
}

export interface ConfigHistoryRow {
  readonly index: number
  readonly voters: readonly string[]
  readonly votersOutgoing: readonly string[]
  readonly learners: readonly string[]
  /** The operation that made it; empty for the first configuration and for changes through the etcd Cluster API. */
  readonly operationId: string
}

/** The space that a member's store takes, and what is available to it. */
export interface AdminStore {
  /** Its files, with the free space in them, and what is not written to them yet: this is compared with the quota. */
  readonly sizeBytes: number
  /** The same without the free space, which a defragmentation gives back. */
  readonly inUseBytes: number
  /** History before it is removed or being removed; 0 before the first compaction. */
  readonly compactedRevision: number
  /** Absent where there is no limit. */
  readonly quotaBytes?: number
  /** Size of the volume under the store. */
  readonly volumeBytes: number
  readonly volumeFreeBytes: number
  /** What may still be written, to the store and the log, before writes are refused because of the disk; negative when they are. */
  readonly writableBytes: number
  /** The last one that was requested since the member started. */
  readonly defragmentation?: AdminDefragmentation
}

export interface AdminDefragmentation {
  readonly operationId: string
  readonly state: 'running' | 'done' | 'failed'
  /** Why it failed; otherwise empty. */
  readonly message: string
}

export type TlsScheme = 'http' | 'https'

/** What a member uses for the next handshake on one side. Its files are read again when they change. */
export interface TlsInForce {
  /** SHA-256 of the certificate's DER, lower-case hex. */
  readonly certificate: string
  /** When the certificate ends (RFC 3339). */
  readonly notAfter: string
  /** SHA-256 of the DER of each CA that is trusted, lower-case hex, sorted; empty: the system's. */
  readonly trusted: readonly string[]
  /** Schemes of the addresses that it listens on. */
  readonly schemes: readonly TlsScheme[]
  /** Scheme of the URLs by which the cluster knows this member, or of the flags' before it knows any. */
  readonly advertised: TlsScheme
  /** Why the present contents of the files are not used. */
  readonly problem?: string
}

export interface AdminStatus {
  /** Empty while waiting. */
  readonly clusterId: string
  readonly memberId: string
  readonly name: string
  readonly role: MemberRole
  readonly term: number
  /** Empty when no leader is known. */
  readonly leader: string
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly lastIndex: number
  /** Term of the entry at lastIndex; absent from members of versions that do not report it. */
  readonly lastTerm?: number | undefined
  /** Raft index of the configuration in force; 0 while waiting. */
  readonly configIndex: number
  readonly voters: readonly string[]
  /** Not empty only in a joint configuration (C_old,new). */
  readonly votersOutgoing: readonly string[]
  readonly learners: readonly string[]
  readonly members: readonly AdminMember[]
  /** A membership change is proposed and not applied, or the configuration is joint. Known on the leader only. */
  readonly isChangePending: boolean
  /** On the leader only, otherwise empty. */
  readonly peers: readonly AdminPeer[]
  /** The last configurations, oldest first, at most 64. */
  readonly configHistory: readonly ConfigHistoryRow[]
  readonly version: string
  readonly etcdVersion: string
  readonly dbSizeBytes: number
  readonly revision: number
  /** In force in the whole cluster; absent from members of versions that do not report them. */
  readonly alarms?: readonly AdminAlarm[]
  /** A side without a certificate is left out; absent from members of versions that do not report it. */
  readonly tls?: { readonly peer?: TlsInForce; readonly client?: TlsInForce }
  /** Absent while there is none, and from members of versions that do not report it. */
  readonly store?: AdminStore
}

export interface BootstrapMember {
  readonly name: string
  readonly peerURLs: readonly string[]
}

/** Makes a waiting member the whole of a new cluster. A repeat with the same cluster ID is a success. */
export interface BootstrapRequest {
  readonly operationId: string
  readonly clusterId: string
  /** Must be 0: there is no configuration yet. */
  readonly expectedConfigIndex: number
  /** The asked member's own name and peer URLs. */
  readonly member: BootstrapMember
}

/** Tells a waiting member which cluster it belongs to and under which ID the cluster added it. */
export interface JoinRequest {
  readonly operationId: string
  readonly clusterId: string
  readonly memberId: string
  /** Configuration in which the member is known to be. */
  readonly expectedConfigIndex: number
  /** Members to learn addresses from: the cluster's, with their peer URLs. */
  readonly members: readonly AdminMember[]
}

export type MembershipRequest =
  | {
      readonly kind: 'add-learner'
      readonly operationId: string
      readonly expectedConfigIndex: number
      readonly member: BootstrapMember
    }
  | {
      readonly kind: 'promote'
      readonly operationId: string
      readonly expectedConfigIndex: number
      readonly memberId: string
      /** The most entries the learner may be behind; 100 when absent. */
      readonly maxLagEntries?: number
    }
  | {
      readonly kind: 'remove'
      readonly operationId: string
      readonly expectedConfigIndex: number
      readonly memberId: string
    }

export interface LeaderTransferRequest {
  readonly operationId: string
  readonly expectedConfigIndex: number
  /** The member to lead; it must be a voter. */
  readonly memberId: string
}

/**
 * The quorum is lost for good: the member goes on as a cluster of one, with all that it has (see
 * --force-new-cluster). Writes that only the others had are lost. If the others come back with their data, they are
 * another cluster with the same ID. Refused while a leader is known. A repeat after it succeeded is a success until the
 * configuration changes again.
 */
export interface RecoverRequest {
  readonly operationId: string
  readonly clusterId: string
  /** The asked member's own. */
  readonly memberId: string
  readonly expectedConfigIndex: number
}

/** Maintenance of a store. A defragmentation is only started: its progress is in the status of that member. */
export type UpkeepRequest =
  | {
      readonly kind: 'defragment'
      readonly operationId: string
      readonly expectedConfigIndex: number
      /** The asked member's own. */
      readonly memberId: string
    }
  /** A success also if somebody else has compacted that far. */
  | {
      readonly kind: 'compact'
      readonly operationId: string
      readonly expectedConfigIndex: number
      /** History before it is removed. */
      readonly revision: number
    }
  /** Disarms NOSPACE of that member; a success also if the alarm is not in force. */
  | {
      readonly kind: 'disarm'
      readonly operationId: string
      readonly expectedConfigIndex: number
      readonly memberId: string
    }

export interface AdminUpkeep {
  readonly operationId: string
}

/** Answer to bootstrap, join, membership and recover. */
export interface AdminChange {
  readonly operationId: string
  /** The member that the change was about. */
  readonly memberId: string
  readonly clusterId: string
  /** Configuration after the change. */
  readonly configIndex: number
}

export interface LeaderTransferResult {
  readonly operationId: string
  readonly leader: string
  readonly term: number
}

export type AdminErrorCode =
  | 'BadRequest' // 400: not JSON, not this API's JSON
  | 'Unauthorized' // 401: token missing or wrong
  | 'Forbidden' // 403: no token configured and not loopback
  | 'NotFound' // 404: no such path or member
  | 'ConfigIndexStale' // 409: configIndex says the current one
  | 'ChangeInFlight' // 409
  | 'Conflict' // 409: already another cluster or member; a leader is there and nothing to recover
  | 'QuorumAtRisk' // 412: the voters that answer could not commit it, or go on after it; message has the arithmetic
  | 'TargetSilent' // 412: the member that is to lead does not answer
  | 'LearnerLagging' // 412: lag says by how much
  | 'NoLeader' // 503
  | 'Timeout' // 504: the outcome is unknown; repeat with the same operationId
  | 'Internal' // 500

export interface AdminError {
  readonly code: AdminErrorCode
  readonly message: string
  readonly configIndex?: number
  readonly lag?: number
}

export const ADMIN_STATUS_CODES: Readonly<Record<AdminErrorCode, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  ConfigIndexStale: 409,
  ChangeInFlight: 409,
  Conflict: 409,
  QuorumAtRisk: 412,
  TargetSilent: 412,
  LearnerLagging: 412,
  NoLeader: 503,
  Timeout: 504,
  Internal: 500,
}
