/**
 * The StatefulSet: pods of all ordinals at once (Parallel), replaced only when somebody deletes them (OnDelete), volumes
 * kept whatever happens (the operator alone deletes them). Nothing about membership is in it: a member starts waiting
 * and is told what to do.
 */
import { ANNOTATIONS, type RaftCluster } from '../../api/raft-cluster.ts'
import type { ClaimTemplate, Form, MemberObjects } from '../form.ts'
import type { ApplyObject } from '../ports.ts'
import {
  CLUSTER_UID_LABEL,
  CONTAINER,
  FORM_ANNOTATION,
  labels,
  LOOK_AGAIN_ANNOTATION,
  metadata,
  names,
  PORTS,
  selectorLabels,
  TEMPLATE_HASH_ANNOTATION,
  VOLUME,
} from './names.ts'
import { templateHash } from './template-hash.ts'

const DATA_MOUNT = '/var/lib/raftkv'
const TOKEN_MOUNT = '/etc/raftkv/admin'
/** Time for a member to hand over leadership and flush. */
const TERMINATION_GRACE_SECONDS = 30
/** The user of the image. */
const USER_ID = 1000

/** From the first ordinal up to the one before `end`. */
export interface PodRange {
  readonly start: number
  readonly end: number
}

export interface StatefulSetOptions {
  readonly pods: PodRange
  readonly image: string
  readonly form: Form
  /** Its number, from 1. */
  readonly formNumber: number
  /** As it is, since it cannot change; undefined for a new StatefulSet. */
  readonly claimTemplate: ClaimTemplate | undefined
  readonly lookAgainAt?: string | undefined
}

export function statefulSet(cluster: RaftCluster, options: StatefulSetOptions): ApplyObject {
  const made = options.form(cluster, options.image)
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      ...metadata(cluster, names.statefulSet(cluster)),
      ...(options.lookAgainAt !== undefined && { annotations: { [LOOK_AGAIN_ANNOTATION]: options.lookAgainAt } }),
    },
    spec: {
      replicas: options.pods.end - options.pods.start,
      ordinals: { start: options.pods.start },
      serviceName: names.headlessService(cluster),
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      selector: { matchLabels: selectorLabels(cluster) },
      template: {
        metadata: {
          labels: { ...made.labels, ...selectorLabels(cluster) },
          annotations: templateAnnotations(cluster, options.formNumber),
        },
        spec: made.pod,
      },
      volumeClaimTemplates: [options.claimTemplate ?? made.claim],
    },
  }
}

export function memberObjects(cluster: RaftCluster, image: string): MemberObjects {
  return { labels: labels(cluster), pod: podSpec(cluster, image), claim: claimTemplate(cluster) }
}

/** What spec.image leaves open is as in `base`. */
export function imageOf(cluster: RaftCluster, base: string): string {
  const { repository, tag } = cluster.spec.image
  if (tag !== undefined) return `${repository ?? repositoryOf(base)}:${tag}`
  return repository ?? base
}

/** Without tag and digest. */
function repositoryOf(image: string): string {
  const [named = ''] = image.split('@')
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  return colon === -1 ? named : named.slice(0, colon)
}

function templateAnnotations(cluster: RaftCluster, formNumber: number): Record<string, string> {
  const { restartedAt } = cluster.requests
  return {
    [TEMPLATE_HASH_ANNOTATION]: templateHash(cluster),
    [FORM_ANNOTATION]: String(formNumber),
    ...(restartedAt !== undefined && { [ANNOTATIONS.restartedAt]: restartedAt }),
  }
}

