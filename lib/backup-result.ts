/**
 * What a Job tells the operator about the backup that it took: JSON in a file, which Kubernetes hands on as the termination
 * message of the container. It is written once the backup was read back: a Job that ends without it has taken none.
 */
import { type Shape, Misshapen, boolean, integer, matching, object, oneOf, readJson, text, textThat } from './shape.ts'

/** Kubernetes keeps 4 KiB of a message; all that can be long here is a place and the words of a bucket. */
const MAX_WORDS_LENGTH = 1000
const MAX_REHEARSAL_LENGTH = 400

/** Backups of one cluster are in this order: that of revisions, and of time between two of one revision. */
export interface BackupAge {
  readonly revision: number
  /** RFC 3339, in UTC. */
  readonly takenAt: string
}

/** What came of restoring a backup into a member that is thrown away. */
export interface Rehearsal {
  /** All that can be read in that member is what the cluster had at the revision, by its HashKV. */
  readonly isVerified: boolean
  /** For a person. */
  readonly message: string
}

export interface BackupResult extends BackupAge {
  readonly isReadBack: true
  /** The bucket or the directory, for a person. */
  readonly place: string
  /** In that place. */
  readonly name: string
  readonly clusterId: string
  readonly memberId: string
  readonly version: string
  readonly databaseBytes: number
  readonly databaseSha256: string
  readonly storedBytes: number
  /** Of the cluster's backups that the place has now; undefined where retention was not asked for, or did not work. */
  readonly oldest?: BackupAge
  /** Why backups that were to go are still there. */
  readonly retentionFailure?: string
  /** Undefined where it was not asked for. */
  readonly rehearsal?: Rehearsal
}

const count = integer(0)
const words = textThat((words) => words.length <= MAX_WORDS_LENGTH, `longer than ${MAX_WORDS_LENGTH} characters`)
const age = { revision: count, takenAt: matching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/) }

const shape: Shape<BackupResult> = object(
  {
    isReadBack: oneOf<true>(true),
    place: words,
    name: words,
    clusterId: matching(/^[0-9a-f]{1,16}$/),
    memberId: text,
    ...age,
    version: text,
    databaseBytes: count,
    databaseSha256: matching(/^[0-9a-f]{64}$/),
    storedBytes: count,
  },
  { oldest: object(age), retentionFailure: words, rehearsal: object({ isVerified: boolean, message: words }) },
)

export function encodeBackupResult(result: BackupResult): string {
  const { retentionFailure, rehearsal } = result
  return JSON.stringify({
    ...result,
    ...(retentionFailure !== undefined && { retentionFailure: retentionFailure.slice(0, MAX_WORDS_LENGTH) }),
    ...(rehearsal !== undefined && {
      rehearsal: { ...rehearsal, message: rehearsal.message.slice(0, MAX_REHEARSAL_LENGTH) },
    }),
  })
}

/** Undefined for whatever else a container may end with. */
export function decodeBackupResult(message: string): BackupResult | undefined {
  try {
    return readJson(shape, Buffer.from(message))
  } catch (error) {
    if (error instanceof Misshapen || error instanceof SyntaxError) return undefined
    throw error
  }
}

export function isOlder(one: BackupAge, other: BackupAge): boolean {
  if (one.revision !== other.revision) return one.revision < other.revision
  return Date.parse(one.takenAt) < Date.parse(other.takenAt)
}
