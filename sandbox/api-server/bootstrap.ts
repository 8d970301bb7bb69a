/** What is there in every cluster from the first moment. */
import { timestamp, type KubeObject } from './object.ts'
import type { Api } from './rest/call.ts'

const NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system']

/** Makes what is missing. */
export function bootstrap(api: Api): void {
  for (const name of NAMESPACES) {
    create(api, `/registry/namespaces/${name}`, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    })
  }
  create(api, '/registry/rbac.authorization.k8s.io/clusterroles/cluster-admin', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'cluster-admin' },
    rules: [
      { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
      { nonResourceURLs: ['*'], verbs: ['*'] },
    ],
  })
}

function create(api: Api, key: string, object: KubeObject): void {
  if (api.store.get(key) !== undefined) return
  const { metadata, ...rest } = object
  const given = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata) ? metadata : {}
  api.store.put(key, { ...rest, metadata: { ...given, uid: api.newUid(), creationTimestamp: timestamp(api.nowMs()) } })
}
