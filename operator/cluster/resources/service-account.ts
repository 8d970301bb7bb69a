import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { ApplyObject } from '../ports.ts'
import { metadata, names } from './names.ts'

/** Members never talk to the API server; an account of their own keeps them out of what `default` may do. */
export function serviceAccount(cluster: RaftCluster): ApplyObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata(cluster, names.serviceAccount(cluster)),
    automountServiceAccountToken: false,
  }
}
