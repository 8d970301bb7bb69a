import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { ApplyObject } from '../ports.ts'
import { quorumOf } from '../safety.ts'
import { metadata, names, selectorLabels } from './names.ts'

/**
 * A drain leaves a quorum of the larger of what is and what is to be: while the cluster grows, the quorum of the voters
 * it had is soon too few; while it shrinks, the voters it still has count. One member alone has none: it would hold
 * up the drain of its node forever.
 */
export function podDisruptionBudget(cluster: RaftCluster, voterCount: number): ApplyObject | undefined {
  const memberCount = Math.max(voterCount, cluster.spec.replicas)
  if (!cluster.spec.pdb.enabled || memberCount < 2) return undefined
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadata(cluster, names.disruptionBudget(cluster)),
    spec: {
      minAvailable: quorumOf(memberCount),
      selector: { matchLabels: selectorLabels(cluster) },
      // One that is not ready votes for nobody: to keep it would only hold up the drain of its node.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  }
}
