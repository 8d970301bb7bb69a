import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { ApplyObject } from '../ports.ts'
import { quorumOf } from '../safety.ts'
import { metadata, names, selectorLabels } from './names.ts'

/**
 * A drain leaves a quorum of the larger of what is and what is to be: while the cluster grows, the quorum of the voters
 * it had is soon too few; while it shrinks, the voters it still has count.
 */
export function podDisruptionBudget(cluster: RaftCluster, voterCount: number): ApplyObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadata(cluster, names.disruptionBudget(cluster)),
    spec: {
      minAvailable: quorumOf(Math.max(voterCount, cluster.spec.replicas)),
      selector: { matchLabels: selectorLabels(cluster) },
    },
  }
}
