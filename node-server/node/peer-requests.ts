/**
 * What members ask of one another beside Raft: changes that only the leader may make, how long leases live,
 * which only it knows, and who is in the cluster. JSON.
 * The other side may be of another version, or no member at all: nothing of it is used that does not fit.
 */
import { z } from 'zod'
import {
  ADMIN_STATUS_CODES,
  type AdminChange,
  type AdminError,
  type AdminErrorCode,
  type AdminMember,
  type LeaderTransferResult,
} from '../../lib/admin-api.ts'
import type { Result } from '../../lib/result.ts'
import { MAX_RENEWALS_AT_ONCE } from '../limits.ts'
import { MAX_OPERATION_ID_SIZE_BYTES } from '../mvcc/command.ts'
import type { HashedKeyValues, NodeProblem } from './ports.ts'

export type PeerRequest =
  | {
      readonly kind: 'change'
      /** Empty through etcd's Cluster API. */
      readonly operationId: string
      readonly expectedConfigIndex: number | undefined
      readonly change:
        | {
            readonly kind: 'add'
            readonly name: string
            readonly peerURLs: readonly string[]
            readonly isLearner: boolean
          }
        /** maxLagEntries undefined: etcd's rule, 90 % of the leader's log. */
        | { readonly kind: 'promote'; readonly memberId: string; readonly maxLagEntries: number | undefined }
        | { readonly kind: 'remove'; readonly memberId: string }
    }
  | {
      readonly kind: 'transfer-leader'
      readonly operationId: string
      readonly expectedConfigIndex: number | undefined
      readonly memberId: string
    }
  | { readonly kind: 'members' }
  /** Up to which command the asked member can apply what is in the log. One of a version before this question tells its members instead. */
  | { readonly kind: 'known-commands' }
  | HashQuestion
  | LeaseQuestion

export type ChangeRequest = Extract<PeerRequest, { kind: 'change' }>
export type TransferRequest = Extract<PeerRequest, { kind: 'transfer-leader' }>

/** IDs in decimals, signed; at most MAX_RENEWALS_AT_ONCE of them. */
export type LeaseQuestion =
  | { readonly kind: 'lease-renew'; readonly leaseIds: readonly string[] }
  | { readonly kind: 'lease-time-to-live'; readonly leaseId: string }

/** The TTL in seconds that lies ahead again; `over`: its time has passed, and its revoke is under way. */
export type Renewed = number | 'absent' | 'over'

/** `not-primary`: the asked member cannot know, ask the leader. */
export type LeaseAnswer =
  | { readonly kind: 'lease'; readonly state: 'absent' | 'not-primary' }
  | {
      readonly kind: 'lease'
      readonly state: 'alive'
      readonly ttlSeconds: number
      readonly remainingSeconds: number
    }
  /** Of each that was asked for, in the same order. */
  | { readonly kind: 'lease'; readonly state: 'renewed'; readonly renewed: readonly Renewed[] }

/** The hash of the asked member's own data at a revision. */
export interface HashQuestion {
  readonly kind: 'hash-kv'
  readonly revision: number
}

/** What the leader says no with: the admin API's error, and the same in the etcd API's terms. */
export interface Refusal {
  readonly error: AdminError
  readonly problem: NodeProblem
}

export interface MembersAnswer {
  readonly clusterId: string
  readonly members: readonly AdminMember[]
}

export type PeerAnswer =
  | { readonly kind: 'change'; readonly result: Result<AdminChange, Refusal> }
  | { readonly kind: 'transfer-leader'; readonly result: Result<LeaderTransferResult, Refusal> }
  | { readonly kind: 'members'; readonly answer: MembersAnswer }
  | { readonly kind: 'known-commands'; readonly newest: number }
  | { readonly kind: 'hash-kv'; /** The error: why there is none. */ readonly result: Result<HashedKeyValues, string> }
  | LeaseAnswer

export function encodeJson(value: PeerRequest | PeerAnswer): Buffer {
  return Buffer.from(JSON.stringify(value))
}

const id = z.string().regex(/^[0-9a-f]{1,16}$/)
const index = z.int().min(0)
const leaseId = z.string().regex(/^-?\d{1,19}$/)
/** JSON has no undefined: the field is left out. */
const optionalIndex = index.optional().transform((value) => value)
const operationId = z.string().refine((text) => Buffer.byteLength(text) <= MAX_OPERATION_ID_SIZE_BYTES)

