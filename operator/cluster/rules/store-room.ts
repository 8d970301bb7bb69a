/** The room in members' stores, and how one of them is told to give some back. Pure. */
import type { AdminDefragmentation, AdminStore, UpkeepRequest } from '../../../lib/admin-api.ts'
import type { Operation } from '../../api/status.ts'
import type { Membership, Observed, ObservedMember, ObservedPod } from '../observed.ts'
import { newOperation } from '../operation.ts'
import { inFlight, type Plan } from '../plan.ts'
import { hasOrdinal } from './removal.ts'

/** A member that is one of our pods. */
export type Kept = ObservedMember & { readonly ordinal: number }

/** A member may take so long. */
export const DEFRAGMENTATION_MS = 30 * 60_000

export function podOf({ pods }: Observed, { ordinal, id }: Kept): ObservedPod | undefined {
  const pod = pods.get(ordinal)
  return pod?.status?.memberId === id ? pod : undefined
}

/** Undefined where it does not answer, or is of a version that does not tell. */
export function storeOf(observed: Observed, member: Kept): AdminStore | undefined {
  return podOf(observed, member)?.status?.store
}

export function hasMoreFreeThan(percent: number, { sizeBytes, inUseBytes }: AdminStore): boolean {
  return (sizeBytes - inUseBytes) * 100 > percent * sizeBytes
}

/** The same after the configuration has changed: a repeat is recognised. */
function subjectOf({ id }: Pick<ObservedMember, 'id'>, since: string): string {
  return `${id}@${since}`
}

/** What the member says of the defragmentation that was asked for at that time. */
export function reportOf(
  observed: Observed,
  verb: 'defragment' | 'reclaim',
  member: Kept,
  since: string,
): AdminDefragmentation | undefined {
  const report = storeOf(observed, member)?.defragmentation
  const ours = [observed.cluster.uid, verb, subjectOf(member, since), ''].join(':')
  return report?.operationId.startsWith(ours) === true ? report : undefined
}

/** The leader last: it hands over before. */
export function inOrder(membership: Membership): readonly Kept[] {
  const rank = ({ id, ordinal }: Kept): number => (id === membership.leader?.memberId ? -1 : ordinal)
  return membership.members.filter(hasOrdinal).toSorted((a, b) => rank(b) - rank(a))
}

/** The leader last. A learner raises no alarm, and may not even know its cluster. */
export function votersIn(membership: Membership): readonly Kept[] {
  return inOrder(membership).filter(({ id }) => membership.voters.includes(id))
}

interface Asking {
  readonly type: Extract<Operation['type'], 'Defragment' | 'ReclaimSpace'>
  readonly reason: string
  readonly message: string
  readonly since: string
}

/** Undefined where its pod has no address. */
export function askToDefragment(
  observed: Observed,
  { configIndex }: Membership,
  member: Kept,
  { type, reason, message, since }: Asking,
): Plan | undefined {
  const url = podOf(observed, member)?.adminUrl
  if (url === undefined) return undefined
  const operation = newOperation(observed, {
    type,
    step: 'Defragment',
    ordinal: member.ordinal,
    verb: type === 'Defragment' ? 'defragment' : 'reclaim',
    subject: subjectOf(member, since),
    memberID: member.id,
  })
  const request: UpkeepRequest = {
    kind: 'defragment',
    operationId: operation.id,
    expectedConfigIndex: configIndex,
    memberId: member.id,
  }
  return inFlight(reason, message, operation, [
    { kind: 'record-operation', operation },
    { kind: 'keep-up', url, request },
  ])
}

export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1_000_000)} MB`
}
