/** Untrusted JSON → requests of lib/admin-api.ts. What does not fit is named with its path in the body. */
import { z } from 'zod'
import type {
  BootstrapRequest,
  JoinRequest,
  LeaderTransferRequest,
  MembershipRequest,
  RecoverRequest,
  UpkeepRequest,
} from '../../../lib/admin-api.ts'
import { formatId, parseId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { MAX_OPERATION_ID_SIZE_BYTES } from '../../mvcc/command.ts'

/** The store counts bytes; a string's length does not. */
const operationId = z
  .string()
  .min(1)
  .refine(
    (text) => Buffer.byteLength(text) <= MAX_OPERATION_ID_SIZE_BYTES,
    `must be at most ${MAX_OPERATION_ID_SIZE_BYTES} bytes of UTF-8`,
  )
const expectedConfigIndex = z.int().min(0)
/** As everything here writes it, so that one ID is one text: clients may have padded it with zeros. */
const id = z
  .string()
  .regex(/^[0-9a-f]{1,16}$/, 'must be an ID: 1 to 16 lower-case hex digits')
  .transform((text) => formatId(parseId(text) ?? 0n))
const url = z
  .string()
  .max(2048)
  .regex(/^https?:\/\/[^/\s]+:\d+$/, 'must be a URL like http://host:2380')
const member = z.strictObject({ name: z.string().min(1).max(253), peerURLs: z.array(url).min(1).max(8) })

const knownMember = z.strictObject({
  id,
  name: z.string().max(253),
  peerURLs: z.array(url).min(1).max(8),
  clientURLs: z.array(url).max(8),
  isLearner: z.boolean(),
})

const bootstrap = z.strictObject({ operationId, clusterId: id, expectedConfigIndex: z.literal(0), member })

const join = z.strictObject({
  operationId,
  clusterId: id,
  memberId: id,
  expectedConfigIndex,
  members: z.array(knownMember).min(1).max(64),
})

const membership = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('add-learner'), operationId, expectedConfigIndex, member }),
  z.strictObject({
    kind: z.literal('promote'),
    operationId,
    expectedConfigIndex,
    memberId: id,
    maxLagEntries: z.int().min(0).exactOptional(),
  }),
  z.strictObject({ kind: z.literal('remove'), operationId, expectedConfigIndex, memberId: id }),
])

const leaderTransfer = z.strictObject({ operationId, expectedConfigIndex, memberId: id })

const recover = z.strictObject({ operationId, clusterId: id, memberId: id, expectedConfigIndex })

const upkeep = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('defragment'), operationId, expectedConfigIndex, memberId: id }),
  z.strictObject({ kind: z.literal('compact'), operationId, expectedConfigIndex, revision: z.int().min(1) }),
  z.strictObject({ kind: z.literal('disarm'), operationId, expectedConfigIndex, memberId: id }),
])

export type Parse<Request> = (body: unknown) => Result<Request, string>

function parser<Request>(schema: z.ZodType<Request>): Parse<Request> {
  return (body) => {
    const parsed = schema.safeParse(body)
    if (parsed.success) return ok(parsed.data)
    const problems = parsed.error.issues.slice(0, 5).map((issue) => {
      const path = issue.path.join('.')
      return path === '' ? issue.message : `${path}: ${issue.message}`
    })
    return err(problems.join('; '))
  }
}

export const parseBootstrap: Parse<BootstrapRequest> = parser<BootstrapRequest>(bootstrap)
export const parseJoin: Parse<JoinRequest> = parser<JoinRequest>(join)
export const parseMembership: Parse<MembershipRequest> = parser<MembershipRequest>(membership)
export const parseLeaderTransfer: Parse<LeaderTransferRequest> = parser<LeaderTransferRequest>(leaderTransfer)
export const parseRecover: Parse<RecoverRequest> = parser<RecoverRequest>(recover)
export const parseUpkeep: Parse<UpkeepRequest> = parser<UpkeepRequest>(upkeep)
