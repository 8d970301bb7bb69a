/** Requests of the admin API as a member understands them, and its answers. Pure. */
import { createHash } from 'node:crypto'
import type { AdminChange, AdminError, AdminStatus, MembershipRequest, RecoverRequest } from '../../../lib/admin-api.ts'
import { unreachable } from '../../../lib/assert.ts'
import { MemberId, formatId, type ClusterId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { StoredIdentity } from '../../storage/data-directory.ts'
import type { ChangeRequest, Refusal } from '../peer-requests.ts'

export type Change = Result<AdminChange, AdminError>

/** Behind the leader a learner may be so far when it is promoted. */
const DEFAULT_MAX_LAG_ENTRIES = 100

export function badRequest(message: string): AdminError {
  return { code: 'BadRequest', message }
}

export function toAdmin<Value>(result: Result<Value, Refusal>): Result<Value, AdminError> {
  return result.ok ? result : err(result.error.error)
}

export function changeAnswer(
  operationId: string,
  clusterId: ClusterId,
  memberId: MemberId,
  configIndex: number,
): AdminChange {
  return { operationId, clusterId: formatId(clusterId), memberId: formatId(memberId), configIndex }
}

export function changeOf(request: MembershipRequest): ChangeRequest['change'] {
  switch (request.kind) {
    case 'add-learner':
      return { kind: 'add', name: request.member.name, peerURLs: request.member.peerURLs, isLearner: true }
    case 'promote':
      return {
        kind: 'promote',
        memberId: request.memberId,
        maxLagEntries: request.maxLagEntries ?? DEFAULT_MAX_LAG_ENTRIES,
      }
    case 'remove':
      return { kind: 'remove', memberId: request.memberId }
    default:
      return unreachable(request)
  }
}

/** Of a bootstrap: known before the member exists, so that a repeat of the request names the same member. */
export function seedId(clusterId: ClusterId, peerURLs: readonly string[]): MemberId {
  const hash = createHash('sha1')
    .update([...peerURLs].toSorted().join(''))
    .update(formatId(clusterId))
  return MemberId(hash.digest().readBigUInt64BE(0))
}

/** Two members with one name, or a request that was meant for another member. */
export function ownMismatch(
  self: { readonly name: string; readonly peerURLs: readonly string[] },
  named: { readonly name: string; readonly peerURLs: readonly string[] },
): AdminError | undefined {
  if (named.name !== '' && named.name !== self.name) return badRequest(`this member is ${self.name}, not ${named.name}`)
  if (named.peerURLs.every((url) => self.peerURLs.includes(url))) return undefined
  return badRequest(`this member's peer URLs are ${self.peerURLs.join(', ')}, not ${named.peerURLs.join(', ')}`)
}

/** To a bootstrap or join when this member belongs to a cluster already: a repeat succeeds, anything else is refused. */
export function answerFromIdentity(
  identity: StoredIdentity,
  operationId: string,
  { clusterId, memberId }: { readonly clusterId: ClusterId; readonly memberId: MemberId },
  configIndex: number,
): Change {
  if (identity.clusterId === clusterId && identity.memberId === memberId)
    return ok(changeAnswer(operationId, clusterId, memberId, configIndex))
  const own = `member ${formatId(identity.memberId)} of cluster ${formatId(identity.clusterId)}`
  return err({
    code: 'Conflict',
    message: `this data directory is that of ${own}: to use the volume for another, empty it first`,
  })
}

/** Undefined when the request is about this member as it is now. */
export function recoveryRefusal(request: RecoverRequest, status: AdminStatus): AdminError | undefined {
  if (request.clusterId !== status.clusterId || request.memberId !== status.memberId)
    return { code: 'Conflict', message: `this is member ${status.memberId} of cluster ${status.clusterId}` }
  if (isAlone(status)) return undefined
  const { configIndex, leader } = status
  if (request.expectedConfigIndex !== configIndex)
    return { code: 'ConfigIndexStale', message: `the configuration in force is ${configIndex}`, configIndex }
  return leader === ''
    ? undefined
    : { code: 'Conflict', message: `member ${leader} leads: the cluster has its quorum, there is nothing to recover` }
}

export function isAlone({ memberId, voters, learners }: AdminStatus): boolean {
  return voters.length === 1 && voters[0] === memberId && learners.length === 0
}
