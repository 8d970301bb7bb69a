/** Which backups go. Pure. */
export interface Retention {
  /** So many of the newest stay; undefined: as many as there are. */
  readonly keep: number | undefined
  /** Older ones go; undefined: none for its age. */
  readonly maxAgeMs: number | undefined
}

export interface Dated {
  readonly name: string
  readonly revision: number
  readonly takenAtMs: number
}

/**
 * Never the newest, however old it is: there would be nothing to go back to. The newest is the one with the highest revision:
 * they are of one cluster, and two machines that take backups need not agree about the time.
 */
export function superseded(backups: readonly Dated[], { keep, maxAgeMs }: Retention, nowMs: number): readonly string[] {
  const newestFirst = backups.toSorted((a, b) => b.revision - a.revision || b.takenAtMs - a.takenAtMs)
  return newestFirst
    .filter(({ takenAtMs }, i) => {
      const isTooMany = keep !== undefined && i >= keep
      const isTooOld = maxAgeMs !== undefined && nowMs - takenAtMs > maxAgeMs
      return i > 0 && (isTooMany || isTooOld)
    })
    .map(({ name }) => name)
}
