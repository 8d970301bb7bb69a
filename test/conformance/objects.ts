/** Paths and objects of the cases. Each case has names of its own, so that none sees what another has left. */
export const RAFT_CLUSTERS = '/apis/raftkv.dev/v1alpha1/namespaces/default/raftclusters'
export const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'
export const SERVICES = '/api/v1/namespaces/default/services'
export const PODS = '/api/v1/namespaces/default/pods'
export const CLAIMS = '/api/v1/namespaces/default/persistentvolumeclaims'
export const STATEFUL_SETS = '/apis/apps/v1/namespaces/default/statefulsets'
export const BUDGETS = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
export const LEASES = '/apis/coordination.k8s.io/v1/namespaces/default/leases'

export type Fields = Readonly<Record<string, unknown>>

export function raftCluster(name: string, spec: Fields = {}, metadata: Fields = {}): Fields {
  return { apiVersion: 'raftkv.dev/v1alpha1', kind: 'RaftCluster', metadata: { name, ...metadata }, spec }
}

export function configMap(name: string, data: Fields = {}, metadata: Fields = {}): Fields {
  const isEmpty = Object.keys(data).length === 0
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, ...(isEmpty ? {} : { data }) }
}

export function statefulSet(name: string, more: Fields = {}): Fields {
  const labels = { app: name }
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name },
    spec: {
      serviceName: name,
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'raftkv' }] } },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ],
      ...more,
    },
  }
}

export function pod(name: string, metadata: Fields = {}): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...metadata },
    // With these the admission plugin ServiceAccount, which only one of the two has, adds nothing.
    spec: {
      containers: [{ name: 'main', image: 'raftkv:1' }],
      serviceAccountName: 'default',
      automountServiceAccountToken: false,
    },
  }
}

/** At a path of an answer; undefined where there is nothing. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, name) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, name) : undefined),
    value,
  )
}

export function textAt(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path)
  return typeof found === 'string' ? found : ''
}
