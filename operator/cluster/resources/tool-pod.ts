/** Pods of Jobs that run a tool of the members' program, in the image of the cluster and under the rules for restricted pods. Pure. */
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
}

export function toolPodSpec(cluster: RaftCluster, options: ToolPodOptions): Json {
  const { image, podTemplate } = cluster.spec
  const { serviceAccountName = podTemplate.serviceAccountName, resources = DEFAULT_RESOURCES } = options
  return {
    restartPolicy: 'Never',
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
