/** What a client is sent: the object, a table of it, or its metadata alone, as its Accept header asks. */
import { isObject, listAt, objectAt, textAt, type JsonObject, type KubeObject } from './object.ts'
import { groupVersion, type ResourceType } from './resources/resource-type.ts'
import { toEventsGroup } from './rest/event-forms.ts'
import { partialMetadata, partialMetadataList, tableOf } from './table/table.ts'
import { StatusError } from './status-error.ts'

export type Form = 'object' | 'table' | 'metadata'

/** The first form in the header that is known here. Throws when there is none. */
export function formOf(accept: string): Form {
  if (accept === '') return 'object'
  for (const part of accept.split(',').map((text) => text.replaceAll(' ', ''))) {
    const [type = '', ...parameters] = part.split(';')
    if (!['application/json', '*/*', 'application/*', 'application/yaml'].includes(type)) continue
    const as = parameters.find((each) => each.startsWith('as='))?.slice('as='.length)
    const version = parameters.find((each) => each.startsWith('v='))?.slice('v='.length)
    if (as === undefined) return 'object'
    if (version !== 'v1') continue
    if (as === 'Table') return 'table'
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return 'metadata'
  }
  const message =
    'only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/cbor'
  throw new StatusError(406, 'NotAcceptable', message, {})
}

export interface Rendering {
  readonly form: Form
  readonly type: ResourceType
  readonly nowMs: number
  readonly includeObject: 'Metadata' | 'None' | 'Object'
  /** Columns are sent with the first event of a watch. */
  readonly hasColumns: boolean
}

export function includeObjectOf(query: URLSearchParams): Rendering['includeObject'] {
  const wanted = query.get('includeObject')
  return wanted === 'None' || wanted === 'Object' ? wanted : 'Metadata'
}

/** A stored object in the version and group that it was asked for in. */
export function inVersion(object: KubeObject, type: ResourceType): KubeObject {
  if (type.group === 'events.k8s.io') return { ...toEventsGroup(object), kind: type.kind }
  const { kind: _kind, apiVersion: _apiVersion, ...rest } = object
  return { kind: type.kind, apiVersion: groupVersion(type), ...rest }
}

/** Items of a list of a built-in type are sent without their kind. */
export function render(object: JsonObject, rendering: Rendering): JsonObject {
  const { type, form } = rendering
  const kind = textAt(object, 'kind')
  if (kind === type.listKind) return renderList(object, rendering)
  if (kind !== type.kind) return object
  const versioned = inVersion(object, type)
  if (form === 'table') {
    const { resourceVersion } = objectAt(object, 'metadata')
    return tableOf(type, [object], resourceVersion === undefined ? {} : { resourceVersion }, rendering)
  }
  return form === 'metadata' ? partialMetadata(versioned, 'meta.k8s.io/v1') : versioned
}

function renderList(list: JsonObject, rendering: Rendering): JsonObject {
  const { type, form } = rendering
  const stored = listAt(list, 'items').filter(isObject)
  const metadata = objectAt(list, 'metadata')
  if (form === 'table') return tableOf(type, stored, metadata, rendering)
  if (form === 'metadata') return partialMetadataList(list)
  const items = stored.map((item) => {
    const { kind, apiVersion, ...rest } = inVersion(item, type)
    return type.custom === undefined ? rest : { apiVersion: apiVersion ?? '', kind: kind ?? '', ...rest }
  })
  // Lists of custom resources say so when nothing follows.
  return { ...list, metadata: type.custom === undefined ? metadata : { continue: '', ...metadata }, items }
}
