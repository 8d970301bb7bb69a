/**
 * The members' admin API over HTTP. A member is another process, perhaps of another version, perhaps broken: every answer
 * is bounded in time and size and checked field by field before anything is decided on it. What does not fit is
 * `unreachable`, with a sentence that says what did not.
 *
 * Neighbours: lib/admin-api.ts (the contract), operator/cluster/ports.ts (the interface), main.ts (the guard).
 */
import { Agent, request } from 'undici'
import { z } from 'zod'
import type {
  AdminChange,
  AdminError,
  AdminErrorCode,
  AdminStatus,
  AdminUpkeep,
  BootstrapRequest,
  JoinRequest,
  LeaderTransferRequest,
  LeaderTransferResult,
  MembershipRequest,
  RecoverRequest,
  UpkeepRequest,
} from '../lib/admin-api.ts'
import { ADMIN_PATHS, ADMIN_STATUS_CODES } from '../lib/admin-api.ts'
import type { Result } from '../lib/result.ts'
import { err, ok } from '../lib/result.ts'
import { systemClock } from '../lib/system-clock.ts'
import { withTimeLimit } from '../lib/time-limit.ts'
import type { AdminClient, AdminFailure, AdminIdentity, AdminResult } from './cluster/ports.ts'

export const STATUS_TIMEOUT_MS = 2000
export const MUTATION_TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 1024 * 1024
/** No list in an answer is longer: a cluster has at most 9 members, its history 64 rows. */
const MAX_ROWS = 1000
/** Clusters with TLS whose connections are kept at a time; one more costs the one that was asked longest ago its handshakes. */
const MAX_IDENTITIES = 256

/** Whether a mutation may be sent now, and how long it may take. */
export type MutationGuard = () =>
  | { readonly isAllowed: true; readonly withinMs: number }
  | { readonly isAllowed: false; readonly reason: string }

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const id = z.string().regex(/^[0-9a-f]{1,16}$/)
const optionalId = z.union([id, z.literal('')])
const rows = <T extends z.ZodType>(row: T) => z.array(row).max(MAX_ROWS)

const member = z.object({
  id,
  name: z.string(),
  peerURLs: rows(z.string()),
  clientURLs: rows(z.string()),
  isLearner: z.boolean(),
})

const fingerprint = z.string().regex(/^[0-9a-f]{64}$/)
const scheme = z.enum(['http', 'https'])

const tlsInForce = z.object({
  certificate: fingerprint,
  notAfter: z.iso.datetime({ offset: true }),
  trusted: rows(fingerprint),
  schemes: rows(scheme),
  advertised: scheme,
  problem: z.string().exactOptional(),
})

const store = z.object({
  sizeBytes: count,
  inUseBytes: count,
  compactedRevision: count,
  quotaBytes: count.exactOptional(),
  volumeBytes: count,
  volumeFreeBytes: count,
  writableBytes: z.number().int().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER),
  defragmentation: z
    .object({ operationId: z.string(), state: z.enum(['running', 'done', 'failed']), message: z.string() })
    .exactOptional(),
})

const status = z.object({
  clusterId: optionalId,
  memberId: optionalId,
  name: z.string(),
  role: z.enum(['waiting', 'follower', 'pre-candidate', 'candidate', 'leader', 'learner', 'removed']),
  term: count,
  leader: optionalId,
  commitIndex: count,
  appliedIndex: count,
  lastIndex: count,
  lastTerm: count.optional(),
  configIndex: count,
  voters: rows(id),
  votersOutgoing: rows(id),
  learners: rows(id),
  members: rows(member),
  isChangePending: z.boolean(),
  peers: rows(
    z.object({
      id,
      matchIndex: count,
      lag: count,
      state: z.enum(['probe', 'replicate', 'snapshot']),
      snapshot: z.object({ sentBytes: count, totalBytes: count }).exactOptional(),
      isActive: z.boolean(),
    }),
  ),
  configHistory: rows(
    z.object({
      index: count,
      voters: rows(id),
      votersOutgoing: rows(id),
      learners: rows(id),
      operationId: z.string(),
    }),
  ),
  version: z.string(),
  etcdVersion: z.string(),
  dbSizeBytes: count,
  revision: count,
  alarms: rows(z.object({ memberId: id, type: z.enum(['NOSPACE', 'CORRUPT']) })).default([]),
  tls: z.object({ peer: tlsInForce.exactOptional(), client: tlsInForce.exactOptional() }).exactOptional(),
  store: store.exactOptional(),
})

