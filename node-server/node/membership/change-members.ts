/**
 * A membership change on the leader: judged by what it knows and by who answers it now, and proposed in the same step. The
 * admin API's changes are judged by what the quorum needs, those through etcd's API by etcd's strict check as well, or by
 * neither with --strict-reconfig-check=false.
 */
import { createHash } from 'node:crypto'
import type { AdminChange } from '../../../lib/admin-api.ts'
import { LogIndex, MemberId, formatId, parseId, type ClusterId, type Term } from '../../../lib/ids.ts'
import { err, type Result } from '../../../lib/result.ts'
import type { Member, MembershipChange, MembershipCommand } from '../../mvcc/command.ts'
import type { RaftStatus } from '../../raft/raft.ts'
import { getOperation } from '../../mvcc/members.ts'
import type { Store } from '../../mvcc/store.ts'
import { refuse, refuseUnchecked, type LeaderFacts, type RequestedChange } from './fence.ts'
import { changeResult } from './operation-results.ts'
import type { NodeOptions } from '../options.ts'
import type { ChangeRequest, Refusal } from '../peer-requests.ts'
import type { NodeProblem } from '../ports.ts'
import { notLeading, refusal, unknown } from './refusals.ts'
import { duringRollCall, type RollCallHost } from './roll-call.ts'
import { refuseStrictly, refuseUnstarted, type StartFacts, type StrictFacts } from './strict-check.ts'

type Change = Result<AdminChange, Refusal>

/** What it needs of the member. */
export interface ChangeHost extends RollCallHost {
  readonly clusterId: ClusterId
  readonly memberId: MemberId
  readonly store: Store
  readonly options: Pick<NodeOptions, 'clock' | 'electionMs' | 'isReconfigStrict' | 'maxLearners'>
  raftStatus(): RaftStatus
  members(): readonly Member[]
  /** By the monotonic clock; undefined while there is no connection. */
  connectedSinceMs(peer: MemberId): number | undefined
  /** In that term or not at all: what applying it gave, or why that is not known. */
  readonly commands: {
    change(command: Omit<MembershipCommand, 'kind' | 'requestId'>, term: Term): Promise<Result<Change, NodeProblem>>
  }
}

/** etcd promotes a learner that has 90 % of the leader's log. */
const READY_SHARE = 0.9

export async function changeMembers(host: ChangeHost, request: ChangeRequest): Promise<Change> {
  const { term } = host.raftStatus()
  const decided = await duringRollCall(host, (answered, isOver): Change | Promise<Change> | undefined => {
    const first = request.operationId === '' ? undefined : getOperation(host.store, request.operationId)
    if (first !== undefined) return changeResult(first.result)
    const change = requested(host, request.change)
    if (change === undefined) return err(refusal('member-not-found', 'BadRequest', 'memberId is not an ID'))
    const judge = judgeOf(host, request, change)
    const refused = judge(answered)
    if (refused === undefined) return propose(host, request, change, term)
    // Where not even an answer of everybody would help, nobody's is waited for.
    const lasting = judge(new Set(host.members().map(({ id }) => id)))
    return isOver || lasting !== undefined ? err(lasting ?? refused) : undefined
  })
  return decided ?? err(notLeading())
}

/** Of a change through etcd's API, which any member refuses for this, without a leader. */
export function unstartedRefusal(host: ChangeHost, request: ChangeRequest): Refusal | undefined {
  const change = checkOf(host, request) === 'strict' ? requested(host, request.change) : undefined
  return change === undefined ? undefined : refuseUnstarted(change, startFacts(host))
}

/** Only etcd's API names no operation. */
function checkOf({ options }: ChangeHost, { operationId }: ChangeRequest): 'quorum' | 'strict' | 'none' {
  if (operationId !== '') return 'quorum'
  return options.isReconfigStrict ? 'strict' : 'none'
}

/** What stands against the change when these have answered. */
function judgeOf(
  host: ChangeHost,
  request: ChangeRequest,
  change: RequestedChange,
): (answered: ReadonlySet<MemberId>) => Refusal | undefined {
  const facts = factsOf(host)
  const check = checkOf(host, request)
  const strict = check === 'strict' ? strictFacts(host) : undefined
  const expected = fenceOf(request)
  if (check === 'none') return (answered) => refuseUnchecked(change, expected, { ...facts, answered })
  return (answered) =>
    (strict && refuseStrictly(change, { ...strict, answered })) ?? refuse(change, expected, { ...facts, answered })
}

