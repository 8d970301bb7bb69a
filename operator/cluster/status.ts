/** Observed + plan + outcome → status. Pure. */
import { type Condition, setCondition, timestamp } from '../api/conditions.ts'
import type { MemberStatus, Operation, RaftClusterStatus } from '../api/status.ts'
import type { Failure } from './act.ts'
import { findings } from './findings.ts'
import type { Observed, ObservedMember } from './observed.ts'
import type { Plan } from './plan.ts'
import { selectorText } from './resources/names.ts'
import { quorumOf } from './safety.ts'

/** Figures that change with every write are written this often, not at every look. */
const SAMPLE_MS = 30_000

export interface StatusInput {
  readonly observed: Observed
  readonly plan: Plan
  readonly recorded: RaftClusterStatus
  readonly operation: Operation | undefined
  readonly failure: Failure | undefined
}

export function statusOf(input: StatusInput): RaftClusterStatus {
  const { observed, recorded, operation } = input
  const { cluster, membership, pods, nowMs } = observed
  const members =
    membership === undefined ? recorded.members : membership.members.map((member) => memberStatus(observed, member))
  const voters = membership?.voters.length ?? recorded.voters
  return {
    observedGeneration: cluster.generation,
    clusterID: recorded.clusterID,
    configIndex: Math.max(recorded.configIndex, membership?.configIndex ?? 0),
    leader: leaderName(observed),
    term: Math.max(recorded.term, membership?.leader === undefined ? 0 : membership.term),
    commitIndex: Math.max(recorded.commitIndex, membership?.commitIndex ?? 0),
    replicas: pods.size,
    readyReplicas: [...pods.values()].filter(({ isReady }) => isReady).length,
    voters,
    learners: membership?.learners.length ?? recorded.learners,
    quorum: voters === 0 ? 0 : quorumOf(voters),
    selector: selectorText(cluster),
    sampledAt: timestamp(nowMs),
    members,
    ...(operation !== undefined && { operation }),
    conditions: conditionsOf(input),
  }
}

function conditionsOf({ observed, plan, recorded, failure }: StatusInput): Condition[] {
  const { cluster, nowMs } = observed
  let conditions: readonly Condition[] = recorded.conditions
  for (const finding of findings(observed, plan, failure)) {
    conditions = setCondition(conditions, finding, cluster.generation, nowMs)
  }
  return [...conditions]
}

function leaderName({ membership }: Observed): string {
  const leader = membership?.leader?.memberId
  return membership?.members.find(({ id }) => id === leader)?.name ?? ''
}

function memberStatus({ cluster, membership, pods, volumes, nowMs }: Observed, member: ObservedMember): MemberStatus {
  const { ordinal, id, name } = member
  const pod = ordinal === undefined ? undefined : pods.get(ordinal)
  const volume = ordinal === undefined ? undefined : volumes.get(ordinal)
  const role = pod?.status?.role ?? 'unknown'
  const ready = pod?.isReady ?? false
  const before = cluster.recorded.members.find((candidate) => candidate.name === name)
  const isSame = before?.role === role && before.ready === ready && before.id === id
  const lag = membership?.peers.get(id)?.lag
  return {
    name,
    ...(ordinal !== undefined && { ordinal }),
    id,
    role,
    ready,
    ...(pod?.status !== undefined && {
      version: pod.status.version,
      raftIndex: pod.status.appliedIndex,
      dbSizeBytes: pod.status.dbSizeBytes,
    }),
    ...(lag !== undefined && { lag }),
    ...(volume !== undefined && { pvcUID: volume.uid }),
    lastTransitionTime: (isSame ? before.lastTransitionTime : undefined) ?? timestamp(nowMs),
  }
}

/** Worth a write: something that matters differs, or the figures are old. Each write wakes everybody who watches. */
export function isWorthWriting(before: RaftClusterStatus, after: RaftClusterStatus, nowMs: number): boolean {
  const sampledAtMs = before.sampledAt === undefined ? -Infinity : Date.parse(before.sampledAt)
  if (nowMs - sampledAtMs >= SAMPLE_MS) return true
  return JSON.stringify(steady(before)) !== JSON.stringify(steady(after))
}

/** In one order of fields, whatever order the API server answers in. */
function steady(status: RaftClusterStatus): unknown {
  const members = status.members.map(({ name, ordinal, id, role, ready, version, pvcUID }) => [
    name,
    ordinal,
    id,
    role,
    ready,
    version,
    pvcUID,
  ])
  const { clusterID, configIndex, leader, term, replicas, readyReplicas, voters, learners, selector, operation } =
    status
  const conditions = status.conditions
    .toSorted((a, b) => a.type.localeCompare(b.type))
    .map(({ type, status, reason, message, observedGeneration }) => [
      type,
      status,
      reason,
      withoutFigures(message),
      observedGeneration,
    ])
  const inFlight = operation && [operation.id, operation.step, operation.attempts, operation.deadline]
  const rest = [
    status.observedGeneration,
    clusterID,
    configIndex,
    leader,
    term,
    replicas,
    readyReplicas,
    voters,
    learners,
  ]
  return [...rest, selector, members, inFlight ?? '', conditions]
}

/** "is 4711 entries behind" is not news each time. */
function withoutFigures(message: string): string {
  return message.replace(/\b\d+ entries\b/g, 'entries')
}
