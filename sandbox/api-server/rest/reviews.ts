/** Questions about access, asked by creating an object that is answered and not stored. Source: authorization.k8s.io/v1. */
import { at, isObject, listAt, objectAt, textAt, type JsonObject } from '../object.ts'
import { groupVersion } from '../resources/resource-type.ts'
import type { Authorize } from './authorizer.ts'
import { rulesFor } from './authorizer.ts'
import type { Answer, Call, User } from './call.ts'
import { parseObject } from './decode.ts'

export interface Access {
  readonly authorize: Authorize
  /** Undefined: nobody's token. */
  readonly authenticate: (token: string) => User | undefined
}

const REVIEWED = new Set([
  'selfsubjectaccessreviews',
  'subjectaccessreviews',
  'localsubjectaccessreviews',
  'selfsubjectrulesreviews',
  'selfsubjectreviews',
  'tokenreviews',
])

export function isReview(resource: string): boolean {
  return REVIEWED.has(resource)
}

export function review(call: Call, access: Access): Answer {
  const request = parseObject(call)
  const spec = objectAt(request, 'spec')
  const status = statusOf(call, spec, access)
  const { kind } = call.type
  const answer: JsonObject = { kind, apiVersion: groupVersion(call.type), metadata: objectAt(request, 'metadata') }
  return { status: 201, object: { ...answer, ...(kind === 'SelfSubjectReview' ? {} : { spec }), status } }
}

function statusOf(call: Call, spec: JsonObject, access: Access): JsonObject {
  const { user } = call
  switch (call.type.resource) {
    case 'selfsubjectaccessreviews':
      return decision(access.authorize, user, spec)
    case 'subjectaccessreviews':
    case 'localsubjectaccessreviews':
      return decision(access.authorize, { name: textAt(spec, 'user'), groups: texts(listAt(spec, 'groups')) }, spec)
    case 'selfsubjectrulesreviews': {
      const rules = rulesFor(call.api.store, user, textAt(spec, 'namespace'))
      return { resourceRules: [...rules], nonResourceRules: [], incomplete: false }
    }
    case 'selfsubjectreviews':
      return { userInfo: info(user) }
    default: {
      const known = access.authenticate(textAt(spec, 'token'))
      return known === undefined
        ? { user: {}, error: 'invalid bearer token' }
        : { authenticated: true, user: info(known) }
    }
  }
}

function info(user: User): JsonObject {
  return { username: user.name, ...(user.uid === undefined ? {} : { uid: user.uid }), groups: [...user.groups] }
}

function texts(values: readonly unknown[]): readonly string[] {
  return values.filter((value) => typeof value === 'string')
}

function decision(authorize: Authorize, user: User, spec: JsonObject): JsonObject {
  const resource = objectAt(spec, 'resourceAttributes')
  const other = at(spec, 'nonResourceAttributes')
  const isAllowed = authorize({
    user,
    verb: textAt(isObject(other) ? other : resource, 'verb'),
    group: textAt(resource, 'group'),
    resource: textAt(resource, 'resource'),
    subresource: textAt(resource, 'subresource'),
    namespace: textAt(resource, 'namespace'),
    name: textAt(resource, 'name'),
    path: isObject(other) ? textAt(other, 'path') : undefined,
  })
  return isAllowed ? { allowed: true } : { allowed: false }
}
