/** Leadership leaves a member before the member is removed or restarted; that it did shows in the next look. Pure. */
import type { Operation } from '../../api/status.ts'
import type { Membership, Observed, ObservedMember } from '../observed.ts'
import { isOverdue, newOperation } from '../operation.ts'
import { blocked, inFlight, type Plan } from '../plan.ts'

export interface Transfer {
  readonly type: Operation['type']
  /** Of the plan. */
  readonly reason: string
  readonly leaving: ObservedMember & { readonly ordinal: number }
  /** Any healthy voter will do where none of these is healthy. */
  readonly isPreferred: (member: ObservedMember) => boolean
  readonly volumeUID?: string
  readonly request?: string
}

export function moveLeader(observed: Observed, membership: Membership, transfer: Transfer): Plan {
  const { cluster, nowMs } = observed
  const { type, reason, leaving } = transfer
  const { leader, term, configIndex } = membership
  const candidates = successors(membership, transfer)
  const recorded = cluster.recorded.operation
  const isRepeat = recorded?.step === 'TransferLeader' && recorded.type === type && recorded.ordinal === leaving.ordinal
  const attempts = isRepeat ? recorded.attempts : 0
  const target = candidates[attempts % Math.max(1, candidates.length)]
  if (target === undefined || leader === undefined) {
    const message = `${leaving.name} leads and no healthy voter can take over: repair a member first`
    return blocked('NoSuccessor', message, recorded)
  }
  const operation = {
    ...newOperation(observed, {
      type,
      step: 'TransferLeader',
      ordinal: leaving.ordinal,
      verb: 'transfer',
      subject: `${target.id}:${term}:${attempts}`,
      memberID: leaving.id,
      deadlineSeconds: cluster.spec.scaling.leaderTransferTimeoutSeconds,
      ...(transfer.volumeUID !== undefined && { volumeUID: transfer.volumeUID }),
      ...(transfer.request !== undefined && { request: transfer.request }),
    }),
    attempts,
  }
  const late = isOverdue(operation, nowMs) ? ', which is taking longer than it should' : ''
  const request = { operationId: operation.id, expectedConfigIndex: configIndex, memberId: target.id }
  return inFlight(reason, `leadership moves from ${leaving.name} to ${target.name}${late}`, operation, [
    { kind: 'record-operation', operation },
    { kind: 'transfer-leader', url: leader.adminUrl, request },
  ])
}

/** Healthy voters, the most caught-up first: it can lead at once. */
function successors(membership: Membership, { leaving, isPreferred }: Transfer): readonly ObservedMember[] {
  const matchIndex = (member: ObservedMember): number => membership.peers.get(member.id)?.matchIndex ?? 0
  const voters = membership.members.filter(
    ({ id }) => id !== leaving.id && membership.voters.includes(id) && membership.activeIds.has(id),
  )
  const preferred = voters.filter(isPreferred)
  return (preferred.length > 0 ? preferred : voters).toSorted((a, b) => matchIndex(b) - matchIndex(a))
}
