/**
 * What only the leader may decide: membership changes and handing over. Any member takes the request; it is carried to the
 * leader and decided there on what the leader knows of its peers.
 */
import { createHash } from 'node:crypto'
import type { AdminChange, AdminError, LeaderTransferResult } from '../../lib/admin-api.ts'
import { unreachable } from '../../lib/assert.ts'
import { sleep } from '../../lib/clock.ts'
import { LogIndex, MemberId, NOBODY, formatId, parseId } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { MembershipChange } from '../mvcc/command.ts'
import { getOperation } from '../mvcc/members.ts'
import type { PeerTransport } from '../transport/transport.ts'
import { refuse, staleFence, type LeaderFacts, type RequestedChange } from './fence.ts'
import type { HashedKeyValues } from './hasher.ts'
import { LeaseDuties } from './lease-duties.ts'
import type { Node } from './node.ts'
import { changeResult, encodeResult, transferResult } from './operation-results.ts'
import { requestTimeoutMs } from './options.ts'
import {
  decodePeerAnswer,
  decodePeerRequest,
  encodeJson,
  type MembersAnswer,
  type PeerAnswer,
  type PeerRequest,
  type WireRefusal,
} from './peer-requests.ts'
import type { NodeProblem } from './ports.ts'

type ChangeRequest = Extract<PeerRequest, { kind: 'change' }>
type TransferRequest = Extract<PeerRequest, { kind: 'transfer-leader' }>

/** etcd promotes a learner that has 90 % of the leader's log. */
const READY_SHARE = 0.9
const LEADER_POLL_MS = 10
const HASH_TIMEOUT_MS = 60_000

export class LeaderDuties {
  readonly leases: LeaseDuties
  readonly #node: Node
  readonly #transport: PeerTransport

  constructor(node: Node, transport: PeerTransport) {
    this.#node = node
    this.#transport = transport
    this.leases = new LeaseDuties(node, (to, payload, timeoutMs) => transport.request(to, payload, timeoutMs))
  }

  async change(request: ChangeRequest): Promise<Result<AdminChange, WireRefusal>> {
    const answer = await this.#atLeader(request)
    return answer.ok && answer.value.kind === 'change' ? answer.value.result : asRefusal(answer)
  }

  async transferLeader(request: TransferRequest): Promise<Result<LeaderTransferResult, WireRefusal>> {
    const answer = await this.#atLeader(request)
    return answer.ok && answer.value.kind === 'transfer-leader' ? answer.value.result : asRefusal(answer)
  }

