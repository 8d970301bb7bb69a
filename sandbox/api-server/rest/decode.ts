/** From a request's body to an object of its type: decoded, pruned, with defaults. */
import { parse as parseYaml } from 'yaml'
import { unreachable } from '../../../lib/assert.ts'
import { isObject, textAt, type Json, type JsonObject, type KubeObject } from '../object.ts'
import { groupVersion, type ResourceType } from '../resources/resource-type.ts'
import { strategyOf } from '../resources/strategies.ts'
import { applyDefaults, dropNulls } from '../schema/default.ts'
import { prune } from '../schema/prune.ts'
import { firstTypeMismatch } from '../schema/validate.ts'
import { StatusError, badRequest, invalidOptions, notSupported, unsupportedMediaType } from '../status-error.ts'
import { optionsKind, asType, type Call } from './call.ts'
import { fromEventsGroup } from './event-forms.ts'
import { decodeProtobuf, PROTOBUF } from './protobuf.ts'

const ACCEPTED = 'application/json, application/yaml, application/vnd.kubernetes.protobuf'

export function parseBody(call: Call): Json {
  const { contentType, body } = call
  const type = contentType.split(';')[0]?.trim() ?? ''
  const text = body.toString('utf8')
  if (type === '' || type.endsWith('json')) return parseJson(text)
  if (type.endsWith('yaml')) return parseAsYaml(text)
  if (type === PROTOBUF && call.type.custom === undefined) return parseProtobuf(call)
  throw unsupportedMediaType(ACCEPTED)
}

function parseProtobuf({ body, type }: Call): Json {
  const decoded = decodeProtobuf(body, type.definitions)
  switch (decoded.kind) {
    case 'object':
      return decoded.object
    case 'unknown':
      throw unsupportedMediaType(ACCEPTED)
    case 'broken':
      throw badRequest(`the object provided is unrecognized (must be of type ${PROTOBUF}): ${decoded.why}`)
    default:
      return unreachable(decoded)
  }
}

function isJson(value: unknown): value is Json {
  return value !== undefined
}

function parseJson(text: string): Json {
  try {
    const value: unknown = JSON.parse(text)
    if (isJson(value)) return value
  } catch (error) {
    throw badRequest(`the object provided is unrecognized (must be of type JSON): ${String(error)}`)
  }
  throw badRequest('the object provided is unrecognized')
}

/** JSON is YAML, and some clients apply it under either name. */
export function parseAsYaml(text: string): Json {
  try {
    const value: unknown = parseYaml(text)
    if (isJson(value)) return value
  } catch (error) {
    throw badRequest(`error decoding YAML: ${String(error)}`)
  }
  throw badRequest('error decoding YAML: there is nothing')
}

export function parseObject(call: Call): KubeObject {
  const value = parseBody(call)
  if (!isObject(value)) throw badRequest('the object provided is unrecognized: it is not an object')
  return value
}

/**
 * The object in the form that is stored, of the type in the path. `isPatched`: the result of a patch, whose unknown
 * fields are reported in another form.
 */
export function decodeObject(call: Call, object: KubeObject): KubeObject {
  const { type } = call
  checkKind(object, type)
  const typed = asType(object, type)
  reportUnknown(call, prune(typed, type.schema))
  if (type.custom === undefined) {
    dropNulls(typed)
    const mismatch = firstTypeMismatch(typed, type.schema)
    if (mismatch !== undefined) {
      const why = `${type.kind} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}`
      throw badRequest(`${why}: json: cannot unmarshal: ${mismatch.message}`)
    }
  }
  applyDefaults(typed, type.schema, type.custom === undefined)
  strategyOf(type).setDefaults?.(typed)
  return type.group === 'events.k8s.io' ? fromEventsGroup(typed) : typed
}

function checkKind(object: KubeObject, type: ResourceType): void {
  const kind = textAt(object, 'kind')
  const apiVersion = textAt(object, 'apiVersion')
  if ((kind !== '' && kind !== type.kind) || (apiVersion !== '' && apiVersion !== groupVersion(type))) {
    const expected = `${type.kind} in ${groupVersion(type)}`
    throw badRequest(
      `the API version in the data (${apiVersion}, Kind=${kind}) does not match the expected ${expected}`,
    )
  }
  if (type.custom !== undefined && (kind === '' || apiVersion === '')) {
    throw badRequest(`Object 'Kind' is missing in '${JSON.stringify(object).slice(0, 200)}'`)
  }
}

const FIELD_VALIDATIONS: readonly string[] = ['', 'Ignore', 'Strict', 'Warn']

/** `fieldValidation`: ignore, warn of (without it) or refuse what the type does not have. */
function reportUnknown(call: Call, paths: readonly string[]): void {
  const mode = call.query.get('fieldValidation') ?? 'Warn'
  if (!FIELD_VALIDATIONS.includes(mode))
    throw invalidOptions(optionsKind(call), notSupported('fieldValidation', mode, FIELD_VALIDATIONS))
  if (paths.length === 0 || mode === 'Ignore') return
  const problems = paths.map((path) => `unknown field ${JSON.stringify(path)}`)
  if (mode === 'Strict') {
    throw new StatusError(
      400,
      'BadRequest',
      `${call.type.kind} in version ${JSON.stringify(call.type.version)} cannot be handled as a ${call.type.kind}: strict decoding error: ${problems.join(', ')}`,
    )
  }
  call.warnings.push(...problems)
}

/** Options of a delete, in the body. */
export function parseOptions(call: Call): JsonObject {
  if (call.body.length === 0) return {}
  const value = parseBody(call)
  return isObject(value) ? value : {}
}
