import { PORTS } from '../../api/owned.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { ApplyObject, PodSelection } from '../ports.ts'
import { kept } from './kept.ts'
import { backupClientLabels, metadata, names, selectorLabels } from './names.ts'

type Peer = Readonly<Record<string, unknown>>

/** Kubernetes writes on every namespace what it is called. */
const NAMESPACE_LABEL = 'kubernetes.io/metadata.name'
const OF_THE_NAMESPACE: readonly Peer[] = [{ podSelector: {} }]

/**
 * Who may connect to members; where they connect to is left open. Members alone reach the peer port, they and the operator the
 * admin port. The operator is let in by its labels, everywhere: where it does not know them it may be no pod at all, and the admin port,
 * which asks for a token, stays open.
 */
export function networkPolicy(cluster: RaftCluster, operator: PodSelection | undefined): ApplyObject | undefined {
  const { enabled, clientFrom = OF_THE_NAMESPACE, metricsFrom = OF_THE_NAMESPACE } = cluster.spec.networkPolicy
  if (!enabled) return undefined
  const own: Peer = { podSelector: { matchLabels: selectorLabels(cluster) } }
  const backups: Peer = { podSelector: { matchLabels: backupClientLabels(cluster) } }
  const operators: readonly Peer[] = operator === undefined ? [] : [peerOf(operator)]
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadata(cluster, names.networkPolicy(cluster)),
    spec: {
      podSelector: { matchLabels: selectorLabels(cluster) },
      policyTypes: ['Ingress'],
      ...kept({
        ingress: [
          rule(PORTS.peer, [own]),
          rule(PORTS.admin, operators.length === 0 ? [] : [own, ...operators]),
          rule(PORTS.client, [own, backups, ...operators, ...clientFrom]),
          rule(PORTS.metrics, [own, ...operators, ...metricsFrom]),
        ],
      }),
    },
  }
}

/** From anybody where nobody is named. */
function rule(port: number, from: readonly Peer[]): Peer {
  return { ports: [{ port, protocol: 'TCP' }], from }
}

function peerOf({ namespace, labels }: PodSelection): Peer {
  return {
    namespaceSelector: { matchLabels: { [NAMESPACE_LABEL]: namespace } },
    podSelector: { matchLabels: labels },
  }
}
