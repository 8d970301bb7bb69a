/**
 * Who owns which field. Every write changes `metadata.managedFields`: an update takes what it changes, an apply claims
 * what it sends and is refused where another manager owns a field with another value.
 * Source: Kubernetes docs, server-side apply; meta/v1 ManagedFieldsEntry.
 */
import {
  isEqual,
  isObject,
  listAt,
  metadataOf,
  objectAt,
  textAt,
  type Json,
  type JsonObject,
  type KubeObject,
} from '../object.ts'
import type { Schema } from '../schema/schema.ts'
import {
  describePaths,
  difference,
  emptySet,
  fromFieldsV1,
  intersection,
  isEmptySet,
  toFieldsV1,
  union,
  withoutPaths,
  type FieldSet,
} from './field-set.ts'
import { compare, fieldsOf, merge, removeFields } from './typed.ts'

export interface Manager {
  readonly name: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly subresource: string
}

interface Managed {
  readonly manager: Manager
  readonly fields: FieldSet
  readonly time: string
}

export interface FieldConflict {
  readonly manager: Manager
  readonly time: string
  readonly paths: readonly string[]
}

/** Of what every server writes itself, nobody is the owner. */
const UNOWNED: readonly (readonly string[])[] = [
  ['f:apiVersion'],
  ['f:kind'],
  ...[
    'name',
    'namespace',
    'creationTimestamp',
    'selfLink',
    'uid',
    'generation',
    'managedFields',
    'resourceVersion',
  ].map((name) => ['f:metadata', `f:${name}`]),
  ['f:metadata'],
]
const METADATA_ITSELF = 'f:metadata'

/** `resetFields`: what the request may not change, and so does not own either (status of an update, spec of a status). */
export interface Tracking {
  readonly schema: Schema
  readonly manager: Manager
  readonly resetFields: readonly (readonly string[])[]
  readonly now: string
}

function owned(set: FieldSet, resetFields: readonly (readonly string[])[]): FieldSet {
  const paths = [...UNOWNED.filter((path) => path.length > 1 || path[0] !== METADATA_ITSELF), ...resetFields]
  const rest = withoutPaths(set, paths)
  const metadata = rest.children.get(METADATA_ITSELF)
  if (metadata !== undefined) {
    const named: FieldSet = { isMember: false, children: metadata.children }
    if (isEmptySet(named)) rest.children.delete(METADATA_ITSELF)
    else rest.children.set(METADATA_ITSELF, named)
  }
  return rest
}

function keyOf({ name, operation, apiVersion, subresource }: Manager): string {
  return JSON.stringify([name, operation, apiVersion, subresource])
}

type ManagedMap = Map<string, Managed>

/** Throws nothing: what cannot be read is left out. */
function decode(object: KubeObject | undefined): ManagedMap {
  const managed: ManagedMap = new Map()
  for (const entry of listAt(object, 'metadata', 'managedFields').filter(isObject)) {
    const manager: Manager = {
      name: textAt(entry, 'manager'),
      operation: textAt(entry, 'operation') === 'Apply' ? 'Apply' : 'Update',
      apiVersion: textAt(entry, 'apiVersion'),
      subresource: textAt(entry, 'subresource'),
    }
    managed.set(keyOf(manager), {
      manager,
      fields: fromFieldsV1(objectAt(entry, 'fieldsV1')),
      time: textAt(entry, 'time'),
    })
  }
  return managed
}

/** Apply before Update, then by time, name, version, subresource. */
function encode(managed: ManagedMap): Json[] {
  const order = ({ manager, time }: Managed): readonly string[] => [
    manager.operation,
    time,
    manager.name,
    manager.apiVersion,
    manager.subresource,
  ]
  const sorted = [...managed.values()].toSorted((a, b) => {
    const left = order(a)
    const right = order(b)
    const position = left.findIndex((text, index) => text !== right[index])
    return position === -1 ? 0 : (left[position] ?? '') < (right[position] ?? '') ? -1 : 1
  })
  return sorted.map(({ manager, fields, time }): JsonObject => {
    const { name, operation, apiVersion, subresource } = manager
    const entry: JsonObject = { manager: name, operation, apiVersion }
    if (time !== '') entry['time'] = time
    entry['fieldsType'] = 'FieldsV1'
    entry['fieldsV1'] = toFieldsV1(fields)
    if (subresource !== '') entry['subresource'] = subresource
    return entry
  })
}

function write(object: KubeObject, managed: ManagedMap): void {
  const entries = encode(managed)
  const metadata = metadataOf(object)
  if (entries.length === 0) delete metadata['managedFields']
  else metadata['managedFields'] = entries
}