const change = z.object({ operationId: z.string(), memberId: id, clusterId: id, configIndex: count })
const upkeep = z.object({ operationId: z.string() })
const transfer = z.object({ operationId: z.string(), leader: id, term: count })

const ERROR_CODES = new Set<string>(Object.keys(ADMIN_STATUS_CODES))
const errorBody = z.object({
  code: z.custom<AdminErrorCode>((code) => typeof code === 'string' && ERROR_CODES.has(code)),
  message: z.string(),
  configIndex: count.optional(),
  lag: count.optional(),
})

/** Few kept connections for short: pods come and go with their addresses. */
function agentFor(identity: AdminIdentity | undefined): Agent {
  const tls = identity && {
    ca: identity.trusted,
    cert: identity.certificate,
    key: identity.key,
    servername: identity.serverName,
  }
  return new Agent({ connections: 4, keepAliveTimeout: 1000, allowH2: false, connect: { timeout: 2000, ...tls } })
}

interface Call<Answer> {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly token?: string
  readonly body?: { readonly operationId: string }
  readonly signal: AbortSignal | undefined
  readonly timeoutMs: number
  readonly schema: z.ZodType<Answer>
}

export class HttpAdminClient implements AdminClient {
  readonly #guard: MutationGuard
  readonly #agent: Agent
  /** By identity, the last used last. */
  readonly #secured = new Map<string, HttpAdminClient>()

  constructor(guard: MutationGuard, identity?: AdminIdentity) {
    this.#guard = guard
    this.#agent = agentFor(identity)
  }

  async close(): Promise<void> {
    await Promise.all([this.#agent.destroy(), ...[...this.#secured.values()].map((client) => client.close())])
  }

  secured(identity: AdminIdentity): HttpAdminClient {
    const key = JSON.stringify(identity)
    const client = this.#secured.get(key) ?? new HttpAdminClient(this.#guard, identity)
    this.#secured.delete(key)
    this.#secured.set(key, client)
    const [eldest] = this.#secured
    if (this.#secured.size > MAX_IDENTITIES && eldest !== undefined) {
      this.#secured.delete(eldest[0])
      // What is under way on it ends first.
      void eldest[1].#agent.close()
    }
    return client
  }

  async status(url: string, signal?: AbortSignal): Promise<Result<AdminStatus, AdminFailure>> {
    const timeoutMs = STATUS_TIMEOUT_MS
    return this.#call({ method: 'GET', url: url + ADMIN_PATHS.status, signal, timeoutMs, schema: status })
  }

  async bootstrap(url: string, token: string, body: BootstrapRequest, signal?: AbortSignal): Promise<AdminResult> {
    return this.#change(url + ADMIN_PATHS.bootstrap, token, body, signal)
  }

  async join(url: string, token: string, body: JoinRequest, signal?: AbortSignal): Promise<AdminResult> {
    return this.#change(url + ADMIN_PATHS.join, token, body, signal)
  }

  async membership(url: string, token: string, body: MembershipRequest, signal?: AbortSignal): Promise<AdminResult> {
    return this.#change(url + ADMIN_PATHS.membership, token, body, signal)
  }

  async transferLeader(
    url: string,
    token: string,
    body: LeaderTransferRequest,
    signal?: AbortSignal,
  ): Promise<Result<LeaderTransferResult, AdminFailure>> {
    return this.#mutate(url + ADMIN_PATHS.leaderTransfer, token, body, signal, transfer)
  }

  async recover(url: string, token: string, body: RecoverRequest, signal?: AbortSignal): Promise<AdminResult> {
    return this.#change(url + ADMIN_PATHS.recover, token, body, signal)
  }

  async keepUp(
    url: string,
    token: string,
    body: UpkeepRequest,
    signal?: AbortSignal,
  ): Promise<Result<AdminUpkeep, AdminFailure>> {
    return this.#mutate(url + ADMIN_PATHS.upkeep, token, body, signal, upkeep)
  }

  async #change(
    url: string,
    token: string,
    body: { readonly operationId: string },
    signal: AbortSignal | undefined,
  ): Promise<Result<AdminChange, AdminFailure>> {
    return this.#mutate(url, token, body, signal, change)
  }

  async #mutate<Answer extends { readonly operationId: string }>(
    url: string,
    token: string,
    body: { readonly operationId: string },
    signal: AbortSignal | undefined,
    schema: z.ZodType<Answer>,
  ): Promise<Result<Answer, AdminFailure>> {
    const permit = this.#guard()
    if (!permit.isAllowed) return unreachableMember(`POST ${url} was not sent: ${permit.reason}`)
    const timeoutMs = Math.max(1, Math.floor(Math.min(MUTATION_TIMEOUT_MS, permit.withinMs)))
    const result = await this.#call({ method: 'POST', url, token, body, signal, timeoutMs, schema })
    if (result.ok && result.value.operationId !== body.operationId) {
      const { operationId } = result.value
      return unreachableMember(`POST ${url}: the answer is about operation ${operationId}, not ${body.operationId}`)
    }
    return result
  }

