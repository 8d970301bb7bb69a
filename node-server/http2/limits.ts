/** Bounds of one connection that are nobody's to set, each with its reason. Those with a flag are in listen/limits.ts. */
import { assert } from '../../lib/assert.ts'
import { MAX_FRAME_BYTES } from './frame.ts'

const KIB = 1024

/** What a stream may bring before its handler takes it: a client far away still fills its line. */
export const STREAM_WINDOW_BYTES = 256 * KIB
/** The same for all streams together. Each has a window of its own, so this one is given back at once. */
export const CONNECTION_WINDOW_BYTES = 4096 * KIB
/** Written and not taken by the kernel: beyond it no answers are written, and nothing is read that would be answered. */
export const MAX_UNSENT_BYTES = 512 * KIB
/** Of one answer, what waits for windows before its writer does. */
export const MAX_WAITING_BYTES = 64 * KIB

/** Frames of one header block. Clients cut their blocks where a frame ends, at 16 KiB: more is a flood. */
export const MAX_CONTINUATIONS = 64
/** A list of fields so many times as long as it may be ends the connection: one byte of a block can name a long entry. */
export const MAX_LIST_EXCESS = 4

/** Calls that a client gives up, or that are cut for what it sends: so many at once, then so many each second. */
export const RESET_BURST = 10_000
export const RESETS_PER_SECOND = 1000
/** Frames that bring nothing on: settings, priorities, empty ones, those for streams that have ended. */
export const IDLE_FRAME_BURST = 1000
export const IDLE_FRAMES_PER_SECOND = 200
/** A frame with so much in it costs its client as much as us, whatever becomes of it. */
export const COSTLY_FRAME_BYTES = 256

/** After the last word: for the client to read it and close; and what it may still send meanwhile. */
export const LINGER_MS = 1000
export const LINGER_BYTES = 256 * KIB

assert(STREAM_WINDOW_BYTES >= 2 * MAX_FRAME_BYTES, 'a stream goes on while its window is given back by halves')
assert(CONNECTION_WINDOW_BYTES >= 2 * STREAM_WINDOW_BYTES, 'one stream does not take the whole window')
assert(MAX_UNSENT_BYTES > MAX_WAITING_BYTES + MAX_FRAME_BYTES, 'a writer waits for its client before all others do')
