/** What the scenario applies, as JSON for `kubectl apply`. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CLIENT_PORT, CLIENT_SERVICE, CLUSTER, WRITERS, WRITERS_PORT } from '../names.ts'

const SOURCE = 'writers.ts'

/** Pods that are not "restricted" are refused, the operator's and the members' as much as the test's own. */
export function namespaceOf(name: string): string {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
  return JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
}

const DISABLED = { mode: 'Disabled' }
/** Trials are about something else, unless they say so: the writers need no certificates, which an earlier release did not make by itself. */
const PLAIN = { peer: DISABLED, client: DISABLED }

export function raftCluster({ namespace, spec }: { readonly namespace: string; readonly spec: object }): string {
  return JSON.stringify({
    apiVersion: 'raftkv.dev/v1alpha1',
    kind: 'RaftCluster',
    metadata: { name: CLUSTER, namespace },
    spec: { storage: { size: '1Gi' }, tls: PLAIN, ...spec },
  })
}

export interface WritersOptions {
  readonly namespace: string
  readonly image: string
  /** Between two puts of one writer; a few milliseconds when absent. */
  readonly pauseMs?: number
  /** A Secret for clients, which need not be there yet. */
  readonly certificates?: string
}

const CERTIFICATES = '/etc/writers'
/** Between two puts, where nothing else is said. */
const PAUSE_MS = 4

/** The writers run from the project's image; their source comes as a ConfigMap, mounted where its imports fit. */
export function writersPod({ namespace, image, pauseMs = PAUSE_MS, certificates }: WritersOptions): string {
  const source = readFileSync(join(import.meta.dirname, '..', SOURCE), 'utf8')
  const address = `dns:///${CLIENT_SERVICE}.${namespace}.svc:${CLIENT_PORT}`
  const metadata = { name: WRITERS, namespace }
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      restartPolicy: 'Never',
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: WRITERS,
          image,
          imagePullPolicy: 'IfNotPresent',
          args: [`test/e2e/${SOURCE}`, address, String(WRITERS_PORT), String(pauseMs), CERTIFICATES],
          readinessProbe: { httpGet: { path: '/', port: WRITERS_PORT }, periodSeconds: 1 },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          // By subPath it is a file; a whole ConfigMap is mounted as links, beyond which imports lead elsewhere.
          volumeMounts: [
            { name: 'source', mountPath: `/app/test/e2e/${SOURCE}`, subPath: SOURCE },
            ...(certificates === undefined ? [] : [{ name: 'certificates', mountPath: CERTIFICATES }]),
          ],
        },
      ],
      volumes: [
        { name: 'source', configMap: { name: WRITERS } },
        ...(certificates === undefined
          ? []
          : [{ name: 'certificates', secret: { secretName: certificates, optional: true } }]),
      ],
    },
  }
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [SOURCE]: source } }
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [configMap, pod] })
}
