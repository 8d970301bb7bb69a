/** What this member puts into the log, one method for each kind of command, and what each caller gets. */
import type { AdminChange } from '../../../lib/admin-api.ts'
import type { Term } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { ApplyResult } from '../../mvcc/apply.ts'
import type { AuthInfo } from '../../mvcc/auth/state.ts'
import type { Command, Member, MembershipCommand } from '../../mvcc/command.ts'
import {
  AlarmRequest,
  AlarmRequest_AlarmAction as AlarmAction,
  LeaseRevokeRequest,
  type AlarmType,
} from '../../proto/generated/etcd/rpc.ts'
import { applied, type Outcome } from '../apply/applier.ts'
import type { Quota } from '../maintenance/quota.ts'
import type { NodeOptions } from '../options.ts'
import type { Refusal } from '../peer-requests.ts'
import type { Caller, NodeProblem, RequestKind } from '../ports.ts'
import type { Objection } from './proposal.ts'
import { notByLearners, onlyInTerm } from './proposals.ts'

export interface CommandsParts {
  readonly options: Pick<NodeOptions, 'log' | 'maxRequestBytes'>
  readonly quota: Quota
  readonly nextRequestId: () => bigint
  /** Resolves with the result of applying it, or with why there is none. */
  readonly submit: (command: Command, objection?: Objection, caller?: Caller) => Promise<Outcome>
  /** The user for this member's own commands; undefined while authentication is off. */
  readonly ownAuthInfo: () => AuthInfo | undefined
  /** A write was refused for lack of space. */
  readonly onNoSpace: () => Promise<void>
}

export class Commands {
  readonly #parts: CommandsParts

  constructor(parts: CommandsParts) {
    this.#parts = parts
  }

  /** See NodePort. */
  propose(
    kind: RequestKind,
    request: Uint8Array,
    caller?: Caller,
    authInfo?: AuthInfo,
  ): Promise<Result<ApplyResult, NodeProblem>> {
    const { options, quota, nextRequestId, submit, onNoSpace } = this.#parts
    if (request.length > options.maxRequestBytes) return Promise.resolve(err('request-too-large'))
    if (!quota.takes(kind, request)) return onNoSpace().then(() => err('no-space'))
    return submit({ kind, requestId: nextRequestId(), request, authInfo }, notByLearners, caller).then(applied)
  }

  /** Resolves once it is in force here, or could not be raised. */
  async raiseAlarm(alarm: AlarmType, memberID: bigint): Promise<void> {
    const { options, nextRequestId, submit } = this.#parts
    const request = AlarmRequest.encode({ action: AlarmAction.ACTIVATE, memberID, alarm }).finish()
    const outcome = await submit({ kind: 'alarm', requestId: nextRequestId(), request })
    if (outcome.kind === 'problem') options.log.warn({ reason: outcome.problem }, 'could not raise an alarm')
  }

  /** Proposed in that term or not at all. */
  async change(
    command: Omit<MembershipCommand, 'kind' | 'requestId'>,
    term: Term,
  ): Promise<Result<Result<AdminChange, Refusal>, NodeProblem>> {
    const requestId = this.#parts.nextRequestId()
    const outcome = await this.#parts.submit({ kind: 'membership', requestId, ...command }, onlyInTerm(term))
    if (outcome.kind === 'membership') return ok(outcome.outcome)
    return err(outcome.kind === 'problem' ? outcome.problem : 'stopped')
  }

  /** Records the result of an operation that changes no replicated state, so that every member can answer a repeat. */
  async recordResult(operationId: string, result: Uint8Array): Promise<void> {
    const requestId = this.#parts.nextRequestId()
    await this.#parts.submit({ kind: 'operation-result', requestId, operationId, result })
  }

  /** Empty fields of the member stay as they are. Resolves once it is applied here. */
  async updateAttributes(member: Member): Promise<Result<void, NodeProblem>> {
    const requestId = this.#parts.nextRequestId()
    const outcome = await this.#parts.submit({ kind: 'member-attributes', requestId, member })
    return outcome.kind === 'problem' ? err(outcome.problem) : ok(undefined)
  }

  /** True once it is applied here. Never carried to another leader than that of the term: it has extended the lease. */
  async revokeLease(id: bigint, term: Term): Promise<boolean> {
    const request = LeaseRevokeRequest.encode({ ID: id }).finish()
    const { nextRequestId, submit, ownAuthInfo } = this.#parts
    const command = { kind: 'lease-revoke', requestId: nextRequestId(), request, authInfo: ownAuthInfo() } as const
    const outcome = await submit(command, onlyInTerm(term))
    return outcome.kind === 'applied' && outcome.result.ok
  }
}
