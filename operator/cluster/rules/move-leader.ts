/** Somebody asks by annotation that a member lead. Asked once, done once: a later election is not undone. Pure. */
import type { Observed } from '../observed.ts'
import type { Plan } from '../plan.ts'
import { hasOrdinal } from './removal.ts'
import { memberNamed } from './replace.ts'
import { moveLeader } from './transfer.ts'

export function moveLeaderAsAsked(observed: Observed): Plan | undefined {
  const { cluster, membership } = observed
  const request = cluster.requests.moveLeader
  if (request === undefined || membership?.leader === undefined) return undefined
  if (cluster.recorded.handledRequests.moveLeader === request) return undefined
  const target = memberNamed(membership, request)
  const leaving = membership.members.filter(hasOrdinal).find(({ id }) => id === membership.leader?.memberId)
  if (target === undefined || leaving === undefined || target.id === leaving.id) return undefined
  if (!membership.voters.includes(target.id) || !membership.activeIds.has(target.id)) return undefined
  const isPreferred = ({ id }: { readonly id: string }): boolean => id === target.id
  return moveLeader(observed, membership, { type: 'MoveLeader', reason: 'MovingLeader', leaving, isPreferred, request })
}
