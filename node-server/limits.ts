/**
 * The bounds of a member that depend on one another: what a client may ask for fits an entry, an entry fits a message, a
 * message fits a frame and what a turn puts into the log fits one of its batches; what may be under way to a peer fits the
 * queue that waits for it. A bound that is changed without the others ends the program as it is loaded.
 */
import { assert } from '../lib/assert.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** The most that `--max-request-bytes` takes: a longer request would hold up heartbeats (etcd warns from here on). */
export const MAX_REQUEST_SIZE_BYTES = 10 * MIB

/** What a request is wrapped in on its way: as a command, as an entry, as a message, as a frame. Twice what it is. */
const ENVELOPE_SIZE_BYTES = 256

/** A longer frame ends the connection: no peer of ours sends one. What a stranger can make us hold for one connection. */
export const MAX_FRAME_SIZE_BYTES = 16 * MIB

/** Messages go into one frame up to this, or one alone: small enough to be encoded without a pause that anybody notices. */
export const FRAME_SIZE_BYTES = MIB

/** Beyond it, nothing more is written to a socket whose other end does not read, and the connection is closed. */
export const MAX_UNREAD_SIZE_BYTES = 32 * MIB

/** A frame that has begun and of which nothing more comes for so long ends the connection: what there is of it is held. */
export const FRAME_TIMEOUT_MS = 20_000

/** Questions of one member to another beside Raft, such as a change of members: JSON. The same for their answers. */
export const MAX_PEER_REQUEST_SIZE_BYTES = 64 * KIB
/** Of who has not shown that it knows the cluster: a hello or a question fits, and many may hold one each. */
export const MAX_STRANGERS_FRAME_SIZE_BYTES = MAX_PEER_REQUEST_SIZE_BYTES + ENVELOPE_SIZE_BYTES
export const MAX_PEER_ANSWER_SIZE_BYTES = 4 * MIB
/** Questions on one connection that have no answer yet. */
export const MAX_PEER_REQUESTS = 256

/** Of --peer-secret-file: while it is changed there are two, and an HMAC is made of each for every connection. */
export const MAX_PEER_SECRETS = 4
/** So short a one can be tried out by who has heard one challenge and its answer. */
export const MIN_PEER_SECRET_SIZE_BYTES = 16

/** What one append may write to the log. */
export const MAX_BATCH_SIZE_BYTES = 1024 * MIB

/** When a follower may stand still for the sync of an entry that somebody waits for. */
export interface QuickSync {
  /** The last ones took less. */
  readonly ms: number
  /** So many in a row; a slow one, which nobody can foresee, is then a pause once in so many. */
  readonly times: number
}

/** Two milliseconds are less than anybody notices, and longer than a disk takes for which a thread is a detour. */
export const QUICK_SYNC: QuickSync = { ms: 2, times: 32 }

/** When a peer is told that entries are committed, and there is nothing else to tell it. */
export interface CommitNotice {
  /** So long it waits for a message that somebody waits for, and goes along with it. */
  readonly waitMs: number
  /** Who has forwarded a proposal within this time has clients that wait for the notice: it leaves at once. */
  readonly clientsMs: number
}

/**
 * A client that puts one key after the other comes again within a millisecond; by itself a notice and its answer wake every
 * member once more for each put. Whoever watches through a follower gets an event so much later, when nothing else is written.
 */
export const COMMIT_NOTICE: CommitNotice = { waitMs: 1, clientsMs: 1000 }

/** For how long proposals that could go into the log wait for those that are about to come. */
export interface Gathering {
  /** Of the event loop, each of which has brought more. */
  readonly turns: number
  /** As long as fewer wait than this part of all requests without an answer. */
  readonly share: number
}

/** What a batch costs, its sync and its messages, is shared by all in it; a client that is alone waits for nobody. */
export const GATHERING: Gathering = { turns: 4, share: 1 / 2 }

/** Requests of this member that wait for their result. */
export const MAX_WAITERS = 32_768

/** At once, to all peers together: each is a copy of the store. Two, so that a slow one does not hold up another. */
export const MAX_OUTGOING_SNAPSHOTS = 2
/** The same for clients that save one: each takes as much disk as the store, for as long as its reader wants. */
export const MAX_CLIENT_SNAPSHOTS = 4
/** Of one store, for peers and clients together. */
export const MAX_PINNED_STORES = MAX_OUTGOING_SNAPSHOTS + MAX_CLIENT_SNAPSHOTS
/** For so long a member whose store is damaged waits for a leader that sends it another, and then ends with what to do. */
export const MAX_WAIT_FOR_STORE_MS = 600_000
/** A store is read, sent and received in pieces of at most this: what one stream holds in memory at once. */
export const SNAPSHOT_PIECE_SIZE_BYTES = 256 * KIB

