/**
 * The bounds of a member that depend on one another: what a client may ask for fits an entry, an entry fits a message, a
 * message fits a frame and what a turn puts into the log fits one of its batches; what may be under way to a peer fits the
 * queue that waits for it. A bound that is changed without the others ends the program as it is loaded.
 */
import { assert } from '../lib/assert.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** The largest value of `--max-request-bytes`: a larger request would delay heartbeats (etcd warns from here on). */
export const MAX_REQUEST_SIZE_BYTES = 10 * MIB

/** What is added around a request: command, entry, message, frame. Twice the actual size. */
const ENVELOPE_SIZE_BYTES = 256

/** A longer frame ends the connection: no member sends one. The most that an unknown peer can make us hold for one connection. */
export const MAX_FRAME_SIZE_BYTES = 16 * MIB

/** Messages share a frame up to this size; a larger one has its own. Small enough to be encoded without a noticeable pause. */
export const FRAME_SIZE_BYTES = MIB

/** Bytes that may wait in a socket whose other end does not read; beyond it the connection is closed. */
export const MAX_UNREAD_SIZE_BYTES = 32 * MIB

/** A frame that is incomplete for so long without new bytes ends the connection, because its bytes are held in memory. */
export const FRAME_TIMEOUT_MS = 20_000

/** Requests of one member to another beside Raft, such as a change of members, and their answers: JSON. */
export const MAX_PEER_REQUEST_SIZE_BYTES = 64 * KIB
/** The largest frame of a peer that has not shown that it knows the cluster: a hello or a request fits, and there may be many such peers. */
export const MAX_UNKNOWN_PEER_FRAME_SIZE_BYTES = MAX_PEER_REQUEST_SIZE_BYTES + ENVELOPE_SIZE_BYTES
export const MAX_PEER_ANSWER_SIZE_BYTES = 4 * MIB
/** Requests on one connection that have no answer yet. */
export const MAX_PEER_REQUESTS = 256

/** Secrets in --peer-secret-file: there are two while it changes, and each costs an HMAC for every connection. */
export const MAX_PEER_SECRETS = 4
/** A shorter secret could be guessed by anybody who has recorded one challenge and its answer. */
export const MIN_PEER_SECRET_SIZE_BYTES = 16

/** What one append may write to the log. */
export const MAX_BATCH_SIZE_BYTES = 1024 * MIB

/** When a follower syncs on its main thread, for an entry that somebody waits for. */
export interface QuickSync {
  /** The last syncs took less than this. */
  readonly ms: number
  /** How many in a row; a slow sync, which cannot be foreseen, is then a pause once in so many. */
  readonly times: number
}

/** Nobody notices two milliseconds, and a disk that takes longer is worth a thread. */
export const QUICK_SYNC: QuickSync = { ms: 2, times: 32 }

/** When a peer is told that entries are committed, if there is no other message for it. */
export interface CommitNotice {
  /** How long the notice waits for another message to go with. */
  readonly waitMs: number
  /** A peer that has forwarded a proposal within this time has clients that wait for the notice, and gets it at once. */
  readonly clientsMs: number
}

/**
 * A client that puts one key after the other sends the next within a millisecond; a notice of its own, and its answer, would wake
 * every member once more for each put. A watcher on a follower gets an event that much later if nothing else is written.
 */
export const COMMIT_NOTICE: CommitNotice = { waitMs: 1, clientsMs: 1000 }

/** How long proposals that could go into the log wait for others that are about to come. */
export interface Gathering {
  /** Turns of the event loop, as long as each brings more proposals. */
  readonly turns: number
  /** They stop waiting once they are this share of all requests without an answer. */
  readonly share: number
}

/** All proposals in a batch share the cost of its sync and its messages; a lone client never waits. */
export const GATHERING: Gathering = { turns: 4, share: 1 / 2 }

/** Requests of this member that wait for their result. */
export const MAX_WAITERS = 32_768

/** Snapshots sent at once, to all peers together: each is a copy of the store. Two, so that a slow peer does not delay another. */
export const MAX_OUTGOING_SNAPSHOTS = 2
/** The same for clients: each takes as much disk as the store, for as long as the client reads. */
export const MAX_CLIENT_SNAPSHOTS = 4
/** Pins of one store, for peers and clients together. */
export const MAX_PINNED_STORES = MAX_OUTGOING_SNAPSHOTS + MAX_CLIENT_SNAPSHOTS
/** How long a member whose store is damaged waits for a new one from the leader before it exits and says what to do. */
export const MAX_WAIT_FOR_STORE_MS = 600_000
/** A store is read, sent and received in pieces of at most this: what one stream holds in memory at once. */
export const SNAPSHOT_PIECE_SIZE_BYTES = 256 * KIB

