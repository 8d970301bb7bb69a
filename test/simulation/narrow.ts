/**
 * Some runs have little room between members: bounds so small, and links so slow, that an ordinary log fills them, in the
 * queues and frames of the real transport. With the real bounds that takes values of megabytes: large.ts.
 */
import { checkFlow, FLOW, FRAME_SIZE_BYTES, MAX_FRAME_SIZE_BYTES, type FlowLimits } from '../../node-server/limits.ts'

export interface Narrow {
  readonly flow: FlowLimits
  readonly maxRequestBytes: number
  readonly frameSizeBytes: number
  /** A longer one is refused. */
  readonly maxFrameSizeBytes: number
  /** A full queue, and the proposals that were on their way to it. */
  readonly maxQueuedBytes: number
  /** What a link carries. */
  readonly bytesPerMs: number
}

const KIB = 1024

export const NARROW: Narrow = {
  flow: {
    messageSizeBytes: KIB / 2,
    inFlightMessages: 8,
    inFlightSizeBytes: 2 * KIB,
    proposedSizeBytes: KIB / 2,
    heldSizeBytes: 16 * KIB,
    peerQueueSizeBytes: 4 * KIB,
    uncommittedSizeBytes: 16 * KIB,
    committedSizeBytesPerReady: KIB,
  },
  maxRequestBytes: KIB / 2,
  frameSizeBytes: KIB,
  maxFrameSizeBytes: 2 * KIB,
  maxQueuedBytes: 6.5 * KIB,
  bytesPerMs: 100,
}

const MIB = 1024 * KIB

/** Less than a member may have under way to a peer: a log that fills it takes less of the simulation's memory. */
const WIDE_FLOW: FlowLimits = { ...FLOW, inFlightSizeBytes: 16 * MIB, peerQueueSizeBytes: 64 * MIB }

/** Otherwise a member's real bounds, and lines of 400 Mbit/s. */
export const WIDE: Narrow = {
  flow: WIDE_FLOW,
  maxRequestBytes: 1.5 * MIB,
  frameSizeBytes: FRAME_SIZE_BYTES,
  maxFrameSizeBytes: MAX_FRAME_SIZE_BYTES,
  maxQueuedBytes: WIDE_FLOW.inFlightSizeBytes + WIDE_FLOW.proposedSizeBytes + 4 * MIB,
  bytesPerMs: 50 * KIB,
}

checkFlow(NARROW.flow, NARROW.maxRequestBytes)
checkFlow(WIDE.flow, WIDE.maxRequestBytes)