/**
 * Of each volume, for the log and the commits of the store: no copy of the store goes into it, and when half of it is gone
 * writes are refused. The share is for small volumes.
 */
export const RESERVED_DISK_SIZE_BYTES = 512 * MIB
export const RESERVED_DISK_SHARE = 1 / 8

/** The log is in memory; what the store has on disk of it is kept for peers that fall behind, as far as this goes. */
export interface KeptLogLimits {
  /** While nobody is behind, of entries that are large; of small ones `--snapshot-catchup-entries` are less. */
  readonly usualSizeBytes: number
  /** For a peer that is behind, or to which a snapshot is on its way, until it has caught up. */
  readonly sizeBytes: number
  /** For which a peer that has its snapshot gets no further: it is away, or installs it. */
  readonly idleMs: number
}

/** Beyond it the log is cut, and the peer needs a snapshot, or another one. */
export const KEPT_LOG: KeptLogLimits = { usualSizeBytes: 32 * MIB, sizeBytes: 256 * MIB, idleMs: 120_000 }

/** What is applied at once, and then everything else has its turn: heartbeats, proposals, reads. */
export interface ApplySlice {
  readonly ms: number
  /**
   * Entries, or parts of one that takes long: more than are applied in that time. After fewer the rest of a batch would wait
   * for all that a turn of the event loop brings, and its answers would leave in more writes.
   */
  readonly parts: number
  /** Of keys, that one part visits. */
  readonly rows: number
}

export const APPLY_SLICE: ApplySlice = { ms: 5, parts: 1024, rows: 500 }

/** What a pass over the whole store, for a hash, does at once; then everything else has as long. */
export interface PassTurn {
  readonly ms: number
  /** For a clock that stands still meanwhile. One slice is less than a millisecond, or some where keys have long histories. */
  readonly slices: number
}

export const HASH_TURN: PassTurn = { ms: 2, slices: 16 }

/** The pace of the physical half of a compaction: a turn, then a pause for everything else. */
export interface PurgePace {
  /** Whatever is asked for may wait so long at each of its steps, and for the slice that began last. */
  readonly turnMs: number
  /** For a clock that stands still during a turn, as a simulation's does. */
  readonly turnSlices: number
  /** While nothing else wants the thread a compaction takes a fifth of it. */
  readonly pauseMs: number
  /** However much else does: a turn goes through some 300 changes, and it must be more in a second than can be written. */
  readonly longestPauseMs: number
}

export const PURGE: PurgePace = { turnMs: 1, turnSlices: 16, pauseMs: 4, longestPauseMs: 6 }

/** Ranges that are read in slices at once, each of which holds its answer so far, and those that wait for one to end. */
export const MAX_LONG_RANGES = 16
export const MAX_WAITING_RANGES = 256

/** Renewals that go to the leader in one question. */
export const MAX_RENEWALS_AT_ONCE = 2048
/** Its ID as JSON has it, the comma included. */
const RENEWAL_SIZE_BYTES = 24
/** Renewals of this member without an answer yet; beyond it, they are refused. */
export const MAX_WAITING_RENEWALS = 262_144
/** Of one stream: its client's next ones are read when there are fewer. */
export const MAX_WAITING_RENEWALS_OF_STREAM = 1024

/** Passwords that are hashed at once: the pool that does it has four threads, and they sync the log as well. */
export const MAX_HASHES_AT_ONCE = 2
/** Passwords that wait for that: at the usual cost the last one waits for some seconds. */
export const MAX_WAITING_HASHES = 256
/** Simple tokens that one member knows, about 200 bytes each; beyond it, the one that was not used for longest goes. */
export const MAX_SIMPLE_TOKENS = 100_000

/** What a leader does with leases. Given to it, so that a simulation can have small ones. */
export interface LeaseLimits {
  /** Each that ends is an entry of the log of its own. */
  readonly endsPerSecond: number
  /** Proposed and not applied yet: what a write may find before it in the log. */
  readonly pendingEnds: number
  /** That a new leader reads from its store at once. */
  readonly sliceLeases: number
}

