/** Pods that run a tool of the members' program, in the image of the cluster and under the rules for restricted pods. Pure. */
import type { RaftCluster } from '../../api/raft-cluster.ts'
import { kept } from './kept.ts'
import { names } from './names.ts'

type Json = Readonly<Record<string, unknown>>

export const TOOL_CONTAINER = 'tool'
/** What the container leaves there is in the status of its pod. */
export const RESULT_FILE = '/dev/termination-log'
/** Of the image. */
const USER_ID = 1000
const DEFAULT_RESOURCES = { requests: { cpu: '100m', memory: '256Mi' } }

export interface ToolPodOptions {
  readonly image: string
  readonly args: readonly string[]
  readonly env: readonly Json[]
  readonly volumes: readonly Json[]
  readonly mounts: readonly Json[]
  /** That of the members where it is not given. */
  readonly serviceAccountName?: string | undefined
  readonly resources?: Json | undefined
  readonly affinity?: Json | undefined
  /** Of a tool that runs until it is told to end: where it answers for as long as it is well. */
  readonly answers?: { readonly port: number; readonly path: string } | undefined
}

export function toolPodSpec(cluster: RaftCluster, options: ToolPodOptions): Json {
  const { image, podTemplate } = cluster.spec
  const { serviceAccountName = podTemplate.serviceAccountName, resources = DEFAULT_RESOURCES } = options
  return {
    restartPolicy: options.answers === undefined ? 'Never' : 'Always',
    serviceAccountName: serviceAccountName ?? names.serviceAccount(cluster),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER_ID,
      runAsGroup: USER_ID,
      fsGroup: USER_ID,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...kept({
      nodeSelector: podTemplate.nodeSelector,
      tolerations: podTemplate.tolerations,
      imagePullSecrets: image.pullSecrets,
    }),
    ...(options.affinity !== undefined && { affinity: options.affinity }),
    containers: [
      {
        name: TOOL_CONTAINER,
        image: options.image,
        imagePullPolicy: image.pullPolicy,
        command: ['node'],
        args: ['node-server/main.ts', ...options.args],
        env: options.env,
        terminationMessagePath: RESULT_FILE,
        // One that fails leaves nothing there: what the bucket or the members said is then what it wrote last.
        terminationMessagePolicy: 'FallbackToLogsOnError',
        resources,
        ...(options.answers !== undefined && probed(options.answers)),
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: options.mounts,
      },
    ],
    volumes: options.volumes,
  }
}

function probed({ port, path }: { readonly port: number; readonly path: string }): Json {
  const httpGet = { port, path }
  return {
    ports: [{ name: 'status', containerPort: port }],
    readinessProbe: { httpGet, periodSeconds: 5, timeoutSeconds: 3 },
    livenessProbe: { httpGet, periodSeconds: 20, timeoutSeconds: 10 },
  }
}
