/** What the scenario calls things, and where the operator puts them (operator/cluster/resources/names.ts). */
export const OPERATOR_NAMESPACE = 'raftkv-system'
export const NAMESPACE = 'raftkv-e2e'
/** A trial has one of its own. */
export const trialNamespace = (trial: string): string => `${NAMESPACE}-${trial}`
export const RELEASE = 'raftkv-operator'
export const CLUSTER = 'demo'
export const CLIENT_SERVICE = `${CLUSTER}-client`
export const WRITERS = 'writers'
export const WRITERS_PORT = 8090
export const ADMIN_PORT = 8080
export const CLIENT_PORT = 2379
export const PEER_PORT = 2380

/** Not the pods of Jobs that take backups. */
export const MEMBERS_SELECTOR = `app.kubernetes.io/instance=${CLUSTER},app.kubernetes.io/component=member`
export const volumeName = (memberName: string): string => `data-${memberName}`

export type Paths = ReturnType<typeof pathsOf>

/** Where things of a cluster called {@link CLUSTER} are found. */
export function pathsOf(namespace: string) {
  const core = `/api/v1/namespaces/${namespace}`
  const clusters = `/apis/raftkv.dev/v1alpha1/namespaces/${namespace}/raftclusters`
  const statefulSets = `/apis/apps/v1/namespaces/${namespace}/statefulsets`
  return {
    clusters,
    cluster: `${clusters}/${CLUSTER}`,
    statefulSets,
    statefulSet: `${statefulSets}/${CLUSTER}`,
    pods: `${core}/pods?labelSelector=${encodeURIComponent(MEMBERS_SELECTOR)}`,
    pod: (name: string): string => `${core}/pods/${name}`,
    /** A pod's own HTTP server, through the API server. */
    podPort: (pod: string, port: number): string => `${core}/pods/${pod}:${port}/proxy`,
    volumes: `${core}/persistentvolumeclaims`,
    services: `${core}/services`,
    secrets: `${core}/secrets`,
    serviceAccounts: `${core}/serviceaccounts`,
    events: `${core}/events`,
    disruptionBudgets: `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`,
  } as const
}

export const PATHS = pathsOf(NAMESPACE)