/**
 * The part of each volume that is reserved for the log and the commits of the store: copies of the store do not use it, and when
 * half of it is used writes are refused. The share is for small volumes.
 */
export const RESERVED_DISK_SIZE_BYTES = 512 * MIB
export const RESERVED_DISK_SHARE = 1 / 8

/** The log is in memory; what the store has on disk of it is kept for peers that fall behind, as far as this goes. */
export interface KeptLogLimits {
  /** While no follower is behind, of large entries; small ones are bounded by `--snapshot-catchup-entries`. */
  readonly usualSizeBytes: number
  /** For a peer that is behind, or to which a snapshot is on its way, until it has caught up. */
  readonly sizeBytes: number
  /** How long a peer that has its snapshot may make no progress: it is away, or installs it. */
  readonly idleMs: number
}

/** Beyond it the log is cut, and the peer needs a snapshot, or another one. */
export const KEPT_LOG: KeptLogLimits = { usualSizeBytes: 32 * MIB, sizeBytes: 256 * MIB, idleMs: 120_000 }

/** How much is applied before heartbeats, proposals and reads get their turn. */
export interface ApplySlice {
  readonly ms: number
  /**
   * Entries, or parts of a long one: more than can be applied in that time. With fewer, the rest of a batch would wait for a
   * turn of the event loop, and its answers would leave in more writes.
   */
  readonly parts: number
  /** Keys that one part visits. */
  readonly rows: number
}

export const APPLY_SLICE: ApplySlice = { ms: 5, parts: 1024, rows: 500 }

/** How long a pass over the whole store, for a hash, works before it pauses for as long. */
export interface PassTurn {
  readonly ms: number
  /** The bound under a clock that does not advance. A slice takes less than a millisecond, or a few where keys have long histories. */
  readonly slices: number
}

export const HASH_TURN: PassTurn = { ms: 2, slices: 16 }

/** The pace of the physical part of a compaction: a turn, then a pause for everything else. */
export interface PurgePace {
  /** A request may wait this long at each of its steps, and for the slice that was begun last. */
  readonly turnMs: number
  /** The bound for a clock that does not advance during a turn, as in a simulation. */
  readonly turnSlices: number
  /** While nothing else needs the thread, a compaction takes a third of it. */
  readonly pauseMs: number
  /** The bound while something else does: a turn covers some 300 changes, and in a second that must be more than can be written. */
  readonly longestPauseMs: number
}

export const PURGE: PurgePace = { turnMs: 1, turnSlices: 16, pauseMs: 2, longestPauseMs: 3 }

/** Ranges that are read in slices at the same time, each holding its answer so far, and those that wait for their turn. */
export const MAX_LONG_RANGES = 16
export const MAX_WAITING_RANGES = 256

/** Renewals that go to the leader in one request. */
export const MAX_RENEWALS_AT_ONCE = 2048
/** A lease ID in JSON, with the comma. */
const RENEWAL_SIZE_BYTES = 24
/** Renewals of this member without an answer; beyond it, more are refused. */
export const MAX_WAITING_RENEWALS = 262_144
/** The same for one stream; the client's next ones are read when there are fewer. */
export const MAX_WAITING_RENEWALS_OF_STREAM = 1024

/** Passwords that are hashed at the same time: the pool has four threads, which sync the log as well. */
export const MAX_HASHES_AT_ONCE = 2
/** Passwords that wait for it: at the usual cost the last one waits for some seconds. */
export const MAX_WAITING_HASHES = 256
/** Simple tokens that one member keeps, about 200 bytes each; beyond it, the one that was not used for longest is dropped. */
export const MAX_SIMPLE_TOKENS = 100_000

/** How fast a leader ends leases. Passed in, so that a simulation can use small values. */
export interface LeaseLimits {
  /** Each end is an entry of the log. */
  readonly endsPerSecond: number
  /** Ends that are proposed and not applied: a write may have to wait behind them in the log. */
  readonly pendingEnds: number
  /** Leases that a new leader reads from its store in one go. */
  readonly sliceLeases: number
}

/**
 * etcd ends 1,000 a second, 16 at a time: a minute for 50,000 that expire together. With fewer pending there are more
 * batches of the log, and puts beside them wait longer. A slice takes a few milliseconds.
 */
export const LEASES: LeaseLimits = { endsPerSecond: 10_000, pendingEnds: 1024, sliceLeases: 500 }

/** The waiting lines of Lock and Election, which this member keeps in memory. */
export interface LineLimits {
  /** All lines together; beyond it, clients are refused. */
  readonly sizeBytes: number
  /** Keys that are read from the store in one go. */
  readonly sliceRows: number
}

