/**
 * What members ask of one another beside Raft: changes that only the leader may make, how long leases live,
 * which only it knows, and who is in the cluster. JSON.
 * The other side may be of another version, or no member at all: nothing of it is used that does not fit.
 */
import {
  ADMIN_STATUS_CODES,
  type AdminChange,
  type AdminError,
  type AdminErrorCode,
  type AdminMember,
  type LeaderTransferResult,
} from '../../lib/admin-api.ts'
import type { Result } from '../../lib/result.ts'
import {
  boolean,
  either,
  integer,
  list,
  mapped,
  matching,
  object,
  oneOf,
  orUndefined,
  readJson,
  text,
  textThat,
  type Shape,
} from '../../lib/shape.ts'
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

const id = matching(/^[0-9a-f]{1,16}$/)
const index = integer(0)
const leaseId = matching(/^-?\d{1,19}$/)
/** JSON has no undefined: the field is left out. */
const optionalIndex = orUndefined(index)
const operationId = textThat(
  (text) => Buffer.byteLength(text) <= MAX_OPERATION_ID_SIZE_BYTES,
  `longer than ${MAX_OPERATION_ID_SIZE_BYTES} bytes`,
)

const changeShape = either(
  object({ kind: oneOf('add'), name: text, peerURLs: list(text, { least: 1 }), isLearner: boolean }),
  object({ kind: oneOf('promote'), memberId: id, maxLagEntries: optionalIndex }),
  object({ kind: oneOf('remove'), memberId: id }),
)

const requestJson: Shape<PeerRequest> = either(
  object({ kind: oneOf('change'), operationId, expectedConfigIndex: optionalIndex, change: changeShape }),
  object({ kind: oneOf('transfer-leader'), operationId, expectedConfigIndex: optionalIndex, memberId: id }),
  object({ kind: oneOf('members') }),
  object({ kind: oneOf('known-commands') }),
  object({ kind: oneOf('hash-kv'), revision: index }),
  object({ kind: oneOf('lease-renew'), leaseIds: list(leaseId, { most: MAX_RENEWALS_AT_ONCE }) }),
  object({ kind: oneOf('lease-time-to-live'), leaseId }),
)

/** Also the form in which the store keeps the first results of operations. */
export const changeJson: Shape<AdminChange> = object({
  operationId: text,
  memberId: id,
  clusterId: id,
  configIndex: index,
})

export const transferJson: Shape<LeaderTransferResult> = object({
  operationId: text,
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

const refusal: Shape<Refusal> = object({
  // What a newer leader says in words of its own is refused all the same, and why stands in the message.
  problem: mapped(text, (text): NodeProblem => (isProblem(text) ? text : 'timeout')),
  error: object(
    { code: mapped(text, (text): AdminErrorCode => (isErrorCode(text) ? text : 'Internal')), message: text },
    { configIndex: index, lag: integer() },
  ),
})

function resultOf<Value, Problem>(value: Shape<Value>, error: Shape<Problem>): Shape<Result<Value, Problem>> {
  return either(object({ ok: oneOf(true), value }), object({ ok: oneOf(false), error }))
}

const member = object({ id, name: text, peerURLs: list(text), clientURLs: list(text), isLearner: boolean })
const hashed = object({ hash: index, compactedRevision: integer(-1), revision: index, currentRevision: index })
const renewal = either(index, oneOf('absent', 'over'))

const answerJson: Shape<PeerAnswer> = either(
  object({ kind: oneOf('change'), result: resultOf(changeJson, refusal) }),
  object({ kind: oneOf('transfer-leader'), result: resultOf(transferJson, refusal) }),
  object({ kind: oneOf('members'), answer: object({ clusterId: id, members: list(member) }) }),
  object({ kind: oneOf('known-commands'), newest: index }),
  object({ kind: oneOf('hash-kv'), result: resultOf(hashed, text) }),
  object({ kind: oneOf('lease'), state: oneOf('absent', 'not-primary') }),
  object({ kind: oneOf('lease'), state: oneOf('alive'), ttlSeconds: index, remainingSeconds: integer() }),
  object({ kind: oneOf('lease'), state: oneOf('renewed'), renewed: list(renewal, { most: MAX_RENEWALS_AT_ONCE }) }),
)

/** Undefined for what is no request of this version. */
export function decodePeerRequest(bytes: Uint8Array): PeerRequest | undefined {
  return decodeJson(requestJson, bytes)
}

/** Undefined for what is no answer of this version. */
export function decodePeerAnswer(bytes: Uint8Array): PeerAnswer | undefined {
  return decodeJson(answerJson, bytes)
}

function decodeJson<Value>(shape: Shape<Value>, bytes: Uint8Array): Value | undefined {
  try {
    return readJson(shape, bytes)
  } catch {
    return undefined // not JSON, nested deeper than the parser goes, or of another shape
  }
}