function fenceOf(request: ChangeRequest): LogIndex | undefined {
  return request.expectedConfigIndex === undefined ? undefined : LogIndex(request.expectedConfigIndex)
}

async function propose(host: ChangeHost, request: ChangeRequest, change: RequestedChange, term: Term): Promise<Change> {
  const command = {
    operationId: request.operationId,
    // Without a fence of the caller's, what was just checked is the fence.
    expectedConfigIndex: fenceOf(request) ?? host.store.meta.configIndex,
    change: commandOf(host, request, change),
  }
  // Who answered did so in this term.
  const outcome = await host.commands.change(command, term)
  return outcome.ok ? outcome.value : err(proposalRefusal(outcome.error))
}

function requested(host: ChangeHost, change: ChangeRequest['change']): RequestedChange | undefined {
  if (change.kind === 'add') return change
  const id = parseId(change.memberId)
  if (id === undefined) return undefined
  if (change.kind === 'remove') return { kind: 'remove', memberId: MemberId(id) }
  const { lastIndex } = host.raftStatus()
  const maxLagEntries = change.maxLagEntries ?? Math.floor(lastIndex * (1 - READY_SHARE))
  return { kind: 'promote', memberId: MemberId(id), maxLagEntries }
}

function commandOf(host: ChangeHost, request: ChangeRequest, change: RequestedChange): MembershipChange {
  if (change.kind !== 'add') return change
  const name = request.change.kind === 'add' ? request.change.name : ''
  const { peerURLs, isLearner } = change
  const id = newMemberId(peerURLs, host.clusterId, host.options.clock.wallMs())
  return { kind: 'add', member: { id, name, peerURLs, clientURLs: [], isLearner } }
}

function factsOf(host: ChangeHost): Omit<LeaderFacts, 'answered'> {
  const { configuration, configIndex, isChangePending, lastIndex, peers } = host.raftStatus()
  return {
    configIndex,
    isChangePending,
    voters: configuration.voters,
    learners: configuration.learners,
    maxLearners: host.options.maxLearners,
    lastIndex,
    matchIndex: new Map(peers.map((peer) => [peer.id, peer.match])),
    peerURLs: new Map(host.members().map(({ id, peerURLs }) => [id, peerURLs])),
  }
}

function startFacts(host: ChangeHost): StartFacts {
  const { voters, learners } = host.raftStatus().configuration
  const started = new Set(host.members().flatMap(({ id, name }) => (name === '' ? [] : [id])))
  return { voters, learners, started }
}

function strictFacts(host: ChangeHost): Omit<StrictFacts, 'answered'> {
  const nowMs = host.options.clock.monotonicMs()
  const connectedMs = host.members().flatMap(({ id }) => {
    const sinceMs = host.connectedSinceMs(id)
    return sinceMs === undefined ? [] : [[id, nowMs - sinceMs] as const]
  })
  return { ...startFacts(host), self: host.memberId, connectedMs: new Map(connectedMs) }
}

/** etcd's rule for members that are added at runtime: SHA-1 of peer URLs, cluster and time, the first 8 bytes. */
function newMemberId(peerURLs: readonly string[], clusterId: bigint, wallMs: number): MemberId {
  const hash = createHash('sha1')
    .update([...peerURLs].toSorted().join(''))
    .update(formatId(clusterId))
    .update(String(wallMs))
  return MemberId(hash.digest().readBigUInt64BE(0))
}

function proposalRefusal(problem: NodeProblem): Refusal {
  if (problem === 'change-in-flight')
    return refusal(problem, 'ChangeInFlight', 'another membership change is in flight')
  if (problem === 'not-leader') return notLeading()
  if (problem === 'timeout' || problem === 'leader-failed' || problem === 'connection-lost')
    return unknown('the change was not applied in time')
  return refusal(problem, 'NoLeader', `the change was not proposed (${problem}): try again`)
}
