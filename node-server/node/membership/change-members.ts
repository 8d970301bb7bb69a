/**
 * A membership change on the leader: judged by what it knows and by who answers it now, and proposed in the same step. The
 * admin API's changes are judged by what the quorum needs, those through etcd's API by etcd's strict check as well, or by
 * neither with --strict-reconfig-check=false.
 */
import { createHash } from 'node:crypto'
import type { AdminChange } from '../../../lib/admin-api.ts'
import { LogIndex, MemberId, formatId, parseId, type Term } from '../../../lib/ids.ts'
import { err, type Result } from '../../../lib/result.ts'
import type { MembershipChange } from '../../mvcc/command.ts'
import { getOperation } from '../../mvcc/members.ts'
import type { PeerTransport } from '../../transport/transport.ts'
import { refuse, refuseUnchecked, type LeaderFacts, type Refusal, type RequestedChange } from './fence.ts'
import type { Node } from '../replica/node.ts'
import { changeResult } from './operation-results.ts'
import type { ChangeRequest, WireRefusal } from '../peer-requests.ts'
import type { NodeProblem } from '../ports.ts'
import { onlyInTerm } from '../replica/proposals.ts'
import { notLeading, refusal, unknown } from './refusals.ts'
import { duringRollCall } from './roll-call.ts'
import { refuseStrictly, refuseUnstarted, type StartFacts, type StrictFacts } from './strict-check.ts'

type Change = Result<AdminChange, WireRefusal>

/** etcd promotes a learner that has 90 % of the leader's log. */
const READY_SHARE = 0.9

export async function changeMembers(node: Node, transport: PeerTransport, request: ChangeRequest): Promise<Change> {
  const { term } = node.raftStatus()
  const decided = await duringRollCall(node, (answered, isOver): Change | Promise<Change> | undefined => {
    const first = request.operationId === '' ? undefined : getOperation(node.store, request.operationId)
    if (first !== undefined) return changeResult(first.result)
    const change = requested(node, request.change)
    if (change === undefined) return err(refusal('member-not-found', 'BadRequest', 'memberId is not an ID'))
    const judge = judgeOf(node, transport, request, change)
    const refused = judge(answered)
    if (refused === undefined) return propose(node, request, change, term)
    // Where not even an answer of everybody would help, nobody's is waited for.
    const lasting = judge(new Set(node.members().map(({ id }) => id)))
    return isOver || lasting !== undefined ? err(lasting ?? refused) : undefined
  })
  return decided ?? err(notLeading())
}

/** Of a change through etcd's API, which any member refuses for this, without a leader. */
export function unstartedRefusal(node: Node, request: ChangeRequest): Refusal | undefined {
  const change = checkOf(node, request) === 'strict' ? requested(node, request.change) : undefined
  return change === undefined ? undefined : refuseUnstarted(change, startFacts(node))
}

/** Only etcd's API names no operation. */
function checkOf({ options }: Node, { operationId }: ChangeRequest): 'quorum' | 'strict' | 'none' {
  if (operationId !== '') return 'quorum'
  return options.isReconfigStrict ? 'strict' : 'none'
}

/** What stands against the change when these have answered. */
function judgeOf(
  node: Node,
  transport: PeerTransport,
  request: ChangeRequest,
  change: RequestedChange,
): (answered: ReadonlySet<MemberId>) => Refusal | undefined {
  const facts = factsOf(node)
  const check = checkOf(node, request)
  const strict = check === 'strict' ? strictFacts(node, transport) : undefined
  const expected = fenceOf(request)
  if (check === 'none') return (answered) => refuseUnchecked(change, expected, { ...facts, answered })
  return (answered) =>
    (strict && refuseStrictly(change, { ...strict, answered })) ?? refuse(change, expected, { ...facts, answered })
}

function fenceOf(request: ChangeRequest): LogIndex | undefined {
  return request.expectedConfigIndex === undefined ? undefined : LogIndex(request.expectedConfigIndex)
}

