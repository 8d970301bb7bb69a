/**
 * Compactions that nobody has to ask for (etcd: server/etcdserver/api/v3compactor). Every member keeps count, so that a new
 * leader knows the past; only the leader proposes.
 *
 *   periodic   keeps what is at most `retentionMs` old. The revision is noted ten times in that time, or every 6 minutes
 *              when it is longer than an hour; the first compaction comes after `retentionMs`, the next ones after the
 *              same again, or after an hour.
 *   revision   every 5 minutes; keeps the newest `retentionRevisions`.
 */
import { sleep, type Clock } from '../../../lib/clock.ts'
import type { AutoCompaction, NodeLog } from '../options.ts'

export interface CompactorParts {
  readonly clock: Clock
  readonly log: NodeLog
  /** Of the store. */
  revision(): number
  isLeader(): boolean
  /** Resolves to undefined when everything below is compacted, by this or before; to the reason otherwise. */
  compact(revision: number): Promise<string | undefined>
}

const HOUR_MS = 3_600_000
const NOTES_PER_PERIOD = 10
const REVISION_INTERVAL_MS = 5 * 60_000

/** Runs until the signal aborts. */
export async function runAutoCompaction(
  parts: CompactorParts,
  settings: AutoCompaction,
  signal: AbortSignal,
): Promise<void> {
  if (settings.mode === 'periodic') await runPeriodic(parts, settings.retentionMs, signal)
  else await runByRevision(parts, settings.retentionRevisions, signal)
}

async function runPeriodic(parts: CompactorParts, periodMs: number, signal: AbortSignal): Promise<void> {
  const { clock } = parts
  const intervalMs = Math.min(periodMs, HOUR_MS)
  const noteMs = intervalMs / NOTES_PER_PERIOD
  const mostNotes = Math.floor(periodMs / noteMs) + 1
  const revisions: number[] = []
  let lastRevision = 0
  let lastSuccessMs = clock.monotonicMs()
  let dueMs = periodMs
  for (;;) {
    revisions.push(parts.revision())
    if (revisions.length > mostNotes) revisions.shift() // the first is that of `periodMs` ago
    await sleep(clock, noteMs, signal)
    if (signal.aborted) return
    const [revision = 0] = revisions
    if (!parts.isLeader() || clock.monotonicMs() - lastSuccessMs < dueMs || revision === lastRevision) continue
    dueMs = intervalMs
    if (!(await compact(parts, revision))) continue
    lastRevision = revision
    lastSuccessMs = clock.monotonicMs()
  }
}

async function runByRevision(parts: CompactorParts, retentionRevisions: number, signal: AbortSignal): Promise<void> {
  let lastRevision = 0
  for (;;) {
    await sleep(parts.clock, REVISION_INTERVAL_MS, signal)
    if (signal.aborted) return
    const revision = parts.revision() - retentionRevisions
    if (!parts.isLeader() || revision <= 0 || revision === lastRevision) continue
    if (await compact(parts, revision)) lastRevision = revision
  }
}

async function compact(parts: CompactorParts, revision: number): Promise<boolean> {
  const { log } = parts
  const reason = await parts.compact(revision)
  if (reason === undefined) log.info({ revision }, 'compacted automatically')
  else log.warn({ revision, reason }, 'could not compact automatically, the next interval tries again')
  return reason === undefined
}
