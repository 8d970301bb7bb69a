/**
 * Follows a cluster and keeps all that is changed in it, so that it can be restored to any revision: every few seconds what has
 * come is sealed as a segment, written, and read back; only then it counts.
 *
 *   member ── watch ──► segment being filled ── sealed ──► destination ── read back ──► the next one
 *
 * Nothing is remembered but what is in the destination: each start goes on where the last segment ends. Where that cannot be
 * done, because the cluster has compacted what was not read yet or has another history, a full backup is taken at once,
 * and the next segments follow that one.
 *
 * Neighbours: following.ts (one watch), chain.ts (which segments follow one another), segment.ts (their bytes).
 */
import { BackupFailed, type Destination } from '../destination.ts'
import { lineOf, resumePoints, secondOf, secondText, type ChainEnd } from './chain.ts'
import { Pauses, type FollowOptions } from './follow-options.ts'
import { Following, type Start } from './following.ts'
import { beginLine, DamagedSegment, listChanges, readSegment } from './segments.ts'
import type { ChangeSource } from './watched-member.ts'

/** Until `signal` aborts. */
export async function followChanges(options: FollowOptions): Promise<void> {
  const { signal, withSource, report } = options
  const pauses = new Pauses(options)
  while (!signal.aborted) {
    try {
      await withSource((source) => follow(options, source, pauses))
    } catch (error) {
      if (!(error instanceof BackupFailed)) throw error
      if (!signal.aborted) report({ kind: 'failed', message: error.message })
    }
    await pauses.pause()
  }
}

/** Until it cannot go on; a full backup is there then for the next time. */
async function follow(options: FollowOptions, source: ChangeSource, pauses: Pauses): Promise<void> {
  const { destination, listFulls, takeFull, clock, report, signal } = options
  const { clusterId } = source
  const { lines, segments } = await listChanges(destination, clusterId)
  const line = lines.at(-1) ?? secondText(clock.wallMs())
  const fulls = (await listFulls(clusterId)).filter((full) => (lineOf(lines, full) ?? line) === line)
  let sound = segments.filter((segment) => segment.line === line)
  let [why, compacted] = ['there is no full backup to follow', 0]
  for (let ends = resumePoints(fulls, sound); ;) {
    const [end, ...later] = ends
    if (end === undefined) break
    ends = later
    if (end.revision < compacted) continue
    const start = await startAt(destination, end)
    if (start === undefined) {
      sound = sound.filter(({ name }) => name !== end.segment?.name)
      ends = resumePoints(fulls, sound)
      continue
    }
    const broken = await new Following({ ...options, pauses }, source, line, start).run()
    if (broken === undefined || signal.aborted) return
    why = broken.message
    compacted = broken.compactedRevision
    if (broken.kind !== 'other-history') continue
    await beginLine(destination, clusterId, secondText(Math.max(clock.wallMs(), secondOf(line) + 1000)))
    break
  }
  const isFirst = fulls.length === 0 && segments.length === 0
  report(isFirst ? { kind: 'first' } : { kind: 'gap', message: `${why}: a full backup is taken now` })
  await takeFull()
}

/** Undefined where its segment cannot be read: it counts as not there, and what it had is fetched again. */
async function startAt(destination: Destination, { revision, segment }: ChainEnd): Promise<Start | undefined> {
  if (segment === undefined) return { point: { revision, fingerprint: '' }, former: undefined }
  try {
    const { head, sha256 } = await readSegment(destination, segment)
    return { point: head.last, former: sha256 }
  } catch (error) {
    if (error instanceof DamagedSegment) return undefined
    throw error
  }
}