function podSpec(cluster: RaftCluster, memberImage: string): Record<string, unknown> {
  const { podTemplate, image } = cluster.spec
  return {
    serviceAccountName: names.serviceAccount(cluster),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: TERMINATION_GRACE_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER_ID,
      runAsGroup: USER_ID,
      fsGroup: USER_ID,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    affinity: podTemplate.affinity ?? spreadOverHosts(cluster),
    ...(podTemplate.priorityClassName !== undefined && { priorityClassName: podTemplate.priorityClassName }),
    ...(podTemplate.nodeSelector !== undefined && { nodeSelector: podTemplate.nodeSelector }),
    ...(podTemplate.tolerations !== undefined && { tolerations: podTemplate.tolerations }),
    ...(podTemplate.topologySpreadConstraints !== undefined && {
      topologySpreadConstraints: podTemplate.topologySpreadConstraints,
    }),
    ...(image.pullSecrets.length > 0 && { imagePullSecrets: image.pullSecrets }),
    containers: [container(cluster, memberImage)],
    volumes: [{ name: 'admin-token', secret: { secretName: names.adminToken(cluster), defaultMode: 0o440 } }],
  }
}

function spreadOverHosts(cluster: RaftCluster): Record<string, unknown> {
  return {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        {
          weight: 100,
          podAffinityTerm: {
            labelSelector: { matchLabels: selectorLabels(cluster) },
            topologyKey: 'kubernetes.io/hostname',
          },
        },
      ],
    },
  }
}

function container(cluster: RaftCluster, memberImage: string): Record<string, unknown> {
  const { image, resources } = cluster.spec
  return {
    name: CONTAINER,
    image: memberImage,
    imagePullPolicy: image.pullPolicy,
    command: ['node'],
    args: memberArgs(cluster),
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
      { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } } },
    ],
    ports: Object.entries(PORTS).map(([name, containerPort]) => ({ name, containerPort, protocol: 'TCP' })),
    // Starting up may mean replaying a long log: 10 minutes, then the kubelet tries anew.
    startupProbe: probe('/livez', { periodSeconds: 1, failureThreshold: 600 }),
    livenessProbe: probe('/livez', { periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5 }),
    readinessProbe: probe('/readyz', { periodSeconds: 1, failureThreshold: 3, timeoutSeconds: 2 }),
    // What it wrote last is then in the pod's status, and from there in the conditions.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...(Object.keys(resources).length > 0 && { resources }),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: VOLUME, mountPath: DATA_MOUNT },
      { name: 'admin-token', mountPath: TOKEN_MOUNT, readOnly: true },
    ],
  }
}

function memberArgs(cluster: RaftCluster): readonly string[] {
  const { options, clusterDomain } = cluster.spec
  const host = `$(POD_NAME).${names.headlessService(cluster)}.$(POD_NAMESPACE).svc.${clusterDomain}`
  return [
    // In MiB. Meant to collect young objects less often; no gain in throughput has been shown for it yet.
    '--max-semi-space-size=32',
    'node-server/main.ts',
    '--name=$(POD_NAME)',
    `--data-dir=${DATA_MOUNT}/data`,
    `--listen-client-urls=http://0.0.0.0:${PORTS.client}`,
    `--advertise-client-urls=http://${host}:${PORTS.client}`,
    `--listen-peer-urls=http://0.0.0.0:${PORTS.peer}`,
    `--initial-advertise-peer-urls=http://${host}:${PORTS.peer}`,
    '--initial-cluster-state=wait',
    `--listen-admin-urls=http://0.0.0.0:${PORTS.admin}`,
    `--admin-token-file=${TOKEN_MOUNT}/token`,
    `--heartbeat-interval=${options.heartbeatMs}`,
    `--election-timeout=${options.electionTimeoutMs}`,
    ...(options.snapshotCount === undefined ? [] : [`--snapshot-count=${options.snapshotCount}`]),
    ...(options.quotaBytes === undefined ? [] : [`--quota-backend-bytes=${options.quotaBytes}`]),
  ]
}

function probe(path: string, timing: Readonly<Record<string, number>>): Record<string, unknown> {
  return { httpGet: { path, port: 'admin' }, ...timing }
}

function claimTemplate(cluster: RaftCluster): ClaimTemplate {
  const { size, storageClassName } = cluster.spec.storage
  return {
    metadata: { name: VOLUME, labels: { ...labels(cluster), [CLUSTER_UID_LABEL]: cluster.uid } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(storageClassName !== undefined && { storageClassName }),
      resources: { requests: { storage: size } },
    },
  }
}