  /** From a peer. A change is not carried on to a third member: the asker looks for the leader again. */
  async onRequest(from: MemberId, payload: Uint8Array): Promise<Uint8Array> {
    const request = decodePeerRequest(payload)
    if (request === undefined) return encodeJson({ kind: 'members', answer: this.members() })
    if (request.kind === 'members' || from === NOBODY) return encodeJson({ kind: 'members', answer: this.members() })
    if (request.kind === 'hash-kv')
      return encodeJson({ kind: 'hash-kv', result: await this.#node.hasher.hashKeyValues(request.revision) })
    if (request.kind === 'lease-renew' || request.kind === 'lease-time-to-live')
      return encodeJson(await this.leases.answer(request))
    return encodeJson(await this.#carryOut(request))
  }

  /** Of a peer's own data; it may have to read all of it first. */
  async hashOf(peer: MemberId, revision: number): Promise<Result<HashedKeyValues, string>> {
    const answer = await this.#transport.request(peer, encodeJson({ kind: 'hash-kv', revision }), HASH_TIMEOUT_MS)
    if (!answer.ok) return answer
    const decoded = decodePeerAnswer(answer.value)
    return decoded?.kind === 'hash-kv' ? decoded.result : err('the peer gave an answer that cannot be read')
  }

  members(): MembersAnswer {
    const members = this.#node.members().map((member) => ({ ...member, id: formatId(member.id) }))
    return { clusterId: formatId(this.#node.clusterId), members }
  }

  async #atLeader(request: ChangeRequest | TransferRequest): Promise<Result<PeerAnswer, WireRefusal>> {
    const { clock } = this.#node.options
    const deadlineMs = clock.monotonicMs() + requestTimeoutMs(this.#node.options)
    let { leader } = this.#node.raftStatus()
    while (leader === NOBODY) {
      if (clock.monotonicMs() >= deadlineMs || this.#node.isRemoved)
        return err(refusal('no-leader', 'NoLeader', 'no leader is known: try again'))
      await sleep(clock, LEADER_POLL_MS)
      leader = this.#node.raftStatus().leader
    }
    if (leader === this.#node.memberId) return ok(await this.#carryOut(request))
    const answer = await this.#transport.request(leader, encodeJson(request), requestTimeoutMs(this.#node.options))
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
    const { store, clusterId } = this.#node
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
    if (!this.#node.isRemovedMember(MemberId(parseId(memberId) ?? 0n))) return undefined
    const result = { operationId, memberId, clusterId: formatId(clusterId), configIndex: store.meta.configIndex }
    return { kind, result: ok(result) }
  }

  async #carryOut(request: ChangeRequest | TransferRequest): Promise<PeerAnswer> {
    switch (request.kind) {
      case 'change':
        return { kind: 'change', result: await this.#settled(await this.#change(request)) }
      case 'transfer-leader':
        return { kind: 'transfer-leader', result: await this.#transfer(request) }
      default:
        return unreachable(request)
    }
  }

  /** The result is there in the middle of a turn, but until its end the core takes no other change. Who has the answer may ask for one. */
  async #settled(result: Result<AdminChange, WireRefusal>): Promise<Result<AdminChange, WireRefusal>> {
    if (!result.ok) return result
    const { clock } = this.#node.options
    const deadlineMs = clock.monotonicMs() + requestTimeoutMs(this.#node.options)
    while (clock.monotonicMs() < deadlineMs) {
      const { role, applied } = this.#node.raftStatus()
      if (role !== 'leader' || applied >= result.value.configIndex) break
      await sleep(clock, LEADER_POLL_MS)
    }
    return result
  }

  async #change(request: ChangeRequest): Promise<Result<AdminChange, WireRefusal>> {
    const { store } = this.#node
    const first = request.operationId === '' ? undefined : getOperation(store, request.operationId)
    if (first !== undefined) return changeResult(first.result)
    if (this.#node.raftStatus().role !== 'leader')
      return err(refusal('not-leader', 'NoLeader', 'the leader has just changed: try again'))
    const change = this.#requested(request.change)
    if (change === undefined) return err(refusal('member-not-found', 'BadRequest', 'memberId is not an ID'))
    const expected = request.expectedConfigIndex === undefined ? undefined : LogIndex(request.expectedConfigIndex)
    const refused = refuse(change, expected, this.#facts())
    if (refused !== undefined) return err(refused)
    const outcome = await this.#node.proposeCommand({
      kind: 'membership',
      requestId: this.#node.nextRequestId(),
      operationId: request.operationId,
      // Without a fence of the caller's, what was just checked is the fence.
      expectedConfigIndex: expected ?? store.meta.configIndex,
      change: this.#command(request, change),
    })
    if (outcome.kind === 'membership') return outcome.outcome
    return err(proposalRefusal(outcome.kind === 'problem' ? outcome.problem : 'stopped'))
  }

  #requested(change: ChangeRequest['change']): RequestedChange | undefined {
    if (change.kind === 'add') return change
    const id = parseId(change.memberId)
    if (id === undefined) return undefined
    if (change.kind === 'remove') return { kind: 'remove', memberId: MemberId(id) }
    const { lastIndex } = this.#node.raftStatus()
    const maxLagEntries = change.maxLagEntries ?? Math.floor(lastIndex * (1 - READY_SHARE))
    return { kind: 'promote', memberId: MemberId(id), maxLagEntries }
  }

  #command(request: ChangeRequest, change: RequestedChange): MembershipChange {
    if (change.kind !== 'add') return change
    const name = request.change.kind === 'add' ? request.change.name : ''
    const { peerURLs, isLearner } = change
    const id = newMemberId(peerURLs, this.#node.clusterId, this.#node.options.clock.wallMs())
    return { kind: 'add', member: { id, name, peerURLs, clientURLs: [], isLearner } }
  }

  #facts(): LeaderFacts {
    const { configuration, configIndex, isChangePending, lastIndex, peers } = this.#node.raftStatus()
    return {
      configIndex,
      isChangePending,
      voters: configuration.voters,
      learners: configuration.learners,
      maxLearners: this.#node.options.maxLearners,
      active: new Set([this.#node.memberId, ...peers.filter((peer) => peer.isActive).map((peer) => peer.id)]),
      lastIndex,
      matchIndex: new Map(peers.map((peer) => [peer.id, peer.match])),
      peerURLs: new Map(this.#node.members().map(({ id, peerURLs }) => [id, peerURLs])),
    }
  }

  async #transfer(request: TransferRequest): Promise<Result<LeaderTransferResult, WireRefusal>> {
    const { store } = this.#node
    const first = request.operationId === '' ? undefined : getOperation(store, request.operationId)
    if (first !== undefined) return transferResult(first.result)
    const { expectedConfigIndex } = request
    if (expectedConfigIndex !== undefined && expectedConfigIndex !== store.meta.configIndex) {
      return err(staleFence(LogIndex(expectedConfigIndex), store.meta.configIndex))
    }
    const target = parseId(request.memberId)
    if (target === undefined) return err(refusal('bad-transferee', 'BadRequest', 'memberId is not an ID'))
    const begun = this.#node.beginTransfer(MemberId(target))
    if (!begun.ok) {
      if (begun.error === 'not-leader')
        return err(refusal('not-leader', 'NoLeader', 'the leader has just changed: try again'))
      return err(refusal('bad-transferee', 'NotFound', `${request.memberId} is not a voter`))
    }
    return this.#awaitLeader(MemberId(target), request.operationId)
  }

  async #awaitLeader(target: MemberId, operationId: string): Promise<Result<LeaderTransferResult, WireRefusal>> {
    const { clock, electionMs } = this.#node.options
    const deadlineMs = clock.monotonicMs() + 2 * electionMs
    while (clock.monotonicMs() < deadlineMs) {
      const { leader, term } = this.#node.raftStatus()
      if (leader === target) {
        const result: LeaderTransferResult = { operationId, leader: formatId(leader), term }
        if (operationId !== '') await this.#record(operationId, result)
        return ok(result)
      }
      await sleep(clock, LEADER_POLL_MS)
    }
    return err(
      refusal('transfer-timeout', 'Timeout', `${formatId(target)} did not become leader in time: read the status`),
    )
  }

  /** A transfer changes no replicated state, but a repeat of it must be answered the same for ever. */
  async #record(operationId: string, result: LeaderTransferResult): Promise<void> {
    const requestId = this.#node.nextRequestId()
    const bytes = encodeResult(result)
    await this.#node.proposeCommand({ kind: 'operation-result', requestId, operationId, result: bytes })
  }
}

/** etcd's rule for members that are added at runtime: SHA-1 of peer URLs, cluster and time, the first 8 bytes. */
function newMemberId(peerURLs: readonly string[], clusterId: bigint, wallMs: number): MemberId {
  const hash = createHash('sha1')
    .update([...peerURLs].toSorted().join(''))
    .update(formatId(clusterId))
    .update(String(wallMs))
  return MemberId(hash.digest().readBigUInt64BE(0))
}

function refusal(problem: NodeProblem, code: AdminError['code'], message: string): WireRefusal {
  return { problem, error: { code, message } }
}

function unknown(message: string): WireRefusal {
  return refusal(
    'timeout',
    'Timeout',
    `${message}. Whether the change was made is not known: repeat it with the same operationId`,
  )
}

function proposalRefusal(problem: NodeProblem): WireRefusal {
  if (problem === 'change-in-flight')
    return refusal(problem, 'ChangeInFlight', 'another membership change is in flight')
  if (problem === 'timeout') return unknown('the change was not applied in time')
  return refusal(problem, 'NoLeader', `the change was not proposed (${problem}): try again`)
}

function asRefusal(answer: Result<PeerAnswer, WireRefusal>): Result<never, WireRefusal> {
  return answer.ok ? err(unknown('the leader gave an answer to another question')) : answer
}
