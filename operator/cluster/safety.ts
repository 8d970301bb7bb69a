/** What no plan may do, whichever rule made it. A plan that fails here is a bug: the process stops rather than act. */
import { assert } from '../../lib/assert.ts'
import type { Action, Plan } from './plan.ts'
import { formerOrdinals, isFilling, type Membership, type Observed, restoreRequest } from './observed.ts'

export function quorumOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1
}

/** Voters that the leader hears from, itself among them. */
export function healthyVoters(membership: Membership): readonly string[] {
  return membership.voters.filter((id) => membership.activeIds.has(id))
}

/** As many voters answer as a quorum is, whether they have a leader or not. */
export function answersQuorum({ membership, cluster }: Observed): boolean {
  if (membership === undefined) return false
  return healthyVoters(membership).length >= quorumOf(membership.voters.length || cluster.recorded.voters)
}

/** The old voters can commit the removal of `memberId`, and those who stay can go on. A learner has no vote. */
export function canRemove(membership: Membership, memberId: string): boolean {
  const healthy = healthyVoters(membership)
  if (healthy.length < quorumOf(membership.voters.length)) return false
  if (!membership.voters.includes(memberId)) return true
  const stay = membership.voters.filter((id) => id !== memberId)
  return stay.length > 0 && healthy.filter((id) => id !== memberId).length >= quorumOf(stay.length)
}

/** What a recovery went on with is on two voters that the leader hears from, or no second one is wanted. */
export function isOnTwoVoters({ membership, cluster }: Observed): boolean {
  if (membership?.leader === undefined) return false
  const { leader, peers, configIndex, voters, members } = membership
  // Behind the configuration that made the second one a voter is all that the first one had.
  const hasAll = (id: string): boolean => id === leader.memberId || (peers.get(id)?.matchIndex ?? 0) >= configIndex
  if (healthyVoters(membership).filter(hasAll).length >= 2) return true
  const voting = members.filter(({ id }) => voters.includes(id)).map(({ ordinal }) => ordinal)
  return Array.from({ length: cluster.spec.replicas }, (_, ordinal) => ordinal).every((ordinal) =>
    voting.includes(ordinal),
  )
}

export function assertSafe(observed: Observed, plan: Plan): void {
  const changes = plan.actions.filter((action) => action.kind === 'change-membership' || action.kind === 'bootstrap')
  assert(changes.length <= 1, `${plan.reason}: more than one membership change in a plan`)
  for (const action of plan.actions) assertSafeAction(observed, plan, action)
  const former = formerOrdinals(observed)
  const given = plan.actions.filter((action) => action.kind === 'delete-volume' && former.has(action.ordinal))
  assert(
    plan.reason === 'Deleting' || given.length <= 1 || isOnTwoVoters(observed),
    'former members keep their volumes until two voters have the data',
  )
}

function assertSafeAction(observed: Observed, plan: Plan, action: Action): void {
  const { membership, cluster } = observed
  switch (action.kind) {
    case 'bootstrap':
      assert(cluster.recorded.clusterID !== '', 'the cluster ID is recorded before it is used')
      assert(cluster.spec.bootstrap?.adopt === undefined, 'a cluster that is taken over is not formed once more')
      assert(cluster.recorded.configIndex === 0 && membership === undefined, 'a cluster is formed once')
      assert(isRecorded(observed, plan, action), 'an operation is recorded before it is carried out')
      return
    case 'create':
      if (action.object.kind === 'Job')
        assert(isRecorded(observed, plan, action), 'an operation is recorded before it is carried out')
      return
    case 'change-membership': {
      assert(membership?.leader !== undefined, 'a membership change needs a leader to judge it')
      assert(!membership.isChangePending, 'a membership change is in flight already')
      assert(action.request.expectedConfigIndex === membership.configIndex, 'decided on the configuration in force')
      if (action.request.kind === 'remove') {
        assert(canRemove(membership, action.request.memberId), `removing ${action.request.memberId} would lose quorum`)
      }
      assert(isRecorded(observed, plan, action), 'an operation is recorded before it is carried out')
      return
    }
    case 'delete-volume':
      if (isFilling(cluster) && action.uid === cluster.recorded.operation?.volumeUID) return
      assert(membership?.leader !== undefined || plan.reason === 'Deleting', 'only a leader can confirm a removal')
      assert(
        plan.reason === 'Deleting' || membership?.members.every(({ ordinal }) => ordinal !== action.ordinal) === true,
        `the volume of ordinal ${action.ordinal} is a member's`,
      )
      return
    case 'recover': {
      const { request } = cluster.spec.recovery
      assert(request !== undefined && plan.operation?.request === request.id, 'a recovery is asked for, never guessed')
      assert(membership?.leader === undefined, 'where somebody leads there is nothing to recover')
      assert(isRecorded(observed, plan, action), 'an operation is recorded before it is carried out')
      return
    }
    case 'switch-cluster': {
      const { recorded } = cluster
      const isAskedFor = recorded.operation?.request === restoreRequest(cluster)?.id
      assert(isFilling(cluster) && isAskedFor, 'a restore in place is asked for, and recorded before it is carried out')
      assert(membership?.leader === undefined, 'where somebody leads nothing is replaced')
      assert(observed.restore?.job?.end?.isComplete === true, 'nothing is given up before the backup is restored')
      assert(
        [...observed.volumes.values()].every(
          ({ uid }) => action.staleVolumes.includes(uid) !== (uid === action.operation.volumeUID),
        ),
        'all volumes but the restored one are of the old cluster',
      )
      return
    }
    case 'keep-up': {
      const { request } = action
      assert(membership?.leader !== undefined, 'without a leader nobody knows who may be missed')
      assert(request.expectedConfigIndex === membership.configIndex, 'decided on the configuration in force')
      assert(isRecorded(observed, plan, action), 'an operation is recorded before it is carried out')
      const isLeader = request.kind === 'defragment' && request.memberId === membership.leader.memberId
      assert(!isLeader || membership.voters.length === 1, 'the leader hands over before it is defragmented')
      return
    }
    default:
  }
}

/** Already in status, or written there by this plan before the mutation. */
function isRecorded(observed: Observed, plan: Plan, action: Action): boolean {
  if (plan.operation === undefined) return false
  const recorded = observed.cluster.recorded.operation
  if (recorded?.id === plan.operation.id && recorded.step === plan.operation.step) return true
  const before = plan.actions.slice(0, plan.actions.indexOf(action))
  return before.some((earlier) => earlier.kind === 'record-operation')
}
