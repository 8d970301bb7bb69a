/** RFC 6902. In place of a library: six operations, and Kubernetes' words for what fails. */
import { clone, isEqual, isObject, textAt, type Json, type JsonObject } from '../object.ts'
import { badRequest, StatusError } from '../status-error.ts'

/** Of the real API server. */
const MAX_OPERATIONS = 10_000

/** Throws a bad request for what is no patch, and 422 for one that cannot be done. Changes a copy. */
export function applyJsonPatch(target: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw badRequest('error decoding patch: a JSON patch is a list of operations')
  if (patch.length > MAX_OPERATIONS) {
    const message = `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`
    throw new StatusError(413, 'RequestEntityTooLarge', message, {})
  }
  let document = clone(target)
  for (const operation of patch) {
    if (!isObject(operation)) throw badRequest('error decoding patch: an operation is an object')
    document = applyOperation(document, operation)
  }
  return document
}

function failed(message: string): StatusError {
  return new StatusError(
    422,
    'Invalid',
    `the server rejected our request due to an error in our request${message === '' ? '' : `: ${message}`}`,
    {},
  )
}

function pointer(operation: JsonObject, name: string): readonly string[] {
  const text = textAt(operation, name)
  if (text === '') return []
  if (!text.startsWith('/')) throw failed(`the path ${JSON.stringify(text)} does not begin with /`)
  return text
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function applyOperation(document: Json, operation: JsonObject): Json {
  const path = pointer(operation, 'path')
  const value = operation['value']
  switch (textAt(operation, 'op')) {
    case 'add':
      return add(document, path, clone(value ?? null))
    case 'remove':
      return remove(document, path)
    case 'replace':
      if (path.length === 0) return clone(value ?? null)
      return put(document, path, clone(value ?? null))
    case 'move': {
      const from = pointer(operation, 'from')
      const moved = read(document, from)
      if (moved === undefined) throw missing('move', from)
      return add(remove(document, from), path, moved)
    }
    case 'copy': {
      const copied = read(document, pointer(operation, 'from'))
      if (copied === undefined) throw missing('copy', pointer(operation, 'from'))
      return add(document, path, clone(copied))
    }
    case 'test':
      if (!isEqual(read(document, path) ?? null, value ?? null)) throw failed('')
      return document
    default:
      throw failed(`there is no operation ${JSON.stringify(operation['op'] ?? null)}`)
  }
}

const textOf = (path: readonly string[]): string => `/${path.join('/')}`

function missing(operation: string, path: readonly string[]): StatusError {
  return failed(`${operation} operation does not apply: doc is missing path: ${textOf(path)}: missing value`)
}

function read(document: Json, path: readonly string[]): Json | undefined {
  let found: Json | undefined = document
  for (const part of path) {
    if (Array.isArray(found)) found = /^\d+$/.test(part) ? found[Number(part)] : undefined
    else if (isObject(found) && Object.hasOwn(found, part)) found = found[part]
    else return undefined
  }
  return found
}

function parentOf(document: Json, path: readonly string[], operation: string): Json[] | JsonObject {
  const parent = read(document, path.slice(0, -1))
  if (Array.isArray(parent) || isObject(parent)) return parent
  throw missing(operation, path)
}

function indexOf(list: readonly Json[], part: string, limit: number): number {
  const index = part === '-' ? list.length : /^\d+$/.test(part) ? Number(part) : Number.NaN
  if (Number.isNaN(index) || index > limit) throw failed(`the index ${part} is not in the list`)
  return index
}

function add(document: Json, path: readonly string[], value: Json): Json {
  const last = path.at(-1)
  if (last === undefined) return value
  const parent = parentOf(document, path, 'add')
  if (Array.isArray(parent)) parent.splice(indexOf(parent, last, parent.length), 0, value)
  else parent[last] = value
  return document
}

function put(document: Json, path: readonly string[], value: Json): Json {
  const last = path.at(-1) ?? ''
  const parent = parentOf(document, path, 'replace')
  if (Array.isArray(parent)) parent[indexOf(parent, last, parent.length - 1)] = value
  else parent[last] = value
  return document
}

function remove(document: Json, path: readonly string[]): Json {
  if (read(document, path) === undefined) throw missing('remove', path)
  const last = path.at(-1)
  if (last === undefined) return null
  const parent = parentOf(document, path, 'remove')
  if (Array.isArray(parent)) parent.splice(indexOf(parent, last, parent.length - 1), 1)
  else delete parent[last]
  return document
}
