/**
 * How members are made to talk next, from plaintext to TLS or back, in two steps, each a pod template of its own: first they take
 * both and are known by both, then only what is wanted. A step begins only when every member is in the one before, by its own
 * report and by the cluster's member list. So any two members, at any moment, have a scheme in common and know each other by
 * it. Both sides move together where both can. Pure.
 */
import type { TlsPhase } from '../../api/status.ts'
import { SIDES, type TlsSide } from '../../api/tls.ts'
import { isFormed, type Membership, type Observed } from '../observed.ts'
import { type Report, reportsOf } from '../tls/rotation.ts'
import { isWanted, LISTENED, phaseOf } from '../tls/scheme.ts'
import { isOutdated } from './rollout.ts'
import { memberForm, wantedHash } from './template.ts'
import { isComplete } from './tls.ts'

/** The first form of members (forms.ts) that knows TLS. */
export const TLS_FORM = 3

export type Phases = Readonly<Record<TlsSide, TlsPhase>>

export function targetOf({ cluster }: Observed, side: TlsSide): TlsPhase {
  return isWanted(cluster, side) ? 'Required' : 'Disabled'
}

export function nextPhases(observed: Observed): Phases {
  const { cluster } = observed
  const isNew = cluster.recorded.tls === undefined && observed.objects.statefulSet === undefined && !isFormed(observed)
  if (isNew) return bySide((side) => firstOf(observed, side))
  const at = bySide((side) => phaseOf(cluster, side))
  if (SIDES.every((side) => at[side] === targetOf(observed, side)) || untilSteady(observed).length > 0) return at
  return bySide((side) =>
    obstacleTo(observed, side) === undefined ? stepped(at[side], targetOf(observed, side)) : at[side],
  )
}

/** Members that come with volumes know each other by what is in those, which only their own word changes. */
function firstOf(observed: Observed, side: TlsSide): TlsPhase {
  const target = targetOf(observed, side)
  return target === 'Required' && observed.cluster.spec.bootstrap?.adopt !== undefined ? 'Preferred' : target
}

/** A step begins at this look: its pod template follows at the next. */
export function isPhaseNew(observed: Observed): boolean {
  const next = nextPhases(observed)
  return SIDES.some((side) => next[side] !== phaseOf(observed.cluster, side))
}

/** Why a side cannot leave plaintext; undefined where it can. */
export function obstacleTo(observed: Observed, side: TlsSide): string | undefined {
  const { cluster } = observed
  if (phaseOf(cluster, side) !== 'Disabled' || !isWanted(cluster, side)) return undefined
  const form = memberForm(observed)
  if (form < TLS_FORM)
    return `members are made in form ${form}, which has no TLS: move spec.image, and the form moves with it`
  return isComplete(observed, side) ? undefined : `certificates of ${side} are not there yet`
}

/** What has to be over before the next step. */
export function untilSteady(observed: Observed): readonly string[] {
  const { cluster, membership, objects, pods } = observed
  if (membership?.leader === undefined) return ['a leader']
  const { statefulSet } = objects
  if (statefulSet?.templateHash !== wantedHash(observed) || !statefulSet?.isObserved) return ['the pod template']
  const moving = [...pods.values()].filter((pod) => pod.isTerminating || !pod.isReady || isOutdated(observed, pod))
  const silent = SIDES.flatMap((side) =>
    reportsOf(observed, side).filter((report) => !isIn(observed, membership, side, report)),
  )
  const others = membership.members.filter(({ ordinal }) => ordinal === undefined)
  const wanted = Array.from({ length: cluster.spec.replicas }, (_, ordinal) => ordinal)
  const missing = wanted.filter((ordinal) => !pods.has(ordinal)).map((ordinal) => `${cluster.name}-${ordinal}`)
  return [...new Set([...missing, ...[...moving, ...silent, ...others].map(({ name }) => name)])]
}

/** Members that answer, and listen or are known otherwise than their phase says. */
export function notYetIn(observed: Observed, side: TlsSide): readonly string[] {
  const { membership, pods } = observed
  if (membership === undefined) return []
  const answering = reportsOf(observed, side).filter(({ ordinal }) => pods.get(ordinal)?.status !== undefined)
  return answering.filter((report) => !isIn(observed, membership, side, report)).map(({ name }) => name)
}

/** It listens and is known as its phase says: what it reports, and what the others have in their member list. */
function isIn({ cluster, pods }: Observed, { members }: Membership, side: TlsSide, { ordinal, tls }: Report): boolean {
  const phase = phaseOf(cluster, side)
  const { schemes = ['http'] } = tls ?? {}
  const record = members.find((member) => member.ordinal === ordinal)
  const urls = (side === 'peer' ? record?.peerURLs : record?.clientURLs) ?? []
  const known = urls.length === 0 ? LISTENED[phase] : urls.map((url) => url.replace(/:.*/, ''))
  return (
    pods.get(ordinal)?.status !== undefined &&
    isAlike(schemes, LISTENED[phase]) &&
    isAlike([...new Set(known)], LISTENED[phase])
  )
}

function isAlike(some: readonly string[], others: readonly string[]): boolean {
  return some.toSorted().join() === others.toSorted().join()
}

/** Between the two ends members are alike in both directions; how all of them can be called is not. */
function stepped(at: TlsPhase, target: TlsPhase): TlsPhase {
  if (at === target) return at
  if (at === 'Disabled') return 'Accepted'
  return at === 'Required' ? 'Preferred' : target
}

function bySide(phase: (side: TlsSide) => TlsPhase): Phases {
  return { peer: phase('peer'), client: phase('client') }
}
