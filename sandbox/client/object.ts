/** Objects as the API server sends them: plain JSON, never changed in place, read through decoders where they are used. */

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface Metadata {
  readonly name: string
  /** Absent on what lies in no namespace. */
  readonly namespace?: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  readonly finalizers?: readonly string[]
}

export interface StoredObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Metadata
  readonly [field: string]: unknown
}

/** What is sent: the server fills in the rest. */
export interface NewObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Partial<Metadata>
  readonly [field: string]: unknown
}

export type JsonRecord = Readonly<Record<string, unknown>>

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Items of a list carry neither kind nor version, so both come from the caller. Undefined when it is no object. */
export function decodeObject(value: unknown, apiVersion: string, kind: string): StoredObject | undefined {
  if (!isRecord(value) || !isRecord(value['metadata'])) return undefined
  const { name, uid, resourceVersion } = value['metadata']
  if (typeof name !== 'string' || typeof uid !== 'string' || typeof resourceVersion !== 'string') return undefined
  // Who owns which field is half of an object, and read by nobody here.
  const { managedFields: _, ...rest } = value['metadata']
  return { ...value, apiVersion, kind, metadata: { ...rest, name, uid, resourceVersion } }
}

/** `namespace/name`; only the name of what lies in no namespace. */
export function keyOf(object: { readonly metadata: Pick<Metadata, 'name' | 'namespace'> }): string {
  const { namespace, name } = object.metadata
  return namespace === undefined ? name : `${namespace}/${name}`
}

export function parseKey(key: string): { readonly namespace: string | undefined; readonly name: string } {
  const slash = key.indexOf('/')
  return slash === -1
    ? { namespace: undefined, name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

export function controllerUid(object: StoredObject): string | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid
}

export function controlledBy(owner: StoredObject): readonly OwnerReference[] {
  const { apiVersion, kind, metadata } = owner
  const { name, uid } = metadata
  return [{ apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }]
}

/** Kubernetes' times: whole seconds, UTC. */
export function timestamp(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** Deep, without regard to the order of names; a name without a value counts as absent. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, at) => isEqual(item, b[at]))
  if (!isRecord(a) || !isRecord(b)) return false
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((name) => isEqual(a[name], b[name]))
}