/** Half a million keys of usual length; a slice is about a millisecond. */
export const LINES: LineLimits = { sizeBytes: 192 * MIB, sliceRows: 500 }
/** Memory of a key in a line beside its bytes: slots in a map and a tree, a string, a set; measured roughly. */
export const LINE_KEY_SIZE_BYTES = 300
export interface WatchLimits {
  /** On all streams together: a watcher takes about 1 KiB and its keys. etcd has no such limits. */
  readonly watchers: number
  readonly keyBytes: number
  /** Events read in one go, and the bytes of their key-values. */
  readonly pageEvents: number
  readonly pageSizeBytes: number
  /** Events gathered for watchers in one step, one counted for each of them; a batch ends with the revision that reaches it. */
  readonly stepEvents: number
  /** Watchers that join a cohort, or leave it, in one step. */
  readonly stepWatchers: number
  /**
   * In each round of the event loop: how long synced watchers get events, unsynced ones read on, and requests are handled, of
   * all streams together. A put that comes meanwhile waits no longer than all three.
   */
  readonly notifyMs: number
  readonly syncMs: number
  readonly requestsMs: number
  /** How far synced watchers may lag behind the store, which holds back compactions; beyond it they become unsynced. */
  readonly lagRevisions: number
  /** Unsynced watchers that are considered for one cohort, which reads on together. */
  readonly cohortWatchers: number
  /** Pages that a cohort reads before others get their turn. */
  readonly cohortPages: number
  /** Bytes that may wait for the client of one stream: enough not to slow a fast one down. */
  readonly outboxSizeBytes: number
  /** The same for all streams together. The less is left, the less each stream may take; a stream without any always gets some. */
  readonly outboxesSizeBytes: number
}

export const WATCH: WatchLimits = {
  watchers: 1_000_000,
  keyBytes: 256 * MIB,
  pageEvents: 1000,
  pageSizeBytes: 128 * KIB,
  stepEvents: 2000,
  stepWatchers: 256,
  notifyMs: 5,
  syncMs: 2,
  requestsMs: 2,
  lagRevisions: 100_000,
  cohortWatchers: 10_000,
  cohortPages: 16,
  outboxSizeBytes: 256 * KIB,
  outboxesSizeBytes: 256 * MIB,
}

/** The share of what is left for all outboxes that one may take. */
export const OUTBOX_SHARE = 1 / 16

/** Sizes of a store and its files (`storage/runs`). Passed in, so that a simulation can use small values. */
export interface RunSizes {
  /** Runs of a store: a read looks into each of them, so commits wait while there are more. */
  readonly maxRuns: number
  /** Merges at the same time, each of newer and fewer runs than the one before. */
  readonly maxMerges: number
  /** Size of a file of a run: the unit that a merge keeps or rewrites, and that a removal gives back. */
  readonly fileSizeBytes: number
  /** A smaller file is joined with its neighbours. */
  readonly smallFileSizeBytes: number
  /** Bytes written to a file between two syncs: a sync of the log may have to wait for one of these. */
  readonly syncSizeBytes: number
  /** Fewer removals are not worth a merge of all runs. */
  readonly minRemovals: number
  /** Blocks that were read lately: the readers' ring, and the writer's. */
  readonly ringSizeBytes: number
  readonly writerRingSizeBytes: number
  /** A file's filter beyond this size is read page by page. */
  readonly filterInMemoryBytes: number
}

export const RUN_SIZES: RunSizes = {
  maxRuns: 16,
  maxMerges: 3,
  fileSizeBytes: 32 * MIB,
  smallFileSizeBytes: 4 * MIB,
  syncSizeBytes: 2 * MIB,
  minRemovals: 10_000,
  ringSizeBytes: 16 * MIB,
  writerRingSizeBytes: MIB,
  filterInMemoryBytes: 64 * KIB,
}

/** Scrubbing: finding damage in parts of a store that nobody reads. */
export interface ScrubLimits {
  /** After each piece of `SNAPSHOT_PIECE_SIZE_BYTES`: a MiB a second, a thousandth of a core; 8 GiB in two or three hours. */
  readonly piecePauseMs: number
  /** After the whole store. */
  readonly roundPauseMs: number
}

export const SCRUB: ScrubLimits = { piecePauseMs: 250, roundPauseMs: 3_600_000 }

