/** What is the operator's own in a pod: whatever else a spec brings into it must be called otherwise. Pure. */

export const CONTAINER = 'raftkv'
export const PORTS = { client: 2379, peer: 2380, admin: 8080, metrics: 2382 } as const
/** Names of ports that nobody else may have in a pod; what else is called metrics is scraped as well. */
export const PORT_NAMES: readonly string[] = ['client', 'peer', 'admin']
/** By what they are for. */
export const VOLUMES = { data: 'data', token: 'admin-token', peerTls: 'peer-tls', serverTls: 'server-tls' } as const
export const MOUNTS = {
  data: '/var/lib/raftkv',
  token: '/etc/raftkv/admin',
  peerTls: '/etc/raftkv/peer-tls',
  serverTls: '/etc/raftkv/server-tls',
} as const
/** Prefix of the operator's labels and annotations. */
export const KEY_PREFIX = 'raftkv.dev/'
/** Labels that it finds its objects by. */
export const LABEL_KEYS: readonly string[] = ['name', 'instance', 'component', 'managed-by'].map(
  (key) => `app.kubernetes.io/${key}`,
)
export const VARIABLES: readonly string[] = ['POD_NAME', 'POD_NAMESPACE']
/** Of variables that are flags of the member. */
export const FLAG_PREFIX = 'ETCD_'
