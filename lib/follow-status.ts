/**
 * The status of `backup follow` over HTTP, at {@link FOLLOW_STATUS_PATH}: the operator asks for it, and it is all that the
 * operator knows of what is kept. Readers bound it: it may come from another version.
 */
import { type Shape, Misshapen, boolean, integer, matching, object, readJson, text } from './shape.ts'

export const FOLLOW_STATUS_PATH = '/status'
/** Of the words of a bucket or a member. */
const MAX_WORDS_LENGTH = 1000

export interface FollowStatus {
  /** The bucket or the directory, for a person. */
  readonly place: string
  /** The rest is since it began; what is not known yet is not there. */
  readonly clusterId?: string
  readonly kept?: Kept
  readonly lastSegment?: LastSegment
  /** The last one. */
  readonly gap?: Gap
  /** Since then nothing was kept. */
  readonly failure?: Told
}

/** Every revision up to it, as far back as the oldest backup and but for gaps, can be restored. */
export interface Kept {
  readonly revision: number
  /** RFC 3339: the cluster had nothing later then. Not there while it catches up. */
  readonly at?: string
}

export interface LastSegment {
  /** In the place. */
  readonly name: string
  readonly storedBytes: number
}

export interface Told {
  /** RFC 3339. */
  readonly at: string
  readonly message: string
}

/** Revisions that cannot be restored, since what was changed could not be joined to what was kept. */
export interface Gap extends Told {
  /** A full backup is there, and what came after it is kept. */
  readonly isClosed: boolean
}

const words: Shape<string> = (found, path) => text(found, path).slice(0, MAX_WORDS_LENGTH)
const time = matching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
const told = { at: time, message: words }

const shape: Shape<FollowStatus> = object(
  { place: words },
  {
    clusterId: matching(/^[0-9a-f]{1,16}$/),
    kept: object({ revision: integer(0) }, { at: time }),
    lastSegment: object({ name: words, storedBytes: integer(0) }),
    gap: object({ ...told, isClosed: boolean }),
    failure: object(told),
  },
)

export function encodeFollowStatus(status: FollowStatus): string {
  return JSON.stringify(status)
}

/** Undefined for whatever else may be answered. */
export function decodeFollowStatus(answer: string): FollowStatus | undefined {
  try {
    return readJson(shape, Buffer.from(answer))
  } catch (error) {
    if (error instanceof Misshapen || error instanceof SyntaxError) return undefined
    throw error
  }
}
