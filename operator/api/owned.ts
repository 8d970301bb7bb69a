/** What is the operator's own in a pod: whatever else a spec brings into it must be called otherwise. Pure. */

export const CONTAINER = 'raftkv'
export const PORTS = { client: 2379, peer: 2380, admin: 8080 } as const
/** Of metrics and probes alone, where a member has one beside the admin API's. */
export const METRICS_PORT = 2382
/** By what they are for. */
export const VOLUMES = { data: 'data', token: 'admin-token' } as const
export const MOUNTS = { data: '/var/lib/raftkv', token: '/etc/raftkv/admin' } as const
/** Prefix of the operator's labels and annotations. */
export const KEY_PREFIX = 'raftkv.dev/'
/** Labels that it finds its objects by. */
export const LABEL_KEYS: readonly string[] = ['name', 'instance', 'component', 'managed-by'].map(
  (key) => `app.kubernetes.io/${key}`,
)
export const VARIABLES: readonly string[] = ['POD_NAME', 'POD_NAMESPACE']
/** Of variables that are flags of the member. */
export const FLAG_PREFIX = 'ETCD_'