const requestJson: z.ZodType<PeerRequest> = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('change'),
    operationId,
    expectedConfigIndex: optionalIndex,
    change: z.discriminatedUnion('kind', [
      z.object({
        kind: z.literal('add'),
        name: z.string(),
        peerURLs: z.array(z.string()).min(1),
        isLearner: z.boolean(),
      }),
      z.object({ kind: z.literal('promote'), memberId: id, maxLagEntries: optionalIndex }),
      z.object({ kind: z.literal('remove'), memberId: id }),
    ]),
  }),
  z.object({ kind: z.literal('transfer-leader'), operationId, expectedConfigIndex: optionalIndex, memberId: id }),
  z.object({ kind: z.literal('members') }),
  z.object({ kind: z.literal('known-commands') }),
  z.object({ kind: z.literal('hash-kv'), revision: index }),
  z.object({ kind: z.literal('lease-renew'), leaseIds: z.array(leaseId).max(MAX_RENEWALS_AT_ONCE) }),
  z.object({ kind: z.literal('lease-time-to-live'), leaseId }),
])

/** Also the form in which the store keeps the first results of operations. */
export const changeJson: z.ZodType<AdminChange> = z.object({
  operationId: z.string(),
  memberId: id,
  clusterId: id,
  configIndex: index,
})

export const transferJson: z.ZodType<LeaderTransferResult> = z.object({
  operationId: z.string(),
  leader: id,
  term: index,
})

/** Every problem there is: the compiler asks for those that are new. */
const PROBLEMS: Readonly<Record<NodeProblem, true>> = {
  'no-leader': true,
  'not-leader': true,
  'leader-changed': true,
  'not-proposed': true,
  timeout: true,
  'leader-failed': true,
  'connection-lost': true,
  'too-many-requests': true,
  'not-supported-for-learner': true,
  'request-too-large': true,
  stopped: true,
  'store-damaged': true,
  'no-space': true,
  'no-room': true,
  'unhealthy-cluster': true,
  'not-enough-started': true,
  'member-not-found': true,
  'member-exists': true,
  'peer-urls-exist': true,
  'member-not-learner': true,
  'learner-not-ready': true,
  'too-many-learners': true,
  'change-in-flight': true,
  'bad-transferee': true,
  'transfer-timeout': true,
  'members-too-old': true,
}

const isProblem = (text: string): text is NodeProblem => Object.hasOwn(PROBLEMS, text)
const isErrorCode = (text: string): text is AdminErrorCode => Object.hasOwn(ADMIN_STATUS_CODES, text)

const refusal: z.ZodType<Refusal> = z.object({
  // What a newer leader says in words of its own is refused all the same, and why stands in the message.
  problem: z.string().transform((text): NodeProblem => (isProblem(text) ? text : 'timeout')),
  error: z.object({
    code: z.string().transform((text): AdminErrorCode => (isErrorCode(text) ? text : 'Internal')),
    message: z.string(),
    configIndex: index.exactOptional(),
    lag: z.int().exactOptional(),
  }),
})

function resultOf<Value>(value: z.ZodType<Value>): z.ZodType<Result<Value, Refusal>> {
  return z.discriminatedUnion('ok', [
    z.object({ ok: z.literal(true), value }),
    z.object({ ok: z.literal(false), error: refusal }),
  ])
}

const member = z.object({
  id,
  name: z.string(),
  peerURLs: z.array(z.string()),
  clientURLs: z.array(z.string()),
  isLearner: z.boolean(),
})

const hashed = z.object({ hash: index, compactedRevision: z.int().min(-1), revision: index, currentRevision: index })

const answerJson: z.ZodType<PeerAnswer> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('change'), result: resultOf(changeJson) }),
  z.object({ kind: z.literal('transfer-leader'), result: resultOf(transferJson) }),
  z.object({ kind: z.literal('members'), answer: z.object({ clusterId: id, members: z.array(member) }) }),
  z.object({ kind: z.literal('known-commands'), newest: index }),
  z.object({
    kind: z.literal('hash-kv'),
    result: z.discriminatedUnion('ok', [
      z.object({ ok: z.literal(true), value: hashed }),
      z.object({ ok: z.literal(false), error: z.string() }),
    ]),
  }),
  z.discriminatedUnion('state', [
    z.object({ kind: z.literal('lease'), state: z.enum(['absent', 'not-primary']) }),
    z.object({ kind: z.literal('lease'), state: z.literal('alive'), ttlSeconds: index, remainingSeconds: z.int() }),
    z.object({
      kind: z.literal('lease'),
      state: z.literal('renewed'),
      renewed: z.array(z.union([index, z.enum(['absent', 'over'])])).max(MAX_RENEWALS_AT_ONCE),
    }),
  ]),
])

/** Undefined for what is no request of this version. */
export function decodePeerRequest(bytes: Uint8Array): PeerRequest | undefined {
  return decodeJson(requestJson, bytes)
}

/** Undefined for what is no answer of this version. */
export function decodePeerAnswer(bytes: Uint8Array): PeerAnswer | undefined {
  return decodeJson(answerJson, bytes)
}

function decodeJson<Value>(schema: z.ZodType<Value>, bytes: Uint8Array): Value | undefined {
  try {
    return schema.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8'))).data
  } catch {
    return undefined // not JSON, or nested deeper than the parser goes
  }
}
