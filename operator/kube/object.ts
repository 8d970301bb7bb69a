/** Kubernetes objects as the plain JSON they travel as, and where each kind lives in the API. */
import { assert } from '../../lib/assert.ts'

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  /** Who owns which field: large, and read by nobody here. */
  readonly managedFields?: unknown
}

export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

/** What the API server answers: these two are then always set. */
export interface StoredObject extends KubeObject {
  readonly metadata: ObjectMeta & { readonly uid: string; readonly resourceVersion: string }
}

/** A namespaced object's name. */
export interface ObjectName {
  readonly namespace: string
  readonly name: string
}

interface Endpoint {
  readonly apiVersion: string
  readonly plural: string
}

/** Every kind the operator touches; all are namespaced. */
const ENDPOINTS = {
  RaftCluster: { apiVersion: 'raftkv.dev/v1alpha1', plural: 'raftclusters' },
  RaftBackup: { apiVersion: 'raftkv.dev/v1alpha1', plural: 'raftbackups' },
  ScheduledRaftBackup: { apiVersion: 'raftkv.dev/v1alpha1', plural: 'scheduledraftbackups' },
  StatefulSet: { apiVersion: 'apps/v1', plural: 'statefulsets' },
  Deployment: { apiVersion: 'apps/v1', plural: 'deployments' },
  Job: { apiVersion: 'batch/v1', plural: 'jobs' },
  Pod: { apiVersion: 'v1', plural: 'pods' },
  PersistentVolumeClaim: { apiVersion: 'v1', plural: 'persistentvolumeclaims' },
  Service: { apiVersion: 'v1', plural: 'services' },
  ServiceAccount: { apiVersion: 'v1', plural: 'serviceaccounts' },
  Secret: { apiVersion: 'v1', plural: 'secrets' },
  ConfigMap: { apiVersion: 'v1', plural: 'configmaps' },
  PodDisruptionBudget: { apiVersion: 'policy/v1', plural: 'poddisruptionbudgets' },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', plural: 'networkpolicies' },
  Lease: { apiVersion: 'coordination.k8s.io/v1', plural: 'leases' },
  /** Of cert-manager, which may not be there. */
  Certificate: { apiVersion: 'cert-manager.io/v1', plural: 'certificates' },
  Event: { apiVersion: 'events.k8s.io/v1', plural: 'events' },
} as const satisfies Record<string, Endpoint>

export type Kind = keyof typeof ENDPOINTS

export function isKind(kind: string): kind is Kind {
  return Object.hasOwn(ENDPOINTS, kind)
}

export function apiVersionOf(kind: Kind): string {
  return ENDPOINTS[kind].apiVersion
}

/** Path of a collection in one namespace, or over all when `namespace` is undefined. */
export function collectionPath(kind: Kind, namespace: string | undefined): string {
  const { apiVersion, plural } = ENDPOINTS[kind]
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  return namespace === undefined ? `${root}/${plural}` : `${root}/namespaces/${segment(namespace)}/${plural}`
}

export function objectPath(kind: Kind, ref: ObjectName, subresource?: string): string {
  const path = `${collectionPath(kind, ref.namespace)}/${segment(ref.name)}`
  return subresource === undefined ? path : `${path}/${segment(subresource)}`
}

/** `namespace/name`, the form of keys in stores and queues. */
export function keyOf(object: { readonly metadata: ObjectMeta }): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}

export function parseKey(key: string): ObjectName {
  const slash = key.indexOf('/')
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Reads an object out of an answer; undefined when it is none. Items of a list carry neither kind nor version, so both
 * come from the caller.
 */
export function decodeObject(value: unknown, kind: Kind): StoredObject | undefined {
  if (!isRecord(value) || !isRecord(value['metadata'])) return undefined
  const { name, uid, resourceVersion } = value['metadata']
  if (typeof name !== 'string' || typeof uid !== 'string' || typeof resourceVersion !== 'string') return undefined
  const metadata = { ...value['metadata'], name, uid, resourceVersion }
  return { ...value, apiVersion: apiVersionOf(kind), kind, metadata }
}

/** No name may reach into another path. */
function segment(name: string): string {
  assert(name !== '' && name !== '.' && name !== '..', `"${name}" names no object`)
  return encodeURIComponent(name)
}
