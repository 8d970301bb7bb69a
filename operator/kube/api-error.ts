/** What went wrong with a call to the API server. One table turns an answer's status into a problem. */
import { isRecord } from './object.ts'

export type ApiProblem =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NamespaceTerminating' // nothing is made in it any more
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict' // the object changed, or another owns the field, or the UID is not the one expected
  | 'Gone' // the resource version or continue token is too old: list again
  | 'Invalid' // refused by schema, CEL or admission; a repeat will not help
  | 'TooManyRequests'
  | 'ServerError'
  | 'Timeout' // no answer in time: a mutation's outcome is unknown
  | 'Unreachable' // no connection, or it broke: a mutation's outcome is unknown
  | 'BadAnswer' // not the JSON that was expected, or too much of it
  | 'Aborted' // by the caller's signal
  | 'NotLeader' // refused before it was sent

const PROBLEM_OF_STATUS: Readonly<Record<number, ApiProblem>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  408: 'Timeout',
  409: 'Conflict',
  410: 'Gone',
  422: 'Invalid',
  429: 'TooManyRequests',
  504: 'Timeout',
}

export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly problem: ApiProblem
  /** HTTP status; 0 when there was no answer. */
  readonly status: number
  /** What the server asked to wait. */
  readonly retryAfterMs: number | undefined

  constructor(
    problem: ApiProblem,
    message: string,
    details: ErrorOptions & { status?: number; retryAfterMs?: number } = {},
  ) {
    super(message, details)
    this.problem = problem
    this.status = details.status ?? 0
    this.retryAfterMs = details.retryAfterMs
  }
}

/** Reads a `Status` object as the API server sends it, in an answer or in an ERROR event of a watch. */
export function errorOfStatus(status: number, body: unknown, what: string, retryAfterMs?: number): ApiError {
  const details = isRecord(body) ? body : {}
  const reason = typeof details['reason'] === 'string' ? details['reason'] : ''
  const message = typeof details['message'] === 'string' ? details['message'] : `HTTP ${status}`
  return new ApiError(problemOf(status, reason, causesOf(details)), `${what}: ${message}`, {
    status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

/** Why it was refused, where one reason has several causes. */
function causesOf({ details }: Readonly<Record<string, unknown>>): readonly unknown[] {
  const causes = isRecord(details) ? details['causes'] : undefined
  return Array.isArray(causes) ? causes.map((cause: unknown) => (isRecord(cause) ? cause['reason'] : undefined)) : []
}

function problemOf(status: number, reason: string, causes: readonly unknown[]): ApiProblem {
  if (reason === 'AlreadyExists') return 'AlreadyExists'
  if (reason === 'Expired') return 'Gone'
  if (causes.includes('NamespaceTerminating')) return 'NamespaceTerminating'
  return PROBLEM_OF_STATUS[status] ?? (status >= 500 ? 'ServerError' : 'BadRequest')
}

export function isProblem(error: unknown, ...problems: readonly ApiProblem[]): error is ApiError {
  return error instanceof ApiError && problems.includes(error.problem)
}
