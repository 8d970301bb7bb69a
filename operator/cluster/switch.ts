/** What is remembered of a RaftCluster whose cluster is replaced by one out of a backup. Pure. */
import type { RaftClusterStatus } from '../api/status.ts'
import type { Observed } from './observed.ts'
import type { Action } from './plan.ts'

/** In one write. What was known of the old cluster's history does not count any more. */
export function afterSwitch(
  recorded: RaftClusterStatus,
  { clusterID, operation, staleVolumes }: Extract<Action, { kind: 'switch-cluster' }>,
): RaftClusterStatus {
  const { auth } = recorded
  const known = { ...recorded }
  delete known.maintenance
  return {
    ...known,
    clusterID,
    operation,
    staleVolumes: [...staleVolumes],
    handledRequests: { ...known.handledRequests, recovery: operation.request },
    members: [],
    leader: '',
    term: 0,
    // Above 0: the cluster is there, and not to be formed.
    configIndex: 1,
    commitIndex: 0,
    voters: 1,
    learners: 0,
    // Users and roles are as in the backup.
    ...(auth !== undefined && { auth: { ...auth, revision: 0, hash: '' } }),
  }
}

/** What was seen, without what members of a cluster said that this look has given up. */
export function asRecorded(observed: Observed, recorded: RaftClusterStatus): Observed {
  const { cluster } = observed
  if (recorded.clusterID === cluster.recorded.clusterID) return observed
  return { ...observed, cluster: { ...cluster, recorded }, membership: undefined }
}
