/** Objects as rows for kubectl. Source: Kubernetes docs, API concepts (Table). */
import { listAt, objectAt, textAt, type Json, type JsonObject, type KubeObject } from '../object.ts'
import type { PrinterColumn } from '../resources/resource-type.ts'
import type { ResourceType } from '../resources/resource-type.ts'
import type { Column } from './column.ts'
import { columnsOf } from './columns.ts'
import { age } from './duration.ts'
import { evaluate } from './json-path.ts'

export interface TableOptions {
  readonly nowMs: number
  /** What of the object a row holds. */
  readonly includeObject: 'Metadata' | 'None' | 'Object'
  /** Of a watch, after its first event: columns were sent before. */
  readonly hasColumns: boolean
}

export function tableOf(
  type: ResourceType,
  objects: readonly KubeObject[],
  metadata: JsonObject,
  options: TableOptions,
): JsonObject {
  const columns = type.custom === undefined ? columnsOf(type) : [NAME, ...type.custom.columns.map(customColumn)]
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: options.hasColumns ? columns.map(definition) : null,
    rows: objects.map((object) => row(object, columns, options)),
  }
}

const NAME: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  priority: 0,
  cell: (object) => textAt(object, 'metadata', 'name'),
}

function definition({ name, type, format, description, priority }: Column): JsonObject {
  return { name, type, format: format ?? '', description: description ?? '', priority }
}

function customColumn(column: PrinterColumn): Column {
  const { name, type, format, description, priority, jsonPath } = column
  const cell = (object: KubeObject, nowMs: number): Json => customCell(evaluate(jsonPath, object), type, nowMs)
  return {
    name,
    type,
    format,
    description:
      description === '' ? `Custom resource definition column (in JSONPath format): ${jsonPath}` : description,
    priority,
    cell,
  }
}

/** The first value found; nothing where it is not of the column's type. */
function customCell(found: readonly Json[], type: string, nowMs: number): Json {
  const [value] = found
  if (value === undefined || value === null) return null
  switch (type) {
    case 'date':
      return typeof value === 'string' ? age(value, nowMs) : '<invalid>'
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null
    case 'number':
      return typeof value === 'number' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    default:
      return found.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join(' ')
  }
}

function row(object: KubeObject, columns: readonly Column[], { nowMs, includeObject }: TableOptions): JsonObject {
  const cells = columns.map(({ cell }) => cell(object, nowMs))
  const conditions = conditionsOf(object)
  const shown =
    includeObject === 'None'
      ? undefined
      : includeObject === 'Object'
        ? object
        : partialMetadata(object, 'meta.k8s.io/v1')
  return {
    cells,
    ...(conditions === undefined ? {} : { conditions }),
    ...(shown === undefined ? {} : { object: shown }),
  }
}

/** A pod that has ended is told apart. */
function conditionsOf(object: KubeObject): Json[] | undefined {
  const phase = textAt(object, 'status', 'phase')
  if (textAt(object, 'kind') !== 'Pod' || (phase !== 'Succeeded' && phase !== 'Failed')) return undefined
  const message = phase === 'Succeeded' ? 'The pod has completed successfully.' : 'The pod failed.'
  return [{ type: 'Completed', status: 'True', reason: phase, message }]
}

export function partialMetadata(object: KubeObject, apiVersion: string): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion, metadata: objectAt(object, 'metadata') }
}

export function partialMetadataList(list: JsonObject): JsonObject {
  const items = listAt(list, 'items').map((item) => partialMetadata(objectAt({ item }, 'item'), 'meta.k8s.io/v1'))
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: 'meta.k8s.io/v1',
    metadata: objectAt(list, 'metadata'),
    items,
  }
}
