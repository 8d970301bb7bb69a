/** Where each kind lives in the API. */

export interface Resource {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  readonly isNamespaced: boolean
}

const namespaced = (apiVersion: string, kind: string, plural: string): Resource => ({
  apiVersion,
  kind,
  plural,
  isNamespaced: true,
})
const clusterWide = (apiVersion: string, kind: string, plural: string): Resource => ({
  apiVersion,
  kind,
  plural,
  isNamespaced: false,
})

export const RESOURCES = {
  configMaps: namespaced('v1', 'ConfigMap', 'configmaps'),
  controllerRevisions: namespaced('apps/v1', 'ControllerRevision', 'controllerrevisions'),
  crds: clusterWide('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'customresourcedefinitions'),
  disruptionBudgets: namespaced('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets'),
  endpoints: namespaced('v1', 'Endpoints', 'endpoints'),
  endpointSlices: namespaced('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices'),
  events: namespaced('events.k8s.io/v1', 'Event', 'events'),
  leases: namespaced('coordination.k8s.io/v1', 'Lease', 'leases'),
  namespaces: clusterWide('v1', 'Namespace', 'namespaces'),
  nodes: clusterWide('v1', 'Node', 'nodes'),
  pods: namespaced('v1', 'Pod', 'pods'),
  raftClusters: namespaced('raftkv.dev/v1alpha1', 'RaftCluster', 'raftclusters'),
  secrets: namespaced('v1', 'Secret', 'secrets'),
  serviceAccounts: namespaced('v1', 'ServiceAccount', 'serviceaccounts'),
  services: namespaced('v1', 'Service', 'services'),
  statefulSets: namespaced('apps/v1', 'StatefulSet', 'statefulsets'),
  storageClasses: clusterWide('storage.k8s.io/v1', 'StorageClass', 'storageclasses'),
  volumeClaims: namespaced('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims'),
  volumes: clusterWide('v1', 'PersistentVolume', 'persistentvolumes'),
} as const satisfies Record<string, Resource>

export interface ObjectRef {
  /** Undefined for what lies in no namespace. */
  readonly namespace: string | undefined
  readonly name: string
}

/** Over all namespaces when `namespace` is undefined. */
export function collectionPath(resource: Resource, namespace: string | undefined): string {
  const { apiVersion, plural } = resource
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  return namespace === undefined ? `${root}/${plural}` : `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
}

export function objectPath(resource: Resource, ref: ObjectRef, subresource?: string): string {
  const path = `${collectionPath(resource, ref.namespace)}/${encodeURIComponent(ref.name)}`
  return subresource === undefined ? path : `${path}/${subresource}`
}
