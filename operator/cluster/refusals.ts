/**
 * What the API server does not do for a cluster: kept in status with its words and since when, so that it is told until it
 * is over, and so that one object that is refused is asked for ever less often while all else goes on. Pure.
 *
 * Neighbours: decide.ts (leaves out what is held back), act.ts (tries the rest), findings.ts (the words).
 */
import { unreachable } from '../../lib/assert.ts'
import { timestamp } from '../api/conditions.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'
import type { Refusal } from '../api/status.ts'
import type { Observed, Unread } from './observed.ts'
import type { Action, Decision } from './plan.ts'
import type { KubeError } from './ports.ts'
import { names } from './resources/names.ts'
import { unreadEssential } from './rules/unread.ts'

/** A refused object is left alone for as long as it has been refused already: that doubles the time between two tries. */
const MIN_WAIT_MS = 1_000
const MAX_WAIT_MS = 60_000
/** A rule that is not asked at one look, because another one has work, wants its deletion at a later one. */
const LINGER_MS = 10_000
/** The schema's bound is above it. */
const MAX_MESSAGE_LENGTH = 400

const DELETION = 'deletion of '

/** What the API server was asked for, and its error where it did not do it. By subject. */
type Tried = ReadonlyMap<string, KubeError | undefined>

/** What an action is done to, by kind and name; undefined where the API server is not asked, or the RaftCluster is recorded in. */
export function subjectOf(cluster: RaftCluster, action: Action): string | undefined {
  switch (action.kind) {
    case 'apply':
    case 'create':
      return `${action.object.kind} ${action.object.metadata.name}`
    case 'set-pods':
      return podsOf(cluster)
    case 'write-admin-token':
      return `Secret ${names.adminToken(cluster)}`
    case 'make-authority':
    case 'write-certificates':
      return `Secret ${names.tls(cluster, action.secret)}`
    case 'set-finalizers':
      return `RaftCluster ${cluster.name}`
    case 'delete-object':
    case 'delete-volume':
      return `${DELETION}${action.ref.kind} ${action.ref.name}`
    case 'mint-cluster-id':
    case 'adopt-cluster-id':
    case 'record-operation':
    case 'bootstrap':
    case 'join':
    case 'change-membership':
    case 'transfer-leader':
    case 'recover':
    case 'switch-cluster':
    case 'keep-up':
      return undefined
    default:
      return unreachable(action)
  }
}

/** Of a StatefulSet, where they are counted apart from its template. */
export function podsOf(cluster: RaftCluster): string {
  return `Pods of StatefulSet ${names.statefulSet(cluster)}`
}

export function subjectOfUnread({ kind, name }: Unread): string {
  return `${kind} ${name}`.trimEnd()
}

/** Not to be touched at this look: refused a moment ago, or not read. An edit of the spec may be the mend, and is tried at once. */
export function isHeldBack({ cluster, unread, nowMs }: Observed, action: Action): boolean {
  const subject = subjectOf(cluster, action)
  if (subject === undefined) return false
  if (unread.some((read) => subjectOfUnread(read) === subject)) return true
  const { refusals, observedGeneration } = cluster.recorded
  if (cluster.generation !== observedGeneration) return false
  const retryAt = refusals.find((refusal) => refusal.subject === subject)?.retryAt
  const waitMs = Date.parse(retryAt ?? '') - nowMs
  // Beyond the longest wait it was written by a clock that was wrong.
  return waitMs > 0 && waitMs <= MAX_WAIT_MS
}

export function isRefused({ cluster }: Observed, subject: string): boolean {
  return cluster.recorded.refusals.some((refusal) => refusal.subject === subject)
}

/** What is left of the refusals that were known, and what has come. */
export function refusalsAfter(observed: Observed, decision: Decision, tried: Tried, nowMs: number): readonly Refusal[] {
  const { cluster } = observed
  const known = new Map(cluster.recorded.refusals.map((refusal) => [refusal.subject, refusal]))
  const refused = (subject: string, { problem }: KubeError): Refusal => {
    const since = known.get(subject)?.since ?? timestamp(nowMs)
    return { subject, message: problem.message.slice(0, MAX_MESSAGE_LENGTH).toWellFormed(), since }
  }
  const unread = new Map(observed.unread.map((read) => [subjectOfUnread(read), read.error]))
  const wanted = new Set(decision.wanted.map((action) => subjectOf(cluster, action)))
  const isOpen = ({ subject, retryAt }: Refusal): boolean => {
    if (retryAt === undefined || tried.has(subject) || unread.has(subject)) return false
    // Where nothing was decided, what was refused before is neither done nor given up.
    if (wanted.has(subject) || unreadEssential(observed) !== undefined) return true
    return subject.startsWith(DELETION) && Date.parse(retryAt) + LINGER_MS > nowMs
  }
  const now = [...tried].flatMap(([subject, error]): readonly Refusal[] => {
    if (error === undefined) return []
    const refusal = refused(subject, error)
    return [{ ...refusal, retryAt: timestamp(nowMs + waitMs(nowMs - Date.parse(refusal.since))) }]
  })
  return [
    ...[...unread].map(([subject, error]) => refused(subject, error)),
    ...[...known.values()].filter(isOpen),
    ...now,
  ].toSorted((a, b) => a.subject.localeCompare(b.subject))
}

function waitMs(lastedMs: number): number {
  return Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, lastedMs))
}

/** When the first of them may be tried again; undefined when none waits for that. */
export function nextTryMs(refusals: readonly Refusal[]): number | undefined {
  const times = refusals.flatMap(({ retryAt }) => (retryAt === undefined ? [] : [Date.parse(retryAt)]))
  return times.length === 0 ? undefined : Math.min(...times)
}