/** How much may be under way. Passed in, so that a simulation can use small values. */
export interface FlowLimits {
  /** Entries share a message up to this size; a larger one has its own. */
  readonly messageSizeBytes: number
  /** Appends to one peer without an answer, by number and by bytes; the last may go beyond. */
  readonly inFlightMessages: number
  readonly inFlightSizeBytes: number
  /** Proposals of one member on their way through the log, at the leader or before it; the last may go beyond. */
  readonly proposedSizeBytes: number
  /** Requests that one member holds until they are answered, including those not proposed yet. */
  readonly heldSizeBytes: number
  /** Bytes that wait to be written to one peer. They share memory with the log and with held requests. */
  readonly peerQueueSizeBytes: number
  /** A leader accepts no proposals while more than this is proposed and not applied. */
  readonly uncommittedSizeBytes: number
  /** Committed entries that are handed out for applying in one piece. */
  readonly committedSizeBytesPerReady: number
}

export const FLOW: FlowLimits = {
  messageSizeBytes: MIB,
  inFlightMessages: 512,
  // A follower that catches up syncs everything since its last sync: the more there is, the fewer syncs.
  inFlightSizeBytes: 64 * MIB,
  proposedSizeBytes: 16 * MIB,
  heldSizeBytes: 256 * MIB,
  peerQueueSizeBytes: 128 * MIB,
  uncommittedSizeBytes: 256 * MIB,
  committedSizeBytesPerReady: 8 * MIB,
}

/** No cluster has more; some of what follows adds up over all members. */
const MEMBERS = 9

/** `maxRequestSizeBytes` is the largest request that any member accepts. */
export function checkFlow(flow: FlowLimits, maxRequestSizeBytes: number): void {
  const largest = Math.max(flow.messageSizeBytes, maxRequestSizeBytes + ENVELOPE_SIZE_BYTES)
  assert(largest + ENVELOPE_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES, 'a message fits a frame')
  const proposed = flow.proposedSizeBytes + largest
  assert(
    flow.inFlightSizeBytes + largest + proposed <= flow.peerQueueSizeBytes,
    'everything under way to a peer fits its queue, appends and proposals alike',
  )
  assert(flow.heldSizeBytes >= proposed, 'proposals on their way count as held, too')
  assert(
    flow.uncommittedSizeBytes >= MEMBERS * proposed,
    'a leader accepts what all members may have on their way to it',
  )
  assert(
    flow.uncommittedSizeBytes + MEMBERS * proposed <= MAX_BATCH_SIZE_BYTES / 2,
    'what a turn may bring fits one batch of the log, with everything around the entries',
  )
}

checkFlow(FLOW, MAX_REQUEST_SIZE_BYTES)
assert(
  FLOW.uncommittedSizeBytes <= RESERVED_DISK_SIZE_BYTES / 2,
  'what is on its way when writes are refused fits the space that is left',
)
assert(
  WATCH.outboxSizeBytes <= WATCH.outboxesSizeBytes * OUTBOX_SHARE,
  'while there are few slow clients each may have a whole outbox',
)
assert(FRAME_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES / 2, 'frames are made smaller than they may be')
assert(
  MAX_RENEWALS_AT_ONCE * RENEWAL_SIZE_BYTES + ENVELOPE_SIZE_BYTES <= MAX_PEER_REQUEST_SIZE_BYTES,
  'renewals that are sent together fit a request',
)
assert(SNAPSHOT_PIECE_SIZE_BYTES + ENVELOPE_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES, 'a piece of a snapshot fits a frame')
assert(MAX_PEER_ANSWER_SIZE_BYTES + ENVELOPE_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES, 'an answer fits a frame')
assert(4 * RUN_SIZES.smallFileSizeBytes <= RUN_SIZES.fileSizeBytes, 'files that were joined are not joined again')
assert(
  MAX_FRAME_SIZE_BYTES + MAX_PEER_REQUESTS * MAX_PEER_REQUEST_SIZE_BYTES <= MAX_UNREAD_SIZE_BYTES,
  'a frame and all requests that may be open are written to a peer that reads nothing yet',
)

/** The warm-up before clients are served, so that the first of them find compiled code. */
export interface WarmUpLimits {
  readonly ms: number
  readonly calls: number
  /** Connections to each of two members. */
  readonly connections: number
  /** On each of them. */
  readonly callsInFlight: number
}

/**
 * Clients wait for it a second at most: at the default timing no cluster elects its leader sooner. V8 optimizes code that
 * has run 3,000 times, and again where its assumptions were wrong. Batches form as under load, and little memory is held.
 */
export const WARM_UP: WarmUpLimits = { ms: 1000, calls: 8000, connections: 2, callsInFlight: 32 }

/** The same while clients are served: fewer calls in flight, so that no client waits long. */
export const WARM_UP_BESIDE: WarmUpLimits = { ms: 5000, calls: 8000, connections: 2, callsInFlight: 4 }

/** Heartbeats within which a restarted member hears of a leader, if there is one. */
export const LEADER_HEARD_HEARTBEATS = 3
