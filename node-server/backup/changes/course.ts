/** From which full backup, and by which segments, a cluster is brought to a revision or to a time. */
import { unreachable } from '../../../lib/assert.ts'
import { BackupFailed, type Destination } from '../destination.ts'
import { fullOf, type StoredBackup } from '../backup.ts'
import { lineOf, walk, type SegmentName } from './chain.ts'
import type { Mark } from './segment.ts'
import { listChanges, readSegment, readTip, type Changes, type Tip } from './segments.ts'

export type Target =
  | { readonly kind: 'revision'; readonly revision: number }
  | { readonly kind: 'time'; readonly atMs: number }
  /** As late as there is anything of. */
  | { readonly kind: 'latest' }

export interface Course {
  readonly base: StoredBackup
  readonly revision: number
  /** Of a time: when it was seen that the cluster was at that revision. */
  readonly seenAtMs: number | undefined
  /** Of its line, more than are needed: where one is damaged another one may have the same. */
  readonly segments: readonly SegmentName[]
}

/** `backups`: of one cluster, those that it may begin with. Rejects with {@link BackupFailed}. */
export async function planCourse(
  destination: Destination,
  backups: readonly StoredBackup[],
  target: Target,
): Promise<Course> {
  const clusterId = backups[0]?.manifest.clusterId
  if (clusterId === undefined) throw new BackupFailed(`there is no backup in ${destination.url}`)
  const changes = await listChanges(destination, clusterId)
  const lines = changes.lines.length === 0 ? [undefined] : changes.lines.toReversed()
  const newestFirst = lines.map((line) => lineWith(changes, backups, line)).filter(({ fulls }) => fulls.length > 0)
  switch (target.kind) {
    case 'latest':
      return latest(newestFirst)
    case 'revision':
      return toRevision(newestFirst, target.revision, undefined)
    case 'time':
      return toTime(destination, clusterId, newestFirst, target.atMs)
    default:
      return unreachable(target)
  }
}

interface Line {
  readonly name: string | undefined
  /** The highest revision first. */
  readonly fulls: readonly StoredBackup[]
  readonly segments: readonly SegmentName[]
}

function lineWith({ lines, segments }: Changes, backups: readonly StoredBackup[], name: string | undefined): Line {
  const fulls = backups
    .filter((backup) => lineOf(lines, fullOf(backup)) === name)
    .toSorted((a, b) => b.manifest.revision - a.manifest.revision)
  return { name, fulls, segments: segments.filter(({ line }) => line === name) }
}

function latest([newest]: readonly Line[]): Course {
  const [base] = newest?.fulls ?? []
  if (newest === undefined || base === undefined) throw new BackupFailed('there is no backup to begin with')
  return { base, revision: endOf(newest, base), seenAtMs: undefined, segments: newest.segments }
}

function endOf({ segments }: Line, { manifest: { revision } }: StoredBackup): number {
  let end = revision
  for (const { last } of walk(segments, revision)) end = last
  return end
}

function toRevision(lines: readonly Line[], revision: number, seenAtMs: number | undefined): Course {
  let furthest = -1
  for (const line of lines) {
    const base = line.fulls.find(({ manifest }) => manifest.revision <= revision)
    if (base === undefined) continue
    const end = endOf(line, base)
    if (end >= revision) return { base, revision, seenAtMs, segments: line.segments }
    furthest = Math.max(furthest, end)
  }
  if (furthest >= 0)
    throw new BackupFailed(
      `revision ${revision} cannot be restored: changes are kept up to ${furthest} there. Choose another revision`,
    )
  const oldest = Math.min(...lines.flatMap(({ fulls }) => fulls.map(({ manifest }) => manifest.revision)))
  throw new BackupFailed(`revision ${revision} is before the oldest backup, which is of revision ${oldest}`)
}

async function toTime(
  destination: Destination,
  clusterId: string,
  lines: readonly Line[],
  atMs: number,
): Promise<Course> {
  const tip = await readTip(destination, clusterId)
  let newestMs = -Infinity
  for (const line of lines) {
    const known = await lastMark(destination, line, tip)
    newestMs = Math.max(newestMs, known)
    if (atMs > newestMs)
      throw new BackupFailed(
        `${timeOf(atMs)} is later than anything that is kept: choose ${timeOf(newestMs)}, or latest`,
      )
    const mark = await markAt(destination, line, tip, atMs)
    if (mark !== undefined) return toRevision([line], mark.revision, mark.atMs)
  }
  const oldest = Math.min(...lines.flatMap(({ fulls }) => fulls.map(({ manifest }) => Date.parse(manifest.takenAt))))
  throw new BackupFailed(`${timeOf(atMs)} is before the oldest backup, which was taken at ${timeOf(oldest)}`)
}

/** When anything is known of the line for the last time. */
async function lastMark(destination: Destination, line: Line, tip: Tip | undefined): Promise<number> {
  const last = line.segments.toSorted((a, b) => b.last - a.last)[0]
  const marks = [...marksWithout(line, tip), ...(last === undefined ? [] : await marksOf(destination, last))]
  return Math.max(...marks.map(({ atMs }) => atMs))
}

/**
 * The highest revision that was seen by then. Clocks may have been set forward and back again: a segment that has no mark
 * before that time does not mean that those before it have none.
 */
async function markAt(
  destination: Destination,
  line: Line,
  tip: Tip | undefined,
  atMs: number,
): Promise<Mark | undefined> {
  const highest = (marks: readonly Mark[]): Mark | undefined =>
    marks.filter((mark) => mark.atMs <= atMs).toSorted((a, b) => b.revision - a.revision || b.atMs - a.atMs)[0]
  const without = highest(marksWithout(line, tip))
  for (const segment of line.segments.toSorted((a, b) => b.last - a.last)) {
    if (without !== undefined && without.revision >= segment.last) return without
    if (segment.fromMs > atMs) continue
    const mark = highest(await marksOf(destination, segment))
    if (mark !== undefined) return without !== undefined && without.revision > mark.revision ? without : mark
  }
  return without
}

function marksWithout({ name, fulls }: Line, tip: Tip | undefined): readonly Mark[] {
  const taken = fulls.map(({ manifest }) => ({ atMs: Date.parse(manifest.takenAt), revision: manifest.revision }))
  return tip === undefined || tip.line !== name ? taken : [...taken, tip]
}

/** None of one that cannot be read. */
async function marksOf(destination: Destination, segment: SegmentName): Promise<readonly Mark[]> {
  try {
    return (await readSegment(destination, segment)).head.marks
  } catch (error) {
    if (error instanceof BackupFailed) return []
    throw error
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
