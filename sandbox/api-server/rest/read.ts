/** Get and list: at which revision, which page, which objects. Source: Kubernetes docs, API concepts (resource versions). */
import { textAt, type JsonObject, type KubeObject } from '../object.ts'
import { storagePrefix, type ResourceType } from '../resources/resource-type.ts'
import { parseFieldSelector, parseLabelSelector, type Predicate } from '../selectors.ts'
import {
  StatusError,
  badRequest,
  expired,
  forbiddenValue,
  invalidOptions,
  invalidValue,
  notSupported,
} from '../status-error.ts'
import { endOfPrefix } from '../storage.ts'
import { isObject } from '../object.ts'
import { type Answer, type Call } from './call.ts'
import { readExisting } from './write.ts'

export function getObject(call: Call): Answer {
  const wanted = parseRevision(call.query.get('resourceVersion') ?? '', 'resourceVersion')
  refuseFuture(call, wanted)
  return { status: 200, object: readExisting(call) }
}

/** Undefined: not said. 0: any. */
export function parseRevision(text: string, field: string): number | undefined {
  if (text === '') return undefined
  if (!/^\d{1,15}$/.test(text)) {
    const problem = invalidValue(field, text, `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`)
    throw new StatusError(400, 'BadRequest', `${field}: ${problem.message}`)
  }
  return Number(text)
}

function refuseFuture(call: Call, wanted: number | undefined): void {
  const { revision } = call.api.store
  if (wanted === undefined || wanted <= revision) return
  throw new StatusError(504, 'Timeout', `Timeout: Too large resource version: ${wanted}, current: ${revision}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}

/** What the objects of a list or a watch must be. */
export function predicateOf(call: Call): Predicate {
  const { type, query } = call
  const byLabels = parseLabelSelector(query.get('labelSelector') ?? '')
  const byFields = parseFieldSelector(query.get('fieldSelector') ?? '', {
    group: type.group,
    resource: type.resource,
    selectableFields: type.custom?.selectableFields ?? [],
  })
  const byName: Predicate = call.name === '' ? () => true : (object) => textAt(object, 'metadata', 'name') === call.name
  return (object) => byName(object) && byLabels(object) && byFields(object)
}

/** The keys of the type, in the namespace if one is named. */
export function rangeOf(type: ResourceType, namespace: string): { readonly start: string; readonly end: string } {
  const prefix = storagePrefix(type)
  const start = type.isNamespaced && namespace !== '' ? `${prefix}${namespace}/` : prefix
  return { start, end: endOfPrefix(start) }
}

interface Continue {
  readonly revision: number
  readonly start: string
}

function encodeContinue({ revision, start }: Continue): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start })).toString('base64url')
}

function decodeContinue(token: string): Continue {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString())
    if (isObject(value) && value['v'] === 'meta.k8s.io/v1') {
      const { rv, start } = value
      if (typeof rv === 'number' && typeof start === 'string') return { revision: rv, start }
    }
  } catch {
    // What is no JSON is no token either.
  }
  throw badRequest('continue key is not valid: incorrect encoding')
}

interface Page {
  readonly revision: number
  readonly start: string
  readonly limit: number
}

function pageOf(call: Call, start: string): Page {
  const { query, api } = call
  const limit = Math.max(0, Number(query.get('limit') ?? '0') || 0)
  const token = query.get('continue') ?? ''
  const wanted = parseRevision(query.get('resourceVersion') ?? '', 'resourceVersion')
  const match = query.get('resourceVersionMatch') ?? ''
  if (match !== '') checkMatch(match, wanted, token)
  if (token !== '') {
    if (wanted !== undefined && wanted !== 0)
      throw badRequest('specifying resource version is not allowed when using continue')
    const at = decodeContinue(token)
    // -1: go on in what there is now, after a token has expired.
    return { revision: at.revision === -1 ? api.store.revision : at.revision, start: at.start, limit }
  }
  refuseFuture(call, wanted)
  const isExact = wanted !== undefined && wanted !== 0 && (match === 'Exact' || (match === '' && limit > 0))
  return { revision: isExact ? wanted : api.store.revision, start, limit }
}

function checkMatch(match: string, wanted: number | undefined, token: string): void {
  if (match !== 'Exact' && match !== 'NotOlderThan') {
    throw invalidOptions('ListOptions', notSupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan']))
  }
  if (wanted === undefined) throw forbiddenMatch('resourceVersionMatch is forbidden unless resourceVersion is provided')
  if (token !== '') throw forbiddenMatch('resourceVersionMatch is forbidden when continue is provided')
  if (match === 'Exact' && wanted === 0)
    throw forbiddenMatch('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"')
}

export function forbiddenMatch(why: string): StatusError {
  return invalidOptions('ListOptions', forbiddenValue('resourceVersionMatch', why))
}

const EXPIRED_TOKEN =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.'

export interface Listed {
  readonly items: readonly KubeObject[]
  readonly metadata: JsonObject
}

/** One page, in key order. A page may be shorter than the limit when a selector leaves things out, never empty before the end. */
export function listObjects(call: Call): Listed {
  const { api, type, namespace } = call
  const range = rangeOf(type, namespace)
  const { revision, start, limit } = pageOf(call, range.start)
  if (api.store.refuse(revision) !== undefined) {
    const isContinued = call.query.get('continue') ?? ''
    if (isContinued !== '') throw expired(EXPIRED_TOKEN, encodeContinue({ revision: -1, start }))
    throw expired(`The resourceVersion for the provided list is too old.`)
  }
  const matches = predicateOf(call)
  const stored = api.store.list(start, range.end, revision)
  const items: KubeObject[] = []
  let next: string | undefined
  let position = 0
  for (const { key, object } of stored) {
    if (limit > 0 && items.length >= limit) {
      next = key
      break
    }
    position++
    if (matches(object)) items.push(object)
  }
  const metadata: JsonObject = { resourceVersion: String(revision) }
  if (next !== undefined) {
    metadata['continue'] = encodeContinue({ revision, start: next })
    const isSelected = call.query.has('labelSelector') || call.query.has('fieldSelector')
    if (!isSelected) metadata['remainingItemCount'] = stored.length - position
  }
  return { items, metadata }
}

export function listAnswer(call: Call): Answer {
  const { type } = call
  const { items, metadata } = listObjects(call)
  const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`
  return { status: 200, object: { kind: type.listKind, apiVersion, metadata, items: [...items] } }
}