function withoutManagedFields(object: KubeObject | undefined): KubeObject {
  if (object === undefined) return {}
  const { managedFields: _, ...metadata } = objectAt(object, 'metadata')
  return { ...object, metadata }
}

/**
 * Notes an update in `after`, which replaces `before`. A client that sends an empty list of managers resets them; one
 * that sends another list (or none) keeps what the store has.
 */
export function trackUpdate(before: KubeObject | undefined, after: KubeObject, tracking: Tracking): void {
  const sent = objectAt(after, 'metadata')['managedFields']
  const isReset = before !== undefined && Array.isArray(sent) && isResetList(sent)
  const managed = isReset ? new Map<string, Managed>() : decode(before)
  const { schema, manager, resetFields, now } = tracking
  const changes = compare(withoutManagedFields(before), withoutManagedFields(after), schema)
  const changed = owned(union(changes.added, changes.modified), resetFields)
  const removed = withoutPaths(changes.removed, resetFields)
  takeAway(managed, keyOf(manager), changed, removed)
  const own = managed.get(keyOf(manager))
  const fields = union(difference(own?.fields ?? emptySet(), removed), changed)
  setFields(managed, manager, fields, own, now)
  write(after, managed)
}

function isResetList(entries: readonly Json[]): boolean {
  return entries.every((entry) => isObject(entry) && Object.keys(entry).length === 0)
}

function takeAway(managed: ManagedMap, except: string, changed: FieldSet, removed: FieldSet): void {
  for (const [key, entry] of managed) {
    if (key === except) continue
    const fields = difference(difference(entry.fields, changed), removed)
    if (isEmptySet(fields)) managed.delete(key)
    else managed.set(key, { ...entry, fields })
  }
}

function setFields(
  managed: ManagedMap,
  manager: Manager,
  fields: FieldSet,
  before: Managed | undefined,
  now: string,
): void {
  const key = keyOf(manager)
  if (isEmptySet(fields)) {
    managed.delete(key)
    return
  }
  const isSame = before !== undefined && isEqual(toFieldsV1(before.fields), toFieldsV1(fields))
  managed.set(key, { manager, fields, time: isSame ? before.time : now })
}

export type Applied =
  | { readonly ok: true; readonly object: KubeObject }
  | { readonly ok: false; readonly conflicts: readonly FieldConflict[] }

/** Merges what is applied into `live` (undefined: there is nothing yet). With `force` other owners lose what differs. */
export function apply(live: KubeObject | undefined, applied: KubeObject, tracking: Tracking, force: boolean): Applied {
  const { schema, manager, resetFields, now } = tracking
  const managed = decode(live)
  const before = withoutManagedFields(live)
  const config = withoutManagedFields(applied)
  const claimed = owned(fieldsOf(config, schema), resetFields)
  const own = managed.get(keyOf(manager))
  const merged = merge(before, config, schema)
  const others = [...managed].filter(([key]) => key !== keyOf(manager)).map(([, entry]) => entry.fields)
  const kept = [claimed, ...others].reduce(union)
  const pruned = own === undefined ? merged : removeFields(merged, schema, own.fields, kept)
  const object = isObject(pruned) ? pruned : config
  const changes = compare(before, object, schema)
  const changed = withoutPaths(union(changes.added, changes.modified), resetFields)
  const conflicts = conflictsWith(managed, keyOf(manager), changed)
  if (conflicts.length > 0 && !force) return { ok: false, conflicts }
  takeAway(managed, keyOf(manager), changed, changes.removed)
  setFields(managed, manager, claimed, own, now)
  write(object, managed)
  return { ok: true, object }
}

function conflictsWith(managed: ManagedMap, except: string, changed: FieldSet): readonly FieldConflict[] {
  return [...managed].flatMap(([key, { manager, fields, time }]) => {
    if (key === except) return []
    const both = intersection(fields, changed)
    return isEmptySet(both) ? [] : [{ manager, time, paths: describePaths(both) }]
  })
}

/** Equal but for the times at which managers were noted: such a write changes nothing. */
export function isSameButForTimes(a: KubeObject, b: KubeObject): boolean {
  return isEqual(withoutTimes(a), withoutTimes(b))
}

function withoutTimes(object: KubeObject): KubeObject {
  const metadata = objectAt(object, 'metadata')
  const entries = listAt(metadata, 'managedFields').map((entry): Json => {
    if (!isObject(entry)) return entry
    const { time: _, ...rest } = entry
    return rest
  })
  return { ...object, metadata: { ...metadata, managedFields: entries } }
}
