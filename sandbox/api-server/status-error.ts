/**
 * What a request fails with, in Kubernetes' form: a Status with code, reason, message, details. A handler throws one
 * wherever it stands, and `server.ts` alone turns it into an answer: a request has one way out, however deep the check.
 */
import type { Json, JsonObject } from './object.ts'

export interface Cause {
  readonly reason: string
  readonly message: string
  readonly field?: string
}

/** What the request was about: `kind` is the resource (plural), except for invalid objects, where it is the kind. */
export interface Subject {
  readonly group: string
  readonly resource: string
  readonly name?: string
}

interface Details {
  readonly name?: string | undefined
  readonly group?: string | undefined
  readonly kind?: string | undefined
  readonly uid?: string | undefined
  readonly causes?: readonly Cause[] | undefined
  readonly retryAfterSeconds?: number | undefined
}

export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly code: number
  readonly reason: string
  readonly details: Details | undefined
  /** Of the list's metadata, for a continue token that has expired. */
  readonly continueToken: string | undefined

  constructor(code: number, reason: string, message: string, details?: Details, continueToken?: string) {
    super(message)
    this.code = code
    this.reason = reason
    this.details = details
    this.continueToken = continueToken
  }

  toStatus(): JsonObject {
    const metadata: JsonObject = this.continueToken === undefined ? {} : { continue: this.continueToken }
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata,
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: detailsJson(this.details) }),
      code: this.code,
    }
  }
}

function detailsJson(details: Details): JsonObject {
  const { name, group, kind, uid, causes, retryAfterSeconds } = details
  const json: JsonObject = {}
  if (name !== undefined && name !== '') json['name'] = name
  if (group !== undefined && group !== '') json['group'] = group
  if (kind !== undefined && kind !== '') json['kind'] = kind
  if (uid !== undefined && uid !== '') json['uid'] = uid
  if (causes !== undefined && causes.length > 0) json['causes'] = causes.map((cause): Json => ({ ...cause }))
  if (retryAfterSeconds !== undefined) json['retryAfterSeconds'] = retryAfterSeconds
  return json
}

/** "statefulsets.apps": how messages call a resource. */
export function qualified(subject: { readonly group: string; readonly resource: string }): string {
  return subject.group === '' ? subject.resource : `${subject.resource}.${subject.group}`
}

function detailsOf(subject: Subject): Details {
  return { name: subject.name, group: subject.group, kind: subject.resource }
}

export function notFound(subject: Subject): StatusError {
  const message = `${qualified(subject)} "${subject.name ?? ''}" not found`
  return new StatusError(404, 'NotFound', message, detailsOf(subject))
}

export function noSuchResource(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {})
}

export function alreadyExists(subject: Subject): StatusError {
  const message = `${qualified(subject)} "${subject.name ?? ''}" already exists`
  return new StatusError(409, 'AlreadyExists', message, detailsOf(subject))
}

export const MODIFIED = 'the object has been modified; please apply your changes to the latest version and try again'

export function conflict(subject: Subject, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(subject)} "${subject.name ?? ''}": ${why}`
  return new StatusError(409, 'Conflict', message, detailsOf(subject))
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message)
}

export function methodNotAllowed(message: string): StatusError {
  return new StatusError(405, 'MethodNotAllowed', message, {})
}

export function forbidden(subject: Subject, why: string, causes?: readonly Cause[]): StatusError {
  const named = subject.name === undefined || subject.name === '' ? '' : ` "${subject.name}"`
  const details = { ...detailsOf(subject), causes }
  return new StatusError(403, 'Forbidden', `${qualified(subject)}${named} is forbidden: ${why}`, details)
}

export function unauthorized(): StatusError {
  return new StatusError(401, 'Unauthorized', 'Unauthorized')
}

/** For a list or a watch that starts before what is still kept. */
export function expired(message: string, continueToken?: string): StatusError {
  return new StatusError(410, 'Expired', message, undefined, continueToken)
}

export function unsupportedMediaType(accepted: string): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`
  return new StatusError(415, 'UnsupportedMediaType', message)
}

/** One thing that is wrong with an object, at a path such as `spec.replicas`. */
export interface FieldProblem {
  readonly field: string
  readonly reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueDuplicate'
    | 'FieldValueTypeInvalid'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueNotFound'
  /** Beginning with the words of the reason ("Invalid value: 3: must be odd"). */
  readonly message: string
}

export interface Kind {
  readonly group: string
  readonly kind: string
}

/** 422: every problem is a cause. */
export function invalid(kind: Kind, name: string, problems: readonly FieldProblem[]): StatusError {
  const texts = problems.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`))
  const distinct = [...new Set(texts)]
  const listed = distinct.length === 1 ? (distinct[0] ?? '') : `[${distinct.join(', ')}]`
  const qualifiedKind = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`
  return new StatusError(422, 'Invalid', `${qualifiedKind} "${name}" is invalid: ${listed}`, {
    name,
    group: kind.group,
    kind: kind.kind,
    causes: problems.map(({ reason, message, field }) => ({ reason, message, field })),
  })
}

/** 422 for a parameter of a request, or for what stands in its place in the body of a delete. */
export function invalidOptions(kind: string, problem: FieldProblem): StatusError {
  return invalid({ group: 'meta.k8s.io', kind }, '', [problem])
}

export function forbiddenValue(field: string, why: string): FieldProblem {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${why}` }
}

/** How a value stands in a message: Go's %#v of what JSON can hold. */
export function quoteValue(value: Json | undefined): string {
  if (value === undefined || value === null) return 'null'
  return typeof value === 'string'
    ? JSON.stringify(value)
    : typeof value === 'object'
      ? JSON.stringify(value)
      : `${value}`
}

export function required(field: string, why = ''): FieldProblem {
  const message = why === '' ? 'Required value' : `Required value: ${why}`
  return { field, reason: 'FieldValueRequired', message }
}

export function invalidValue(field: string, value: Json | undefined, why: string): FieldProblem {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${quoteValue(value)}: ${why}` }
}

export function notSupported(field: string, value: Json | undefined, supported: readonly string[]): FieldProblem {
  const listed = supported.map((text) => JSON.stringify(text)).join(', ')
  const message = `Unsupported value: ${quoteValue(value)}: supported values: ${listed}`
  return { field, reason: 'FieldValueNotSupported', message }
}