/**
 * etcd ends 1,000 a second, 16 at a time: that is a minute for 50,000 of the same time. With fewer under way there are more
 * batches of the log, and puts beside them wait longer. A slice takes a few milliseconds.
 */
export const LEASES: LeaseLimits = { endsPerSecond: 10_000, pendingEnds: 1024, sliceLeases: 500 }

/** The lines that clients of Lock and Election wait in, as this member keeps them in memory. */
export interface LineLimits {
  /** Of all lines together; beyond it, clients are refused. */
  readonly sizeBytes: number
  /** Keys that are read from the store at once. */
  readonly sliceRows: number
}

/** Half a million keys of usual length; a slice is about a millisecond. */
export const LINES: LineLimits = { sizeBytes: 192 * MIB, sliceRows: 500 }
/** What a key of a line takes beside its bytes: slots in a map and a tree, a string, a set; measured roughly. */
export const LINE_KEY_SIZE_BYTES = 300
export interface WatchLimits {
  /** Of all streams together: what is kept for a watcher is about 1 KiB and its keys. etcd has no such limits. */
  readonly watchers: number
  readonly keyBytes: number
  /** Events read at once, and the bytes of their key-values. */
  readonly pageEvents: number
  readonly pageSizeBytes: number
  /** Events gathered for watchers in one step, one counted for each of them; a batch ends with the revision that reaches it. */
  readonly stepEvents: number
  /** Watchers that join a cohort, or leave it, in one step. */
  readonly stepWatchers: number
  /**
   * In each round of the event loop so long events are given to synced watchers, unsynced ones read on, and requests are taken, of
   * all streams together: a put that comes meanwhile waits no longer than all three.
   */
  readonly notifyMs: number
  readonly syncMs: number
  readonly requestsMs: number
  /** The synced watchers may lag so far behind the store, and hold up compactions meanwhile; then they are unsynced. */
  readonly lagRevisions: number
  /** Unsynced watchers that are looked at for one cohort, which reads on together. */
  readonly cohortWatchers: number
  /** What it reads before others have their turn. */
  readonly cohortPages: number
  /** What may wait for the client of one stream: enough for a fast one not to be slowed down. */
  readonly outboxSizeBytes: number
  /** The same for all streams together. The less of it is left the less each may have; a stream that has nothing gets on. */
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

/** Of what is left for all outboxes, one may take that part. */
export const OUTBOX_SHARE = 1 / 16

/** Of a store and its files (`storage/runs`). Given to the parts that keep to it, so that a simulation can have small ones. */
export interface RunSizes {
  /** Runs: a read looks into each of them, so commits wait while there are so many. */
  readonly maxRuns: number
  /** Merges that are under way at once, each of runs that are newer and fewer than those of the one before. */
  readonly maxMerges: number
  /** A file of a run ends when it is so large: what a merge takes over or writes anew, and what a removal gives back. */
  readonly fileSizeBytes: number
  /** A smaller file is joined with its neighbours. */
  readonly smallFileSizeBytes: number
  /** Written to a file between two syncs of it: a sync of the log, which somebody waits for, may wait for one of these. */
  readonly syncSizeBytes: number
  /** Fewer removals give nothing back that is worth a merge of all. */
  readonly minRemovals: number
  /** Blocks that were read lately: of the readers, and of the one that writes. */
  readonly ringSizeBytes: number
  readonly writerRingSizeBytes: number
  /** A larger filter of a file is read page by page. */
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

/** Looking for damage in a store that nobody reads there. */
export interface ScrubLimits {
  /** After each piece of `SNAPSHOT_PIECE_SIZE_BYTES`: a MiB a second, a thousandth of a core; 8 GiB in two or three hours. */
  readonly piecePauseMs: number
  /** After all of it. */
  readonly roundPauseMs: number
}

export const SCRUB: ScrubLimits = { piecePauseMs: 250, roundPauseMs: 3_600_000 }

/** How much may be under way. Given to the parts that keep to it, so that a simulation can have small ones. */
export interface FlowLimits {
  /** Entries go into one message up to this, or one alone. */
  readonly messageSizeBytes: number
  /** Appends to one peer without an answer, by number and by what is in them; the last may go beyond. */
  readonly inFlightMessages: number
  readonly inFlightSizeBytes: number
  /** Proposals of one member on their way through the log, at the leader or before it; the last may go beyond. */
  readonly proposedSizeBytes: number
  /** Requests that one member holds until they are answered, those that wait for their turn to be proposed included. */
  readonly heldSizeBytes: number
  /** What waits to be written to one peer. It shares memory with the log and with what is held. */
  readonly peerQueueSizeBytes: number
  /** A leader takes no proposals while more than this is proposed and not applied. */
  readonly uncommittedSizeBytes: number
  /** Applied at once, while nothing else happens. */
  readonly committedSizeBytesPerReady: number
}

export const FLOW: FlowLimits = {
  messageSizeBytes: MIB,
  inFlightMessages: 512,
  // A follower that catches up syncs what has come since its last sync: the more there is, the fewer syncs.
  inFlightSizeBytes: 64 * MIB,
  proposedSizeBytes: 16 * MIB,
  heldSizeBytes: 256 * MIB,
  peerQueueSizeBytes: 128 * MIB,
  uncommittedSizeBytes: 256 * MIB,
  committedSizeBytesPerReady: 8 * MIB,
}

/** Clusters have fewer; some of what follows adds up over all of them. */
const MEMBERS = 9

/** `maxRequestSizeBytes` is the largest request that any member takes. */
export function checkFlow(flow: FlowLimits, maxRequestSizeBytes: number): void {
  const largest = Math.max(flow.messageSizeBytes, maxRequestSizeBytes + ENVELOPE_SIZE_BYTES)
  assert(largest + ENVELOPE_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES, 'a message fits a frame')
  const proposed = flow.proposedSizeBytes + largest
  assert(
    flow.inFlightSizeBytes + largest + proposed <= flow.peerQueueSizeBytes,
    'what may be under way to a peer fits its queue, appends and proposals alike',
  )
  assert(flow.heldSizeBytes >= proposed, 'what is on its way is held as well')
  assert(flow.uncommittedSizeBytes >= MEMBERS * proposed, 'a leader takes what all members may have on its way to it')
  assert(
    flow.uncommittedSizeBytes + MEMBERS * proposed <= MAX_BATCH_SIZE_BYTES / 2,
    'what a turn may have got fits one batch of the log, whatever is around the entries',
  )
}

checkFlow(FLOW, MAX_REQUEST_SIZE_BYTES)
assert(
  FLOW.uncommittedSizeBytes <= RESERVED_DISK_SIZE_BYTES / 2,
  'what is on its way when writes are refused fits what the disk has left',
)
assert(
  WATCH.outboxSizeBytes <= WATCH.outboxesSizeBytes * OUTBOX_SHARE,
  'while there are few slow clients each may have a whole outbox',
)
assert(FRAME_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES / 2, 'frames are made smaller than they may be')
assert(
  MAX_RENEWALS_AT_ONCE * RENEWAL_SIZE_BYTES + ENVELOPE_SIZE_BYTES <= MAX_PEER_REQUEST_SIZE_BYTES,
  'renewals that are asked for at once fit a question',
)
assert(SNAPSHOT_PIECE_SIZE_BYTES + ENVELOPE_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES, 'a piece of a snapshot fits a frame')
assert(MAX_PEER_ANSWER_SIZE_BYTES + ENVELOPE_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES, 'an answer fits a frame')
assert(4 * RUN_SIZES.smallFileSizeBytes <= RUN_SIZES.fileSizeBytes, 'files that were joined are not joined again')
assert(
  MAX_FRAME_SIZE_BYTES + MAX_PEER_REQUESTS * MAX_PEER_REQUEST_SIZE_BYTES <= MAX_UNREAD_SIZE_BYTES,
  'a frame and all requests that may be open are written to a peer that reads nothing yet',
)

/** What a start does before it serves clients, so that the first of them do not wait for a compiler. */
export interface WarmUpLimits {
  readonly ms: number
  readonly calls: number
  /** To each of two members. */
  readonly connections: number
  /** On each of them. */
  readonly callsInFlight: number
}

/**
 * Clients wait for it a second at most: at the default timing no cluster has elected its leader sooner. V8 optimizes what
 * has run 3,000 times, and once more where it was wrong. Batches form as they do under load, and little is held.
 */
export const WARM_UP: WarmUpLimits = { ms: 1000, calls: 8000, connections: 2, callsInFlight: 32 }

/** The same while clients are served: less at once, so that none of them waits long for it. */
export const WARM_UP_BESIDE: WarmUpLimits = { ms: 5000, calls: 8000, connections: 2, callsInFlight: 4 }

/** In so many heartbeats a member that runs again hears of a leader, if there is one. */
export const LEADER_HEARD_HEARTBEATS = 3
