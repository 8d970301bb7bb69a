/** Which member's word about the configuration counts. Pure. */
import type { AdminStatus } from '../../lib/admin-api.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'
import type { Membership, ObservedPod } from './observed.ts'
import { ordinalOf } from './resources/names.ts'
import { quorumOf } from './safety.ts'

interface Answer {
  readonly status: AdminStatus
  readonly adminUrl: string
}

/**
 * The leader's word, if one leads in the highest term that anybody knows, hears a quorum and knows no less than what was
 * recorded. A deposed leader that has not noticed is told apart by its term; what it would accept is refused by its quorum
 * anyway. A new one that has not heard its voters yet would call them sick. The survivor of a recovery, alone, counts in any
 * term: those whose history it ends may be in a later one.
 */
export function membershipOf(cluster: RaftCluster, pods: Iterable<ObservedPod>): Membership | undefined {
  const { recorded } = cluster
  const answers = [...pods].flatMap(({ status, adminUrl }): Answer[] =>
    status !== undefined && adminUrl !== undefined && isMember(status, recorded.clusterID)
      ? [{ status, adminUrl }]
      : [],
  )
  const leader = answers
    .filter(({ status }) => status.role === 'leader' && hearsQuorum(status))
    .filter(({ status }) => isSurvivor(recorded, status) || answers.every((other) => other.status.term <= status.term))
    .find(({ status }) => status.term >= recorded.term && status.configIndex >= recorded.configIndex)
  const source = leader ?? answers.toSorted((a, b) => b.status.configIndex - a.status.configIndex)[0]
  if (source === undefined) return undefined
  const { status } = source
  return {
    configIndex: status.configIndex,
    term: status.term,
    commitIndex: status.commitIndex,
    voters: status.voters,
    learners: status.learners,
    members: status.members.map((member) => ({ ...member, ordinal: ordinalOf(cluster.name, member.name) })),
    leader: leader === undefined ? undefined : { memberId: status.memberId, adminUrl: leader.adminUrl },
    isChangePending: status.isChangePending || status.votersOutgoing.length > 0,
    alarms: status.alarms ?? [],
    activeIds: activeIds(leader, answers),
    peers: new Map(status.peers.map((peer) => [peer.id, peer])),
  }
}

function isSurvivor({ operation }: RaftCluster['recorded'], { memberId, voters }: AdminStatus): boolean {
  return operation?.type === 'Recover' && operation.memberID === memberId && voters.join() === memberId
}

/** One that has just joined knows no configuration, not even its own. */
function isMember(status: AdminStatus, clusterId: string): boolean {
  if (clusterId === '' || status.clusterId !== clusterId || status.configIndex === 0) return false
  return status.role !== 'waiting' && status.role !== 'removed'
}

/** Without a leader, those who answer: enough to say whether there could be one. */
function activeIds(leader: Answer | undefined, answers: readonly Answer[]): ReadonlySet<string> {
  if (leader === undefined) return new Set(answers.map(({ status }) => status.memberId))
  return heardBy(leader.status)
}

function heardBy({ memberId, peers }: AdminStatus): ReadonlySet<string> {
  return new Set([memberId, ...peers.filter(({ isActive }) => isActive).map(({ id }) => id)])
}

function hearsQuorum(status: AdminStatus): boolean {
  const heard = heardBy(status)
  return status.voters.filter((id) => heard.has(id)).length >= quorumOf(status.voters.length)
}
