/** What the objects of a cluster are called, labelled and owned by. Pure. */
import { PORTS, VOLUMES } from '../../api/owned.ts'
import { API_VERSION, GROUP, KIND, type RaftCluster } from '../../api/raft-cluster.ts'
import type { AdminTarget, ApplyObject, KubeObject, ObjectRef, OwnerReference } from '../ports.ts'
import { commonScheme } from '../tls/scheme.ts'

export const TOKEN_KEY = 'token'
export const VOLUME = VOLUMES.data
/** On volumes, which have no owner reference: whose data it is. */
export const CLUSTER_UID_LABEL = `${GROUP}/cluster-uid`

/** On what holds data: of which cluster, as its members know it. It outlives the RaftCluster, whose UID is another after a restore. */
export const CLUSTER_ID_ANNOTATION = `${GROUP}/cluster-id`

/** On a StatefulSet whose pods are refused: a change of it makes its controller try again. */
export const LOOK_AGAIN_ANNOTATION = `${GROUP}/look-again-at`

/** On the pod template: what it is made like, see forms.ts. */
export const FORM_ANNOTATION = `${GROUP}/form`

/** On a Secret of certificates. */
export const CHANGED_AT_ANNOTATION = `${GROUP}/changed-at`

/** On the pod template, by `kubectl rollout restart`. */
export const ROLLOUT_RESTART_ANNOTATION = 'kubectl.kubernetes.io/restartedAt'

/** On a Service: of what the spec says about Services. */
export const SERVICE_HASH_ANNOTATION = `${GROUP}/service-hash`

/** On the pod template, and so on every pod made from it. */
export const TEMPLATE_HASH_ANNOTATION = `${GROUP}/template-hash`

type Named = Pick<RaftCluster, 'name' | 'namespace'>

/** Secrets of TLS. */
const TLS_SUFFIXES = {
  peerCa: 'peer-ca',
  clientCa: 'client-ca',
  peerTls: 'peer-tls',
  serverTls: 'server-tls',
  clientTls: 'client-tls',
  operatorTls: 'operator-tls',
  backupTls: 'backup-tls',
} as const

export type TlsSecret = keyof typeof TLS_SUFFIXES

export const names = {
  statefulSet: (cluster: Named): string => cluster.name,
  /** `default` is every namespace's own. */
  serviceAccount: (cluster: Named): string => (cluster.name === 'default' ? 'default-members' : cluster.name),
  headlessService: (cluster: Named): string => `${cluster.name}-headless`,
  clientService: (cluster: Named): string => `${cluster.name}-client`,
  adminToken: (cluster: Named): string => `${cluster.name}-admin-token`,
  tls: (cluster: Named, secret: TlsSecret): string => `${cluster.name}-${TLS_SUFFIXES[secret]}`,
  disruptionBudget: (cluster: Named): string => cluster.name,
  networkPolicy: (cluster: Named): string => cluster.name,
  restoreJob: (cluster: Named): string => `${cluster.name}-restore`,
  pod: (cluster: Named, ordinal: number): string => `${cluster.name}-${ordinal}`,
  volume: (cluster: Named, ordinal: number): string => `${VOLUME}-${cluster.name}-${ordinal}`,
}

/** Undefined for a name that is not `<prefix>-<ordinal>` as a StatefulSet writes it. */
export function ordinalOf(prefix: string, name: string): number | undefined {
  if (!name.startsWith(`${prefix}-`)) return undefined
  const digits = name.slice(prefix.length + 1)
  return /^(0|[1-9]\d{0,5})$/.test(digits) ? Number(digits) : undefined
}

export function selectorLabels(cluster: Named): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'raftkv',
    'app.kubernetes.io/instance': cluster.name,
    'app.kubernetes.io/managed-by': 'raftcluster-operator',
  }
}

export function labels(cluster: Named): Record<string, string> {
  return { ...selectorLabels(cluster), 'app.kubernetes.io/component': 'member', [`${GROUP}/cluster`]: cluster.name }
}

export function selectorText(cluster: Named): string {
  return labelsText(selectorLabels(cluster))
}

/** Of Jobs that take backups, and of their pods: none of them is a member. */
export function backupLabels(cluster: Pick<Named, 'name'>): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'raftkv-backup',
    'app.kubernetes.io/instance': cluster.name,
    'app.kubernetes.io/component': 'backup',
    'app.kubernetes.io/managed-by': 'raftcluster-operator',
  }
}

/** Of what keeps the changes of a cluster, and of its pods. */
export function changeStreamLabels(cluster: Pick<Named, 'name'>): Record<string, string> {
  return { ...backupLabels(cluster), 'app.kubernetes.io/component': 'change-stream' }
}

/** Of both, and of nothing else. */
export function backupClientLabels(cluster: Pick<Named, 'name'>): Record<string, string> {
  const { 'app.kubernetes.io/component': _, ...labels } = backupLabels(cluster)
  return labels
}

/** As a selector. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

export function ownerReference(cluster: Pick<RaftCluster, 'name' | 'uid'>): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    name: cluster.name,
    uid: cluster.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}

export function metadata(cluster: RaftCluster, name: string): ApplyObject['metadata'] {
  return { name, namespace: cluster.namespace, labels: labels(cluster), ownerReferences: [ownerReference(cluster)] }
}

/** DNS name of an ordinal's pod, known before the pod is there. */
export function hostName(cluster: RaftCluster, ordinal: number): string {
  const service = names.headlessService(cluster)
  return `${names.pod(cluster, ordinal)}.${service}.${cluster.namespace}.svc.${cluster.spec.clusterDomain}`
}

export function peerUrl(cluster: RaftCluster, ordinal: number): string {
  return `${commonScheme(cluster, 'peer')}://${hostName(cluster, ordinal)}:${PORTS.peer}`
}

/** The usual {@link ReconcileDeps.adminUrl}: by address, which needs no DNS to have caught up. */
export function podAdminUrl(target: AdminTarget): string {
  return podUrl(target, PORTS.admin)
}

/** The usual {@link ReconcileDeps.clientUrl}. */
export function podClientUrl(target: AdminTarget): string {
  return podUrl(target, PORTS.client)
}

function podUrl({ podIP, scheme }: AdminTarget, port: number): string {
  return `${scheme}://${podIP.includes(':') ? `[${podIP}]` : podIP}:${port}`
}

export function volumeRef(cluster: Named, name: string): ObjectRef {
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: cluster.namespace, name }
}

export function podRef(cluster: Named, name: string): ObjectRef {
  return { apiVersion: 'v1', kind: 'Pod', namespace: cluster.namespace, name }
}

/** None if the cluster has no ID yet. */
export function clusterIdAnnotation(clusterID: string): Readonly<Record<string, string>> {
  return clusterID === '' ? {} : { [CLUSTER_ID_ANNOTATION]: clusterID }
}

export type ClaimMarks = Pick<ApplyObject['metadata'], 'labels' | 'annotations'>

/** What a claim says of itself. */
export function claimMarks(cluster: RaftCluster, clusterID = cluster.recorded.clusterID): ClaimMarks {
  return { labels: { [CLUSTER_UID_LABEL]: cluster.uid }, annotations: clusterIdAnnotation(clusterID) }
}

/** UID of the object that controls this one. */
export function controllerOf(object: KubeObject): string | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid
}
