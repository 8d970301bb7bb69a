/**
 * The Services of a cluster. A port that is there keeps the name and the protocol that it has: others may refer to them, and an
 * operator that calls them otherwise is no reason. Pure.
 */
import { PORTS } from '../../api/owned.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { ApplyObject, KubeObject } from '../ports.ts'
import { hashOf } from './hash.ts'
import { metadata, names, selectorLabels, SERVICE_HASH_ANNOTATION } from './names.ts'

interface Port {
  readonly name: string
  readonly appProtocol?: string
}

/** What Kubernetes calls HTTP/2 without TLS. */
const H2C = 'kubernetes.io/h2c'

/** Two of them are asked for in DNS: _etcd-client._tcp and _etcd-server._tcp (etcd: discovery by DNS). */
const DISCOVERED: Readonly<Record<keyof typeof PORTS, Port>> = {
  client: { name: 'etcd-client', appProtocol: H2C },
  peer: { name: 'etcd-server', appProtocol: 'tcp' },
  admin: { name: 'admin', appProtocol: 'http' },
  metrics: { name: 'metrics', appProtocol: 'http' },
}

/** Names for members, also while they are not ready: a member that joins has to be found before it can be. */
export function headlessService(cluster: RaftCluster, present?: KubeObject): ApplyObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: serviceMetadata(cluster, names.headlessService(cluster), {}, present),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      ...families(cluster, present),
      selector: selectorLabels(cluster),
      ports: [
        port('client', DISCOVERED.client, present),
        port('peer', DISCOVERED.peer, present),
        port('admin', DISCOVERED.admin, present),
        port('metrics', DISCOVERED.metrics, present),
      ],
    },
  }
}

/** What clients use: ready members only. */
export function clientService(cluster: RaftCluster, present?: KubeObject): ApplyObject {
  const { type, annotations, loadBalancerClass, loadBalancerSourceRanges } = cluster.spec.service
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: serviceMetadata(cluster, names.clientService(cluster), annotations ?? {}, present),
    spec: {
      type,
      ...(loadBalancerClass !== undefined && { loadBalancerClass }),
      ...(loadBalancerSourceRanges !== undefined && { loadBalancerSourceRanges }),
      ...families(cluster, present),
      selector: selectorLabels(cluster),
      ports: [port('client', { name: 'client', appProtocol: H2C }, present)],
    },
  }
}

/** What the spec no longer says is missed by the hash: the fields alone would all be there. */
function serviceMetadata(
  cluster: RaftCluster,
  name: string,
  annotations: Readonly<Record<string, string>>,
  present: KubeObject | undefined,
): ApplyObject['metadata'] {
  const { service, network } = cluster.spec
  const isPlain = service.type === 'ClusterIP' && Object.keys({ ...service, ...network }).length === 1
  const isMarked = present?.metadata.annotations?.[SERVICE_HASH_ANNOTATION] !== undefined
  return {
    ...metadata(cluster, name),
    ...((!isPlain || isMarked) && {
      annotations: { ...annotations, [SERVICE_HASH_ANNOTATION]: hashOf({ service, network }) },
    }),
  }
}

/** The API server adds the second family that a policy asks for. */
function families({ spec }: RaftCluster, present: KubeObject | undefined): Readonly<Record<string, unknown>> {
  const { ipFamilyPolicy, ipFamilies } = spec.network
  const there: unknown = Object(present?.['spec'])['ipFamilies']
  const isBeginning =
    ipFamilyPolicy !== undefined &&
    ipFamilyPolicy !== 'SingleStack' &&
    Array.isArray(there) &&
    ipFamilies?.every((family, index) => there[index] === family) === true
  return {
    ...(ipFamilyPolicy !== undefined && { ipFamilyPolicy }),
    ...(ipFamilies !== undefined && { ipFamilies: isBeginning ? there : ipFamilies }),
  }
}

function port(
  target: keyof typeof PORTS,
  made: Port,
  present: KubeObject | undefined,
): Readonly<Record<string, unknown>> {
  const ports: unknown = Object(present?.['spec'])['ports']
  const there: unknown = Array.isArray(ports) ? ports.find((one) => Object(one)['port'] === PORTS[target]) : undefined
  const { name, appProtocol } = there === undefined ? made : (Object(there) as Port)
  return {
    name,
    port: PORTS[target],
    // Pods of an earlier form have no port of that name, and another container may.
    targetPort: target === 'metrics' ? PORTS.metrics : target,
    protocol: 'TCP',
    ...(appProtocol !== undefined && { appProtocol }),
  }
}
