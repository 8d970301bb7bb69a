/** What the scenario calls things, and where the operator puts them (operator/cluster/resources/names.ts). */
export const OPERATOR_NAMESPACE = 'raftkv-system'
export const NAMESPACE = 'raftkv-e2e'
export const RELEASE = 'raftkv-operator'
export const CLUSTER = 'demo'
export const CLIENT_SERVICE = `${CLUSTER}-client`
export const WRITERS = 'writers'
export const WRITERS_PORT = 8090
export const ADMIN_PORT = 8080
export const CLIENT_PORT = 2379

export const MEMBERS_SELECTOR = `app.kubernetes.io/instance=${CLUSTER}`
export const volumeName = (memberName: string): string => `data-${memberName}`

const IN_NAMESPACE = `/namespaces/${NAMESPACE}`
export const PATHS = {
  clusters: `/apis/raftkv.dev/v1alpha1${IN_NAMESPACE}/raftclusters`,
  cluster: `/apis/raftkv.dev/v1alpha1${IN_NAMESPACE}/raftclusters/${CLUSTER}`,
  statefulSet: `/apis/apps/v1${IN_NAMESPACE}/statefulsets/${CLUSTER}`,
  statefulSets: `/apis/apps/v1${IN_NAMESPACE}/statefulsets`,
  pods: `/api/v1${IN_NAMESPACE}/pods?labelSelector=${encodeURIComponent(MEMBERS_SELECTOR)}`,
  volumes: `/api/v1${IN_NAMESPACE}/persistentvolumeclaims`,
  services: `/api/v1${IN_NAMESPACE}/services`,
  secrets: `/api/v1${IN_NAMESPACE}/secrets`,
  serviceAccounts: `/api/v1${IN_NAMESPACE}/serviceaccounts`,
  disruptionBudgets: `/apis/policy/v1${IN_NAMESPACE}/poddisruptionbudgets`,
  /** A pod's own HTTP server, through the API server. */
  podPort: (pod: string, port: number): string => `/api/v1${IN_NAMESPACE}/pods/${pod}:${port}/proxy`,
} as const