  async #call<Answer>(call: Call<Answer>): Promise<Result<Answer, AdminFailure>> {
    const what = `${call.method} ${call.url}`
    try {
      return await withTimeLimit(systemClock, call.timeoutMs, call.signal, async (signal) => {
        const answer = await request(call.url, {
          method: call.method,
          dispatcher: this.#agent,
          signal,
          headers: {
            accept: 'application/json',
            ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
            ...(call.token === undefined ? {} : { authorization: `Bearer ${call.token}` }),
          },
          ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        })
        return decode(call, what, answer.statusCode, await readBounded(answer.body))
      })
    } catch (error) {
      return unreachableMember(`${what}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

function decode<Answer>(
  call: Call<Answer>,
  what: string,
  statusCode: number,
  text: string,
): Result<Answer, AdminFailure> {
  const body = parse(text)
  if (body === undefined) return unreachableMember(`${what}: HTTP ${statusCode} with an answer that is not JSON`)
  if (statusCode >= 200 && statusCode < 300) {
    const answer = call.schema.safeParse(body)
    if (answer.success) return ok(answer.data)
    return unreachableMember(`${what}: the answer is not what it should be: ${firstProblem(answer.error)}`)
  }
  const refusal = errorBody.safeParse(body)
  if (!refusal.success || ADMIN_STATUS_CODES[refusal.data.code] !== statusCode) {
    return unreachableMember(`${what}: HTTP ${statusCode} without an error of this API`)
  }
  return err({ kind: 'refused', error: withoutUndefined(refusal.data) })
}

function withoutUndefined(error: z.infer<typeof errorBody>): AdminError {
  const { code, message, configIndex, lag } = error
  return {
    code,
    message,
    ...(configIndex === undefined ? {} : { configIndex }),
    ...(lag === undefined ? {} : { lag }),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function readBounded(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of body) {
    sizeBytes += chunk.length
    if (sizeBytes > MAX_ANSWER_BYTES) throw new Error(`the answer exceeds ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function firstProblem(error: z.ZodError): string {
  const issue = error.issues[0]
  return issue === undefined ? 'unknown' : `${issue.path.join('.') || 'body'}: ${issue.message}`
}

function unreachableMember(message: string): { readonly ok: false; readonly error: AdminFailure } {
  return err({ kind: 'unreachable', message })
}
