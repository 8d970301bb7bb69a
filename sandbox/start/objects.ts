/** What `npm start` puts into the cluster: the operator, and a RaftCluster to try. Pure. */
import { isRecord, type NewObject, type StoredObject } from '../client/object.ts'

export const OPERATOR_NAMESPACE = 'raftkv-system'
export const OPERATOR_POD = 'raftkv-operator-0'
export const SAMPLE = { namespace: 'default', name: 'demo' } as const
export const SAMPLE_REPLICAS = 3
/** As many members as a RaftCluster may have. */
const MAX_REPLICAS = 9
/** By namespace and name: all that it may ever have. */
export const SAMPLE_PODS = Array.from(
  { length: MAX_REPLICAS },
  (_, ordinal) => `${SAMPLE.namespace}/${SAMPLE.name}-${ordinal}`,
)

const OPERATOR = 'raftkv-operator'
export const OPERATOR_LEASE = OPERATOR
const KUBECONFIG_SECRET = 'raftkv-operator-kubeconfig'
const KUBECONFIG_MOUNT = '/etc/raftkv'
const PORTS = { metrics: 8080, health: 8081 } as const
export const PAGE_PORT = 8082

/** `ca` is a PEM text. */
export function kubeconfig(url: string, token: string, ca: string): string {
  const authority = Buffer.from(ca).toString('base64')
  return JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'sandbox', cluster: { server: url, 'certificate-authority-data': authority } }],
      users: [{ name: 'admin', user: { token } }],
      contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'admin', namespace: 'default' } }],
      'current-context': 'sandbox',
    },
    undefined,
    2,
  )
}

export function namespace(): NewObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name: OPERATOR_NAMESPACE } }
}

export function operatorKubeconfig(text: string): NewObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: KUBECONFIG_SECRET, namespace: OPERATOR_NAMESPACE },
    type: 'Opaque',
    data: { kubeconfig: Buffer.from(text).toString('base64') },
  }
}

/**
 * The real program, with leader election. The chart has a Deployment; the sandbox runs no Deployments, and a StatefulSet
 * of one replica comes back after its pod is deleted just as well.
 */
export function operator(version: string): NewObject {
  const labels = { 'app.kubernetes.io/name': OPERATOR }
  const image = `raftkv:${version}`
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: OPERATOR, namespace: OPERATOR_NAMESPACE, labels },
    spec: {
      replicas: 1,
      serviceName: OPERATOR,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 30,
          automountServiceAccountToken: false,
          containers: [
            {
              name: 'operator',
              image,
              args: [
                'operator/main.ts',
                `--member-image=${image}`,
                `--lease-name=${OPERATOR}`,
                `--lease-namespace=${OPERATOR_NAMESPACE}`,
                `--metrics-address=:${PORTS.metrics}`,
                `--health-address=:${PORTS.health}`,
                // A pod's address is on loopback here.
                `--page-address=$(POD_IP):${PAGE_PORT}`,
              ],
              env: [
                { name: 'KUBECONFIG', value: `${KUBECONFIG_MOUNT}/kubeconfig` },
                { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
              ],
              ports: Object.entries(PORTS).map(([name, containerPort]) => ({ name, containerPort })),
              livenessProbe: { httpGet: { path: '/healthz', port: 'health' }, periodSeconds: 10, failureThreshold: 6 },
              readinessProbe: { httpGet: { path: '/readyz', port: 'health' }, periodSeconds: 2, timeoutSeconds: 5 },
              volumeMounts: [{ name: 'kubeconfig', mountPath: KUBECONFIG_MOUNT, readOnly: true }],
            },
          ],
          volumes: [{ name: 'kubeconfig', secret: { secretName: KUBECONFIG_SECRET } }],
        },
      },
    },
  }
}

/** `addresses`: for which the members' certificates are, beside the names of the Services; undefined: without TLS. */
export function sampleCluster(addresses: readonly string[] | undefined): NewObject {
  const plain = { mode: 'Disabled' }
  const tls = addresses === undefined ? { peer: plain, client: plain } : { client: { extraNames: addresses } }
  return {
    apiVersion: 'raftkv.dev/v1alpha1',
    kind: 'RaftCluster',
    metadata: { ...SAMPLE },
    spec: { replicas: SAMPLE_REPLICAS, storage: { size: '1Gi' }, tls },
  }
}

/**
 * What changes in the sample cluster when its pods have other addresses than before, as in another network: names that somebody added stay.
 * Undefined where nothing does, or where it has no TLS.
 */
export function sampleChange(
  sample: StoredObject,
  addresses: readonly string[],
): Readonly<Record<string, unknown>> | undefined {
  const client = fieldOf(fieldOf(sample['spec'], 'tls'), 'client')
  const extraNames = fieldOf(client, 'extraNames')
  const present: readonly unknown[] = Array.isArray(extraNames) ? extraNames : []
  const isAuto = (fieldOf(client, 'mode') ?? 'Auto') === 'Auto'
  if (!isAuto || addresses.every((address) => present.includes(address))) return undefined
  const others = present.filter((name) => !String(name).startsWith('127.'))
  return { spec: { tls: { client: { extraNames: [...others, ...addresses] } } } }
}

function fieldOf(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined
}
