/**
 * What only the leader may decide: membership changes and handing over. Any member takes the request; it is carried to the
 * leader and decided there on what the leader knows of its peers.
 */
import type { AdminChange, LeaderTransferResult } from '../../../lib/admin-api.ts'
import { unreachable } from '../../../lib/assert.ts'
import { sleep } from '../../../lib/clock.ts'
import { MemberId, NOBODY, formatId, parseId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { NEWEST_COMMAND } from '../../mvcc/command.ts'
import { getOperation } from '../../mvcc/members.ts'
import type { PeerTransport } from '../../transport/transport.ts'
import { changeMembers, unstartedRefusal } from '../membership/change-members.ts'
import type { HashedKeyValues } from '../ports.ts'
import { LeaseDuties } from '../lease/lease-duties.ts'
import { moveLeadership } from '../membership/move-leadership.ts'
import type { Replica } from '../replica/replica.ts'
import { changeResult, transferResult } from '../membership/operation-results.ts'
import { requestTimeoutMs } from '../options.ts'
import {
  decodePeerAnswer,
  decodePeerRequest,
  encodeJson,
  type ChangeRequest,
  type MembersAnswer,
  type PeerAnswer,
  type TransferRequest,
  type Refusal,
} from '../peer-requests.ts'
import { refusal, unknown } from '../membership/refusals.ts'

const LEADER_POLL_MS = 10
const HASH_TIMEOUT_MS = 60_000

export class LeaderRequests {
  readonly leases: LeaseDuties
  readonly #replica: Replica
  readonly #transport: PeerTransport

  constructor(replica: Replica, transport: PeerTransport) {
    this.#replica = replica
    this.#transport = transport
    this.leases = new LeaseDuties(replica, (to, payload, timeoutMs) => transport.request(to, payload, timeoutMs))
  }

  async change(request: ChangeRequest): Promise<Result<AdminChange, Refusal>> {
    const unstarted = this.#replica.leader === NOBODY ? unstartedRefusal(this.#replica, request) : undefined
    if (unstarted !== undefined) return err(unstarted)
    const answer = await this.#atLeader(request)
    return answer.ok && answer.value.kind === 'change' ? answer.value.result : asRefusal(answer)
  }

  async transferLeader(request: TransferRequest): Promise<Result<LeaderTransferResult, Refusal>> {
    const answer = await this.#atLeader(request)
    return answer.ok && answer.value.kind === 'transfer-leader' ? answer.value.result : asRefusal(answer)
  }

  /** From a peer. A change is not carried on to a third member: the asker looks for the leader again. */
  async onRequest(from: MemberId, payload: Uint8Array): Promise<Uint8Array> {
    const request = decodePeerRequest(payload)
    if (request === undefined) return encodeJson({ kind: 'members', answer: this.members() })
    if (request.kind === 'members' || from === NOBODY) return encodeJson({ kind: 'members', answer: this.members() })
    if (request.kind === 'hash-kv')
      return encodeJson({ kind: 'hash-kv', result: await this.#replica.hasher.hashKeyValues(request.revision) })
    if (request.kind === 'lease-renew' || request.kind === 'lease-time-to-live')
      return encodeJson(await this.leases.answer(request))
    if (request.kind === 'known-commands') return encodeJson({ kind: 'known-commands', newest: NEWEST_COMMAND })
    return encodeJson(await this.#carryOut(request))
  }

  /** Asks all other members; one that does not answer may be of any version. */
  async allKnowCommands(): Promise<boolean> {
    const others = this.#replica.members().filter(({ id }) => id !== this.#replica.memberId)
    const question = encodeJson({ kind: 'known-commands' })
    const timeoutMs = requestTimeoutMs(this.#replica.options)
    const answers = await Promise.all(others.map(({ id }) => this.#transport.request(id, question, timeoutMs)))
    return answers.every((answer) => {
      const decoded = answer.ok ? decodePeerAnswer(answer.value) : undefined
      return decoded?.kind === 'known-commands' && decoded.newest >= NEWEST_COMMAND
    })
  }

  /** Of a peer's own data; it may have to read all of it first. */
  async hashOf(peer: MemberId, revision: number): Promise<Result<HashedKeyValues, string>> {
    const answer = await this.#transport.request(peer, encodeJson({ kind: 'hash-kv', revision }), HASH_TIMEOUT_MS)
    if (!answer.ok) return answer
    const decoded = decodePeerAnswer(answer.value)
    return decoded?.kind === 'hash-kv' ? decoded.result : err('the peer gave an answer that cannot be read')
  }

  members(): MembersAnswer {
    const members = this.#replica.members().map((member) => ({ ...member, id: formatId(member.id) }))
    return { clusterId: formatId(this.#replica.clusterId), members }
  }

  async #atLeader(request: ChangeRequest | TransferRequest): Promise<Result<PeerAnswer, Refusal>> {
    const { clock } = this.#replica.options
    const deadlineMs = clock.monotonicMs() + requestTimeoutMs(this.#replica.options)
    let { leader } = this.#replica.raftStatus()
    while (leader === NOBODY) {
      if (clock.monotonicMs() >= deadlineMs || this.#replica.isRemoved)
        return err(refusal('no-leader', 'NoLeader', 'no leader is known: try again'))
      await sleep(clock, LEADER_POLL_MS)
      leader = this.#replica.raftStatus().leader
    }
    if (leader === this.#replica.memberId) return ok(await this.#carryOut(request))
    const answer = await this.#transport.request(leader, encodeJson(request), requestTimeoutMs(this.#replica.options))
    if (!answer.ok) {
      // A member hangs up on a leader that is removed, so the answer to that very removal may be lost; its result is here.
      const first = this.#firstResult(request)
      return first === undefined
        ? err(unknown(`the leader ${formatId(leader)} gave no answer: ${answer.error}`))
        : ok(first)
    }
    const decoded = decodePeerAnswer(answer.value)
    return decoded === undefined ? err(unknown('the leader gave an answer that cannot be read')) : ok(decoded)
  }

  /** What the operation gave when it was carried out, by the replicated record of it. */
  #firstResult(request: ChangeRequest | TransferRequest): PeerAnswer | undefined {
    const { store, clusterId } = this.#replica
    const { kind, operationId } = request
    const first = operationId === '' ? undefined : getOperation(store, operationId)
    if (first !== undefined) {
      return kind === 'change'
        ? { kind, result: changeResult(first.result) }
        : { kind, result: transferResult(first.result) }
    }
    if (kind !== 'change' || operationId !== '' || request.change.kind !== 'remove') return undefined
    // Through etcd's API, which knows no operations: that the member is gone is all there is to know.
    const { memberId } = request.change
    if (!this.#replica.isRemovedMember(MemberId(parseId(memberId) ?? 0n))) return undefined
    const result = { operationId, memberId, clusterId: formatId(clusterId), configIndex: store.meta.configIndex }
    return { kind, result: ok(result) }
  }

  async #carryOut(request: ChangeRequest | TransferRequest): Promise<PeerAnswer> {
    switch (request.kind) {
      case 'change':
        return {
          kind: 'change',
          result: await this.#settled(await changeMembers(this.#replica, request)),
        }
      case 'transfer-leader':
        return { kind: 'transfer-leader', result: await moveLeadership(this.#replica, request) }
      default:
        return unreachable(request)
    }
  }

  /** The result is there in the middle of a turn, but until its end the core takes no other change. Who has the answer may ask for one. */
  async #settled(result: Result<AdminChange, Refusal>): Promise<Result<AdminChange, Refusal>> {
    if (!result.ok) return result
    const { clock } = this.#replica.options
    const deadlineMs = clock.monotonicMs() + requestTimeoutMs(this.#replica.options)
    while (clock.monotonicMs() < deadlineMs) {
      const { role, applied } = this.#replica.raftStatus()
      if (role !== 'leader' || applied >= result.value.configIndex) break
      await sleep(clock, LEADER_POLL_MS)
    }
    return result
  }
}

function asRefusal(answer: Result<PeerAnswer, Refusal>): Result<never, Refusal> {
  return answer.ok ? err(unknown('the leader gave an answer to another question')) : answer
}
