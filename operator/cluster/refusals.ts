/**
 * What the API server does not do for a cluster: kept in status with its words and since when, so that it is told until it
 * is over, and so that one object that is refused is asked for ever less often while all else goes on. Pure.
 *
 * Neighbours: decide.ts (leaves out what is held back), act.ts (tries the rest), findings.ts (the words).
 */
import { timestamp } from '../api/conditions.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'
import type { Refusal } from '../api/status.ts'
import type { Observed, Unread } from './observed.ts'
import type { Decision, ObjectAction } from './plan.ts'
import type { KubeError } from './ports.ts'
import { names } from './resources/names.ts'
import { unreadEssential } from './rules/unread.ts'

/** A refused object is left alone for as long as it has been refused already: that doubles the time between two tries. */
const MIN_WAIT_MS = 1_000
const MAX_WAIT_MS = 60_000
/** The schema's bound is above it. */
const MAX_MESSAGE_LENGTH = 400

/** What the API server was asked for, and its error where it did not do it. By subject. */
export type Tried = ReadonlyMap<string, KubeError | undefined>

/** Kind and name of what an action is about. */
export function subjectOf(cluster: RaftCluster, action: ObjectAction): string {
  switch (action.kind) {
    case 'apply':
      return `${action.object.kind} ${action.object.metadata.name}`
    case 'delete-object':
      return `${action.ref.kind} ${action.ref.name}`
    case 'create-admin-token':
      return `Secret ${names.adminToken(cluster)}`
    case 'set-finalizers':
      return `RaftCluster ${cluster.name}`
  }
}

export function subjectOfUnread({ kind, name }: Unread): string {
  return `${kind} ${name}`.trimEnd()
}

/** Not to be touched at this look: refused a moment ago, or not read. An edit of the spec may be the mend, and is tried at once. */
export function isHeldBack({ cluster, unread, nowMs }: Observed, action: ObjectAction): boolean {
  const subject = subjectOf(cluster, action)
  if (unread.some((read) => subjectOfUnread(read) === subject)) return true
  const { refusals, observedGeneration } = cluster.recorded
  if (cluster.generation !== observedGeneration) return false
  const retryAt = refusals.find(({ object }) => object === subject)?.retryAt
  const waitMs = Date.parse(retryAt ?? '') - nowMs
  // Beyond the longest wait it was written by a clock that was wrong.
  return waitMs > 0 && waitMs <= MAX_WAIT_MS
}

/** What is left of the refusals that were known, and what has come. */
export function refusalsAfter(observed: Observed, decision: Decision, tried: Tried, nowMs: number): readonly Refusal[] {
  const known = new Map(observed.cluster.recorded.refusals.map((refusal) => [refusal.object, refusal]))
  const refusal = (object: string, words: string): Refusal => {
    const since = known.get(object)?.since ?? timestamp(nowMs)
    return { object, message: words.slice(0, MAX_MESSAGE_LENGTH).toWellFormed(), since }
  }
  const unread = observed.unread.map((read) => refusal(subjectOfUnread(read), read.error.problem.message))
  const isUnread = (object: string): boolean => unread.some((read) => read.object === object)
  // Where nothing was decided, what was refused before is neither done nor given up.
  const wanted =
    unreadEssential(observed) === undefined ? decision.wanted.map((action) => subjectOf(observed.cluster, action)) : known.keys() // prettier-ignore
  const writes = [...wanted].flatMap((object): readonly Refusal[] => {
    const before = known.get(object)
    if (isUnread(object)) return []
    if (!tried.has(object)) return before?.retryAt === undefined ? [] : [before]
    const error = tried.get(object)
    if (error === undefined) return []
    const { since, ...rest } = refusal(object, error.problem.message)
    return [{ ...rest, since, retryAt: timestamp(nowMs + waitMs(nowMs - Date.parse(since))) }]
  })
  return [...unread, ...writes]
}

function waitMs(lastedMs: number): number {
  return Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, lastedMs))
}

/** When the first of them may be tried again; undefined when none is. */
export function nextTryMs(refusals: readonly Refusal[]): number | undefined {
  const times = refusals.flatMap(({ retryAt }) => (retryAt === undefined ? [] : [Date.parse(retryAt)]))
  return times.length === 0 ? undefined : Math.min(...times)
}