async function propose(node: Node, request: ChangeRequest, change: RequestedChange, term: Term): Promise<Change> {
  const command = {
    kind: 'membership',
    requestId: node.nextRequestId(),
    operationId: request.operationId,
    // Without a fence of the caller's, what was just checked is the fence.
    expectedConfigIndex: fenceOf(request) ?? node.store.meta.configIndex,
    change: commandOf(node, request, change),
  } as const
  // Who answered did so in this term.
  const outcome = await node.proposeCommand(command, onlyInTerm(term))
  if (outcome.kind === 'membership') return outcome.outcome
  return err(proposalRefusal(outcome.kind === 'problem' ? outcome.problem : 'stopped'))
}

function requested(node: Node, change: ChangeRequest['change']): RequestedChange | undefined {
  if (change.kind === 'add') return change
  const id = parseId(change.memberId)
  if (id === undefined) return undefined
  if (change.kind === 'remove') return { kind: 'remove', memberId: MemberId(id) }
  const { lastIndex } = node.raftStatus()
  const maxLagEntries = change.maxLagEntries ?? Math.floor(lastIndex * (1 - READY_SHARE))
  return { kind: 'promote', memberId: MemberId(id), maxLagEntries }
}

function commandOf(node: Node, request: ChangeRequest, change: RequestedChange): MembershipChange {
  if (change.kind !== 'add') return change
  const name = request.change.kind === 'add' ? request.change.name : ''
  const { peerURLs, isLearner } = change
  const id = newMemberId(peerURLs, node.clusterId, node.options.clock.wallMs())
  return { kind: 'add', member: { id, name, peerURLs, clientURLs: [], isLearner } }
}

function factsOf(node: Node): Omit<LeaderFacts, 'answered'> {
  const { configuration, configIndex, isChangePending, lastIndex, peers } = node.raftStatus()
  return {
    configIndex,
    isChangePending,
    voters: configuration.voters,
    learners: configuration.learners,
    maxLearners: node.options.maxLearners,
    lastIndex,
    matchIndex: new Map(peers.map((peer) => [peer.id, peer.match])),
    peerURLs: new Map(node.members().map(({ id, peerURLs }) => [id, peerURLs])),
  }
}

function startFacts(node: Node): StartFacts {
  const { voters, learners } = node.raftStatus().configuration
  const started = new Set(node.members().flatMap(({ id, name }) => (name === '' ? [] : [id])))
  return { voters, learners, started }
}

function strictFacts(node: Node, transport: PeerTransport): Omit<StrictFacts, 'answered'> {
  const nowMs = node.options.clock.monotonicMs()
  const connectedMs = node.members().flatMap(({ id }) => {
    const { connectedSinceMs } = transport.stats(id)
    return connectedSinceMs === undefined ? [] : [[id, nowMs - connectedSinceMs] as const]
  })
  return { ...startFacts(node), self: node.memberId, connectedMs: new Map(connectedMs) }
}

/** etcd's rule for members that are added at runtime: SHA-1 of peer URLs, cluster and time, the first 8 bytes. */
function newMemberId(peerURLs: readonly string[], clusterId: bigint, wallMs: number): MemberId {
  const hash = createHash('sha1')
    .update([...peerURLs].toSorted().join(''))
    .update(formatId(clusterId))
    .update(String(wallMs))
  return MemberId(hash.digest().readBigUInt64BE(0))
}

function proposalRefusal(problem: NodeProblem): WireRefusal {
  if (problem === 'change-in-flight')
    return refusal(problem, 'ChangeInFlight', 'another membership change is in flight')
  if (problem === 'not-leader') return notLeading()
  if (problem === 'timeout' || problem === 'leader-failed' || problem === 'connection-lost')
    return unknown('the change was not applied in time')
  return refusal(problem, 'NoLeader', `the change was not proposed (${problem}): try again`)
}
