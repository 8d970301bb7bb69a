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

/** Questions of one member to another beside Raft, such as a change of members: JSON. The same for their answers. */
export const MAX_PEER_REQUEST_SIZE_BYTES = 64 * KIB
export const MAX_PEER_ANSWER_SIZE_BYTES = 4 * MIB
/** Questions on one connection that have no answer yet. */
export const MAX_PEER_REQUESTS = 256

/** What one append may write to the log. */
export const MAX_BATCH_SIZE_BYTES = 1024 * MIB

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

/** How much more of the log than usual is kept for a peer while a snapshot is on its way to it, and until it has caught up. */
export interface KeptLogLimits {
  /** For which a peer that has its snapshot gets no further: it is away, or installs it. */
  readonly idleMs: number
  /** Of entries: the log has them in memory. */
  readonly sizeBytes: number
}

/** Beyond it the log is cut and the peer needs another snapshot. */
export const KEPT_LOG: KeptLogLimits = { idleMs: 120_000, sizeBytes: 256 * MIB }

/** Ranges that are read in slices at once, each of which holds its answer so far, and those that wait for one to end. */
export const MAX_LONG_RANGES = 16
export const MAX_WAITING_RANGES = 256

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
  minRemovals: 10_000,
  ringSizeBytes: 16 * MIB,
  writerRingSizeBytes: MIB,
  filterInMemoryBytes: 64 * KIB,
}

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
  inFlightSizeBytes: 16 * MIB,
  proposedSizeBytes: 16 * MIB,
  heldSizeBytes: 256 * MIB,
  peerQueueSizeBytes: 64 * MIB,
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
assert(FRAME_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES / 2, 'frames are made smaller than they may be')
assert(SNAPSHOT_PIECE_SIZE_BYTES + ENVELOPE_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES, 'a piece of a snapshot fits a frame')
assert(MAX_PEER_ANSWER_SIZE_BYTES + ENVELOPE_SIZE_BYTES <= MAX_FRAME_SIZE_BYTES, 'an answer fits a frame')
assert(4 * RUN_SIZES.smallFileSizeBytes <= RUN_SIZES.fileSizeBytes, 'files that were joined are not joined again')
assert(
  MAX_FRAME_SIZE_BYTES + MAX_PEER_REQUESTS * MAX_PEER_REQUEST_SIZE_BYTES <= MAX_UNREAD_SIZE_BYTES,
  'a frame and all requests that may be open are written to a peer that reads nothing yet',
)
