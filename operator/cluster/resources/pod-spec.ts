/** The pods of members: what the operator gives them, and what spec.podTemplate, resources and options set. Pure. */
import { CONTAINER, MOUNTS, PORTS, VOLUMES } from '../../api/owned.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import { type Connections, PLAIN } from './connections.ts'
import { kept } from './kept.ts'
import { memberFlags } from './member-flags.ts'
import { names, selectorLabels } from './names.ts'

/** Time for a member to hand over leadership and flush. */
const TERMINATION_GRACE_SECONDS = 30
/** One that is given less has no time to wait for others. */
const SHORTEST_UNHURRIED_GRACE_SECONDS = 15
/** The user of the image. */
const USER_ID = 1000

type Json = Readonly<Record<string, unknown>>

/** What a form gives where the spec says nothing. */
export interface PodDefaults {
  readonly resources?: Json
  readonly topologySpreadConstraints?: readonly Json[]
  readonly connections?: Connections
  /** For so long a member that is asked to stop serves on. */
  readonly shutdownDelaySeconds?: number
}

export function podSpec(cluster: RaftCluster, memberImage: string, defaults: PodDefaults = {}): Json {
  const { podTemplate, image } = cluster.spec
  return {
    serviceAccountName: podTemplate.serviceAccountName ?? names.serviceAccount(cluster),
    // Whether an account of the user's own has anything to say to the API server, it says itself.
    ...(podTemplate.serviceAccountName === undefined && { automountServiceAccountToken: false }),
    enableServiceLinks: false,
    terminationGracePeriodSeconds: podTemplate.terminationGracePeriodSeconds ?? TERMINATION_GRACE_SECONDS,
    ...kept({
      securityContext: podTemplate.securityContext ?? {
        runAsNonRoot: true,
        runAsUser: USER_ID,
        runAsGroup: USER_ID,
        fsGroup: USER_ID,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      affinity: podTemplate.affinity ?? spreadOverHosts(cluster),
      priorityClassName: podTemplate.priorityClassName,
      nodeSelector: podTemplate.nodeSelector,
      tolerations: podTemplate.tolerations,
      topologySpreadConstraints: podTemplate.topologySpreadConstraints ?? defaults.topologySpreadConstraints,
      imagePullSecrets: image.pullSecrets,
      initContainers: podTemplate.initContainers,
      containers: [container(cluster, memberImage, defaults), ...(podTemplate.extraContainers ?? [])],
      volumes: [
        { name: VOLUMES.token, secret: { secretName: names.adminToken(cluster), defaultMode: 0o440 } },
        ...connections(defaults).volumes(cluster),
        ...(podTemplate.volumes ?? []),
      ],
    }),
  }
}

function spreadOverHosts(cluster: RaftCluster): Json {
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

function container(cluster: RaftCluster, memberImage: string, defaults: PodDefaults): Json {
  const { image, resources, podTemplate } = cluster.spec
  const isGiven = Object.values(resources).some((amounts) => Object.keys(amounts ?? {}).length > 0)
  const { env = [], volumeMounts = [] } = podTemplate
  const { probed } = connections(defaults)
  return {
    name: CONTAINER,
    image: memberImage,
    imagePullPolicy: image.pullPolicy,
    command: ['node'],
    args: memberArgs(cluster, defaults),
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
      { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } } },
      ...shutdownDelay(cluster, defaults),
      ...env,
    ],
    ports: connections(defaults).ports.map((name) => ({ name, containerPort: PORTS[name], protocol: 'TCP' })),
    // Starting up may mean replaying a long log: 10 minutes, then the kubelet tries anew.
    startupProbe: probe('/livez', probed, { periodSeconds: 1, failureThreshold: 600 }),
    livenessProbe: probe('/livez', probed, { periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5 }),
    readinessProbe: probe('/readyz', probed, { periodSeconds: 1, failureThreshold: 3, timeoutSeconds: 2 }),
    // What it wrote last is then in the pod's status, and from there in the conditions.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...kept({ resources: isGiven ? resources : defaults.resources, envFrom: podTemplate.envFrom }),
    securityContext: podTemplate.containerSecurityContext ?? {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: VOLUMES.data, mountPath: MOUNTS.data },
      { name: VOLUMES.token, mountPath: MOUNTS.token, readOnly: true },
      ...connections(defaults).mounts(cluster),
      ...volumeMounts,
    ],
  }
}

function connections({ connections = PLAIN }: PodDefaults): Connections {
  return connections
}

function memberArgs(cluster: RaftCluster, defaults: PodDefaults): readonly string[] {
  return [
    // In MiB. Meant to collect young objects less often; no gain in throughput has been shown for it yet.
    '--max-semi-space-size=32',
    'node-server/main.ts',
    '--name=$(POD_NAME)',
    `--data-dir=${MOUNTS.data}/data`,
    ...connections(defaults).flags(cluster),
    ...memberFlags(cluster.spec.options),
  ]
}

/** A variable: an image that does not have the flag ignores it, and would refuse the flag itself. */
function shutdownDelay({ spec }: RaftCluster, { shutdownDelaySeconds }: PodDefaults): readonly Json[] {
  const { terminationGracePeriodSeconds: graceSeconds = TERMINATION_GRACE_SECONDS } = spec.podTemplate
  const isLeft = shutdownDelaySeconds !== undefined && graceSeconds >= SHORTEST_UNHURRIED_GRACE_SECONDS
  return isLeft ? [{ name: 'ETCD_SHUTDOWN_DELAY_DURATION', value: `${shutdownDelaySeconds}s` }] : []
}

function probe(path: string, port: string, timing: Readonly<Record<string, number>>): Json {
  return { httpGet: { path, port }, ...timing }
}
