/** The four kinds of patch. Source: Kubernetes docs, API concepts (patch); server-side apply. */
import {
  clone,
  isObject,
  nameOf,
  namespaceOf,
  setAt,
  textAt,
  versionOf,
  type Json,
  type JsonObject,
  type KubeObject,
} from '../object.ts'
import { apply, type FieldConflict } from '../patch/managed-fields.ts'
import { applyJsonPatch } from '../patch/json-patch.ts'
import { applyMergePatch } from '../patch/merge-patch.ts'
import { applyStrategicPatch } from '../patch/strategic.ts'
import { typeProblems } from '../patch/type-problems.ts'
import { inVersion } from '../render.ts'
import { firstTypeMismatch } from '../schema/validate.ts'
import {
  MODIFIED,
  StatusError,
  badRequest,
  conflict,
  forbiddenValue,
  invalidOptions,
  required,
  type Cause,
} from '../status-error.ts'
import { subjectOf, type Answer, type Call } from './call.ts'
import { decodeObject, parseAsYaml } from './decode.ts'
import { createObject, readExisting, tracking, updateObject } from './write.ts'

const JSON_PATCH = 'application/json-patch+json'
const MERGE_PATCH = 'application/merge-patch+json'
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json'
export const APPLY_PATCH = 'application/apply-patch+yaml'
const OF_BUILT_IN = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH]
const OF_CUSTOM = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH]

export function patchKind(call: Call): string {
  const kind = call.contentType.split(';')[0]?.trim() ?? ''
  const supported = call.type.custom === undefined ? OF_BUILT_IN : OF_CUSTOM
  if (supported.includes(kind)) return kind
  const message = `the body of the request was in an unknown format - accepted media types include: ${supported.join(', ')}`
  throw new StatusError(415, 'UnsupportedMediaType', message)
}

export function patchObject(call: Call): Answer {
  const kind = patchKind(call)
  const force = call.query.get('force')
  if (kind === APPLY_PATCH) return applyObject(call, force === 'true')
  if (force !== null)
    throw invalidOptions('PatchOptions', forbiddenValue('force', 'may not be specified for non-apply patch'))
  const existing = readExisting(call)
  const patched = patchedObject(call, kind, inVersion(existing, call.type))
  // A patch that names no version is meant for what is there now.
  if (versionOf(patched) !== '' && versionOf(patched) !== versionOf(existing)) throw conflict(subjectOf(call), MODIFIED)
  const decoded = decodeObject(call, patched)
  return { status: 200, object: updateObject(call, existing, decoded) }
}

/** What the patch makes of the object as the client sees it. */
export function patchedObject(call: Call, kind: string, existing: KubeObject): KubeObject {
  const patch = parsePatch(call)
  const result = patchWith(call, kind, existing, patch)
  if (!isObject(result)) throw badRequest('the result of the patch is not an object')
  return result
}

function parsePatch(call: Call): Json {
  try {
    const value: unknown = JSON.parse(call.body.toString('utf8'))
    if (Array.isArray(value) || isObject(value)) return value
  } catch (error) {
    throw badRequest(`error decoding patch: ${String(error)}`)
  }
  throw badRequest('error decoding patch: it is neither an object nor a list')
}

function patchWith(call: Call, kind: string, existing: KubeObject, patch: Json): Json {
  if (kind === JSON_PATCH) return applyJsonPatch(existing, patch)
  if (!isObject(patch)) throw badRequest('error decoding patch: it is not an object')
  if (kind === MERGE_PATCH) return applyMergePatch(existing, patch)
  return applyStrategicPatch(clone(existing), patch, call.type.schema)
}

function applyObject(call: Call, force: boolean): Answer {
  if (!call.query.has('fieldManager')) {
    throw invalidOptions('PatchOptions', required('fieldManager', 'is required for apply patch'))
  }
  const config = appliedConfig(call)
  checkTypes(call, config)
  const live = readLive(call)
  const shown = live === undefined ? undefined : inVersion(live, call.type)
  const result = apply(shown, config, tracking(call, 'Apply'), force)
  if (!result.ok) throw applyConflict(result.conflicts)
  checkConversion(call, result.object)
  const object = decodeObject(call, result.object)
  if (live === undefined) return { status: 201, object: createObject(call, object, true) }
  return { status: 200, object: updateObject(call, live, object, true) }
}

/** The real server has no better answer for these than one for what is its own fault. */
function checkTypes(call: Call, config: JsonObject): void {
  const problems = typeProblems(config, call.type.schema)
  if (problems.length === 0) return
  const listed = problems.length === 1 ? problems : ['errors:', ...problems.map((problem) => `  ${problem}`)]
  throw unreadable(`failed to create typed patch object (${typedName(call, config)}): ${listed.join('\n')}`)
}

/** What is an integer or a text, a quantity among others, has no type before it is read into Go's. */
function checkConversion(call: Call, object: JsonObject): void {
  const mismatch = call.type.custom === undefined ? firstTypeMismatch(object, call.type.schema) : undefined
  if (mismatch === undefined) return
  const why = `unable to convert unstructured object: json: cannot unmarshal: ${mismatch.message}`
  throw unreadable(`failed to convert new object (${typedName(call, object)}) to proper version: ${why}`)
}

function unreadable(message: string): StatusError {
  return new StatusError(500, '', message)
}

function typedName({ type }: Call, object: JsonObject): string {
  return `${namespaceOf(object)}/${nameOf(object)}; ${type.group}/${type.version}, Kind=${type.kind}`
}

function readLive(call: Call): KubeObject | undefined {
  try {
    return readExisting(call)
  } catch (error) {
    const isMissing = error instanceof StatusError && error.code === 404
    if (isMissing && call.subresource === '') return undefined
    throw error
  }
}

function appliedConfig(call: Call): JsonObject {
  const config = parseAsYaml(call.body.toString('utf8'))
  if (!isObject(config)) throw badRequest('error decoding YAML: it is not an object')
  if (textAt(config, 'kind') === '' || textAt(config, 'apiVersion') === '') {
    throw badRequest("error decoding YAML: Object 'Kind' is missing")
  }
  if (isObject(config['metadata']) && config['metadata']['managedFields'] !== undefined) {
    throw badRequest('metadata.managedFields must be nil')
  }
  if (nameOf(config) === '') setAt(config, ['metadata', 'name'], call.name)
  if (nameOf(config) !== call.name) {
    throw badRequest(`the name of the object (${nameOf(config)}) does not match the name on the URL (${call.name})`)
  }
  return config
}

function applyConflict(conflicts: readonly FieldConflict[]): StatusError {
  const causes = conflicts.flatMap((found) =>
    found.paths.map((field): Cause => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${describeManager(found)}`,
      field,
    })),
  )
  const managers = conflicts.map((found) => {
    const fields =
      found.paths.length === 1 ? ` ${found.paths[0]}` : `:\n${found.paths.map((path) => `- ${path}`).join('\n')}`
    return `conflict${found.paths.length === 1 ? '' : 's'} with ${describeManager(found)}:${fields}`
  })
  const count = causes.length
  const message = `Apply failed with ${count} conflict${count === 1 ? '' : 's'}: ${managers.join('\n')}`
  return new StatusError(409, 'Conflict', message, { causes })
}

function describeManager({ manager, time }: FieldConflict): string {
  const subresource = manager.subresource === '' ? '' : ` with subresource ${JSON.stringify(manager.subresource)}`
  const by = `${JSON.stringify(manager.name)}${subresource}`
  return manager.operation === 'Update' ? `${by} using ${manager.apiVersion}${time === '' ? '' : ` at ${time}`}` : by
}
