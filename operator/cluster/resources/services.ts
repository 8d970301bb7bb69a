import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { ApplyObject } from '../ports.ts'
import { metadata, names, PORTS, selectorLabels } from './names.ts'

const port = (name: keyof typeof PORTS): Record<string, unknown> => ({
  name,
  port: PORTS[name],
  targetPort: name,
  protocol: 'TCP',
})

/** Names for members, also while they are not ready: a member that joins has to be found before it can be. */
export function headlessService(cluster: RaftCluster): ApplyObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(cluster, names.headlessService(cluster)),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: selectorLabels(cluster),
      ports: [port('client'), port('peer'), port('admin')],
    },
  }
}

/** What clients use: ready members only. */
export function clientService(cluster: RaftCluster): ApplyObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(cluster, names.clientService(cluster)),
    spec: { type: 'ClusterIP', selector: selectorLabels(cluster), ports: [port('client')] },
  }
}
