/** From what a request asks for to the handler that does it. */
import type { RequestInfo } from './request-info.ts'
import { hasSubresource, type ResourceType } from './resources/resource-type.ts'
import type { Answer, Call } from './rest/call.ts'
import { decodeObject, parseObject } from './rest/decode.ts'
import { deleteAnswer, deleteCollection } from './rest/delete.ts'
import { patchObject } from './rest/patch.ts'
import { getObject, listAnswer } from './rest/read.ts'
import { isReview, review, type Access } from './rest/reviews.ts'
import { bindPod, evictPod, getScale, patchScale, putScale, putSubresource, requestToken } from './rest/subresources.ts'
import { createObject, readExisting, updateObject } from './rest/write.ts'
import { badRequest, methodNotAllowed, noSuchResource } from './status-error.ts'

export interface Dispatcher extends Access {
  readonly mintToken: (namespace: string, name: string) => string
}

/** The verb that authorization and discovery know. */
export function verbOf(method: string, info: RequestInfo, isWatch: boolean): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return isWatch ? 'watch' : info.name === '' ? 'list' : 'get'
    case 'POST':
      return 'create'
    case 'PUT':
      return 'update'
    case 'PATCH':
      return 'patch'
    case 'DELETE':
      return info.name === '' ? 'deletecollection' : 'delete'
    default:
      return method.toLowerCase()
  }
}

const NOT_ALLOWED = 'the server does not allow this method on the requested resource'

export function dispatch(call: Call, verb: string, dispatcher: Dispatcher): Answer {
  const { type, subresource, name } = call
  if (subresource !== '') return dispatchSubresource(call, verb, dispatcher)
  if (!type.verbs.includes(verb)) throw methodNotAllowed(NOT_ALLOWED)
  switch (verb) {
    case 'get':
      return getObject(call)
    case 'list':
      return listAnswer(call)
    case 'create':
      if (name !== '') throw methodNotAllowed(NOT_ALLOWED)
      if (isReview(type.resource)) return review(call, dispatcher)
      return create(call)
    case 'update':
      if (name === '') throw methodNotAllowed(NOT_ALLOWED)
      return update(call)
    case 'patch':
      return patchObject(call)
    case 'delete':
      return deleteAnswer(call)
    case 'deletecollection':
      return deleteCollection(call)
    default:
      throw methodNotAllowed(NOT_ALLOWED)
  }
}

function create(call: Call): Answer {
  const { type } = call
  if (type.isNamespaced && call.namespace === '') throw badRequest('an empty namespace may not be set during creation')
  return { status: 201, object: createObject(call, decodeObject(call, parseObject(call))) }
}

function update(call: Call): Answer {
  const input = decodeObject(call, parseObject(call))
  return { status: 200, object: updateObject(call, readExisting(call), input) }
}

function dispatchSubresource(call: Call, verb: string, dispatcher: Dispatcher): Answer {
  const { type, subresource } = call
  if (!hasSubresource(type, subresource)) throw noSuchResource()
  const action = SUBRESOURCES[`${subresource} ${verb}`]
  if (action === undefined) throw methodNotAllowed(NOT_ALLOWED)
  return action(call, dispatcher)
}

const SUBRESOURCES: Readonly<Record<string, (call: Call, dispatcher: Dispatcher) => Answer>> = {
  'status get': getObject,
  'status update': putSubresource,
  'status patch': patchObject,
  'scale get': getScale,
  'scale update': putScale,
  'scale patch': patchScale,
  'finalize update': putSubresource,
  'eviction create': evictPod,
  'binding create': bindPod,
  'token create': (call, { mintToken }) => requestToken(call, mintToken),
}

/** Undefined: nothing of that name is served. */
export function typeFor(
  info: RequestInfo,
  find: (group: string, version: string, resource: string) => ResourceType | undefined,
): ResourceType {
  const type = find(info.group, info.version, info.resource)
  if (type === undefined) throw noSuchResource()
  if (!type.isNamespaced && info.namespace !== '') throw noSuchResource()
  return type
}
