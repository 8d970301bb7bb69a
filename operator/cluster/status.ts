/** Observed + plan + outcome → status. Pure. */
import { type Condition, type Finding, setCondition, timestamp } from '../api/conditions.ts'
import type { AuthMemory, MemberStatus, Operation, RaftClusterStatus, Refusal } from '../api/status.ts'
import type { Failure } from './act.ts'
import { findings } from './findings.ts'
import { type Observed, type ObservedMember, memberOrdinals, seesMembers } from './observed.ts'
import type { Plan } from './plan.ts'
import { selectorText } from './resources/names.ts'
import { growthAfter } from './rules/autogrow.ts'
import { isSmaller } from './rules/claims.ts'
import { memberNamed, replacementRefusal } from './rules/replace.ts'
import { isOutdated } from './rules/rollout.ts'
import { baseOf, memberImage, wantedHash } from './rules/template.ts'
import { healthyVoters, quorumOf } from './safety.ts'
import { tlsStatusOf } from './tls-status.ts'
import { upkeepAfter } from './upkeep.ts'

/** Figures that change with every write are written this often, not at every look. */
const SAMPLE_MS = 30_000

export interface StatusInput {
  readonly observed: Observed
  readonly plan: Plan
  readonly recorded: RaftClusterStatus
  readonly operation: Operation | undefined
  readonly failure: Failure | undefined
  readonly refusals: readonly Refusal[]
  /** Of users and roles. */
  readonly memory: AuthMemory | undefined
  readonly usersFound: readonly Finding[]
}

export function statusOf(input: StatusInput): RaftClusterStatus {
  const { observed, plan, recorded, operation, refusals, memory } = input
  const { cluster, membership, nowMs } = observed
  const voters = membership?.voters.length ?? recorded.voters
  return {
    observedGeneration: cluster.generation,
    clusterID: recorded.clusterID,
    // The leader's alone: whatever another one says, no leader might come up to it again.
    configIndex: Math.max(recorded.configIndex, membership?.leader === undefined ? 0 : membership.configIndex),
    term: Math.max(recorded.term, membership?.leader === undefined ? 0 : membership.term),
    commitIndex: Math.max(recorded.commitIndex, membership?.leader === undefined ? 0 : membership.commitIndex),
    ...(seesMembers(observed) ? membersOf(observed, recorded) : lastSeen(recorded)),
    voters,
    learners: membership?.learners.length ?? recorded.learners,
    quorum: voters === 0 ? 0 : quorumOf(voters),
    selector: selectorText(cluster),
    ...templateOf(observed, recorded),
    ...tlsOf(observed, recorded),
    ...volumeSize(observed, recorded),
    ...volumeGrowth(input),
    handledRequests: handledRequests(observed, recorded),
    staleVolumes: staleVolumes(observed, recorded),
    sampledAt: timestamp(nowMs),
    ...(memory !== undefined && { auth: memory }),
    ...upkeepOf(observed, plan, recorded),
    ...(operation !== undefined && { operation }),
    refusals: [...refusals],
    conditions: conditionsOf(input),
  }
}

type SeenMembers = Pick<RaftClusterStatus, 'leader' | 'replicas' | 'readyReplicas' | 'updatedReplicas' | 'members'>

function membersOf(observed: Observed, recorded: RaftClusterStatus): SeenMembers {
  const { membership } = observed
  const pods = [...observed.pods.values()]
  // Whoever is behind does not know whom the leader has added since.
  const isOlder = membership?.leader === undefined && (membership?.configIndex ?? 0) < recorded.configIndex
  return {
    leader: leaderName(observed),
    replicas: pods.length,
    readyReplicas: pods.filter(({ isReady }) => isReady).length,
    updatedReplicas: pods.filter((pod) => !isOutdated(observed, pod)).length,
    members:
      membership === undefined || isOlder
        ? recorded.members.map((member) => withoutAnswer(observed, member))
        : membership.members.map((member) => memberStatus(observed, member)),
  }
}

/** Conditions say from when on it is not known any more. */
function lastSeen({ leader, replicas, readyReplicas, updatedReplicas, members }: RaftClusterStatus): SeenMembers {
  return { leader, replicas, readyReplicas, updatedReplicas, members }
}

/** As it was where nothing is done. */
function tlsOf(observed: Observed, { tls }: RaftClusterStatus): Pick<RaftClusterStatus, 'tls'> {
  const { cluster } = observed
  if (!cluster.spec.paused && !cluster.isBeingDeleted && seesAll(observed)) return tlsStatusOf(observed)
  return tls === undefined ? {} : { tls }
}

/** As it was where nothing is applied. */
function templateOf(
  observed: Observed,
  recorded: RaftClusterStatus,
): Pick<RaftClusterStatus, 'templateHash' | 'image' | 'base'> {
  const { cluster } = observed
  if (cluster.spec.paused || cluster.isBeingDeleted || !seesMembers(observed)) {
    const { templateHash, image, base } = recorded
    return { templateHash, image, base }
  }
  const base = { ...recorded.base, ...baseOf(observed) }
  return { templateHash: wantedHash(observed) ?? '', image: memberImage(observed), base }
}

/** As it was where nothing is done. */
function upkeepOf(observed: Observed, plan: Plan, { maintenance }: RaftClusterStatus): ReturnType<typeof upkeepAfter> {
  const { cluster } = observed
  if (!cluster.spec.paused && !cluster.isBeingDeleted && seesAll(observed)) return upkeepAfter(observed, plan)
  return maintenance === undefined ? {} : { maintenance }
}

/**
 * An annotation that is gone is forgotten, so that the same may be asked for again. A recovery's ID never is; one that
 * finds the quorum there is refused.
 */
function handledRequests(
  observed: Observed,
  { handledRequests: before }: RaftClusterStatus,
): RaftClusterStatus['handledRequests'] {
  const { cluster, membership } = observed
  const { requests, spec } = cluster
  const leaderId = membership?.leader?.memberId
  const isLeading =
    membership !== undefined &&
    leaderId !== undefined &&
    memberNamed(membership, requests.moveLeader ?? '')?.id === leaderId
  const isQuorate =
    membership !== undefined &&
    leaderId !== undefined &&
    healthyVoters(membership).length >= quorumOf(membership.voters.length)
  return {
    replaceMember:
      requests.replaceMember === undefined
        ? ''
        : replacementRefusal(observed) === undefined
          ? before.replaceMember
          : requests.replaceMember,
    moveLeader: requests.moveLeader === undefined ? '' : isLeading ? requests.moveLeader : before.moveLeader,
    recovery: (isQuorate ? spec.recovery.request?.id : undefined) ?? before.recovery,
  }
}

function volumeSize(
  observed: Observed,
  { volumeSize: before }: RaftClusterStatus,
): Pick<RaftClusterStatus, 'volumeSize'> {
  const { cluster, volumes } = observed
  const sizes = [...volumes.values()]
    .filter(({ ordinal }) => ordinal < cluster.spec.replicas)
    .flatMap(({ capacity }) => capacity ?? [])
  const largest = sizes.reduce<string | undefined>(
    (size, other) => (size === undefined || isSmaller(size, other) ? other : size),
    undefined,
  )
  const known = largest ?? before
  return known === undefined ? {} : { volumeSize: known }
}

/** As it was where nothing is done. */
function volumeGrowth({ observed, recorded, refusals }: StatusInput): Partial<Pick<RaftClusterStatus, 'volumeGrowth'>> {
  const { cluster } = observed
  const isLeft = cluster.spec.paused || cluster.isBeingDeleted || !seesAll(observed)
  const growth = isLeft ? recorded.volumeGrowth : growthAfter(observed, refusals)
  return growth === undefined ? {} : { volumeGrowth: growth }
}

/** Those that are still there and no member's. */
function staleVolumes(observed: Observed, recorded: RaftClusterStatus): string[] {
  if (observed.membership?.leader === undefined || !seesVolumes(observed)) return [...recorded.staleVolumes]
  const members = memberOrdinals(observed)
  const left = [...observed.volumes.values()].filter(({ ordinal }) => !members.has(ordinal)).map(({ uid }) => uid)
  return recorded.staleVolumes.filter((uid) => left.includes(uid))
}

function conditionsOf({ observed, plan, recorded, failure, refusals, usersFound }: StatusInput): Condition[] {
  const { cluster, nowMs } = observed
  let conditions: readonly Condition[] = recorded.conditions
  for (const finding of findings(observed, plan, failure, refusals, usersFound)) {
    conditions = setCondition(conditions, finding, cluster.generation, nowMs)
  }
  return [...conditions]
}

function seesVolumes({ unread }: Observed): boolean {
  return !unread.some(({ kind }) => kind === 'PersistentVolumeClaim')
}

function seesAll({ unread }: Observed): boolean {
  return unread.length === 0
}

function leaderName({ membership }: Observed): string {
  const leader = membership?.leader?.memberId
  return membership?.members.find(({ id }) => id === leader)?.name ?? ''
}

/** What was known of it, and what its pod shows. */
function withoutAnswer({ pods, nowMs }: Observed, known: MemberStatus): MemberStatus {
  const pod = known.ordinal === undefined ? undefined : pods.get(known.ordinal)
  const role = pod?.status?.role ?? 'unknown'
  const ready = pod?.isReady ?? false
  const isSame = known.role === role && known.ready === ready
  const { lastTransitionTime } = known
  return { ...known, role, ready, lastTransitionTime: (isSame ? lastTransitionTime : undefined) ?? timestamp(nowMs) }
}

function memberStatus(observed: Observed, member: ObservedMember): MemberStatus {
  const { cluster, membership, pods, volumes, nowMs } = observed
  const { ordinal, id, name } = member
  const pod = ordinal === undefined ? undefined : pods.get(ordinal)
  const volume = ordinal === undefined ? undefined : volumes.get(ordinal)
  const role = pod?.status?.role ?? 'unknown'
  const ready = pod?.isReady ?? false
  const before = cluster.recorded.members.find((candidate) => candidate.name === name)
  const isSame = before?.role === role && before.ready === ready && before.id === id
  const pvcUID = seesVolumes(observed) ? volume?.uid : before?.pvcUID
  const lag = membership?.peers.get(id)?.lag
  const isSilent =
    membership?.leader === undefined
      ? before?.id === id && before.unhealthySince !== undefined
      : !membership.activeIds.has(id)
  const silentSince = before?.id === id ? before.unhealthySince : undefined
  return {
    name,
    ...(ordinal !== undefined && { ordinal }),
    id,
    role,
    ready,
    ...(pod?.status !== undefined && {
      version: pod.status.version,
      raftIndex: pod.status.appliedIndex,
      lastIndex: pod.status.lastIndex,
      ...(pod.status.lastTerm !== undefined && { lastTerm: pod.status.lastTerm }),
      dbSizeBytes: pod.status.dbSizeBytes,
    }),
    ...(lag !== undefined && { lag }),
    ...(pvcUID !== undefined && { pvcUID }),
    alarms: (membership?.alarms ?? []).filter(({ memberId }) => memberId === id).map(({ type }) => type),
    ...(isSilent && { unhealthySince: silentSince ?? timestamp(nowMs) }),
    lastTransitionTime: (isSame ? before.lastTransitionTime : undefined) ?? timestamp(nowMs),
  }
}

/**
 * Worth a write: something that matters differs, or figures do that were last written a while ago. Each write wakes
 * everybody who watches, and with many quiet clusters it would be the most that the operator does.
 */
export function isWorthWriting(before: RaftClusterStatus, after: RaftClusterStatus, nowMs: number): boolean {
  if (JSON.stringify(steady(before)) !== JSON.stringify(steady(after))) return true
  const sampledAtMs = before.sampledAt === undefined ? -Infinity : Date.parse(before.sampledAt)
  return nowMs - sampledAtMs >= SAMPLE_MS && JSON.stringify(figures(before)) !== JSON.stringify(figures(after))
}

/** What changes with every write to the cluster. */
function figures({ commitIndex, members, conditions, sampledAt }: RaftClusterStatus): unknown {
  return [
    commitIndex,
    sampledAt !== undefined,
    members.map(({ name, raftIndex, lastTerm, lastIndex, lag, dbSizeBytes }) => [
      name,
      raftIndex,
      lastTerm,
      lastIndex,
      lag,
      dbSizeBytes,
    ]),
    conditions.toSorted((a, b) => a.type.localeCompare(b.type)).map(({ message }) => message),
  ]
}

/** In one order of fields, whatever order the API server answers in. */
function steady(status: RaftClusterStatus): unknown {
  const members = status.members.map(({ name, ordinal, id, role, ready, version, pvcUID, alarms, unhealthySince }) => [
    name,
    ordinal,
    id,
    role,
    ready,
    version,
    pvcUID,
    alarms,
    unhealthySince,
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
  const { updatedReplicas, templateHash: hash, image, base, handledRequests: handled, staleVolumes: stale } = status
  const asked = [handled.replaceMember, handled.moveLeader, handled.recovery]
  const refused = status.refusals.map(({ subject, message, since, retryAt }) => [subject, message, since, retryAt])
  return [
    ...rest,
    updatedReplicas,
    hash,
    image,
    status.tls ?? '',
    status.volumeSize ?? '',
    [status.volumeGrowth?.size, status.volumeGrowth?.refusal],
    base.image,
    base.form,
    [base.defaults?.tls, base.defaults?.networkPolicy],
    asked,
    stale,
    selector,
    members,
    inFlight ?? '',
    refused,
    ofUsers(status.auth),
    ofUpkeep(status.maintenance),
    conditions,
  ]
}

function ofUsers(memory: AuthMemory | undefined): unknown {
  if (memory === undefined) return ''
  const { users, roles, revision, hash, rootSecret } = memory
  return [users.map(({ name, secret }) => [name, secret]), roles, revision, hash, rootSecret?.name, rootSecret?.key]
}

function ofUpkeep(memory: RaftClusterStatus['maintenance']): unknown {
  const { defragmentation, noSpace } = memory ?? {}
  const { schedule, dueAfter, run } = defragmentation ?? {}
  const members = run?.members.map((one) => [one.id, one.startedAt, one.freedBytes ?? '', one.problem ?? ''])
  return [
    [schedule, dueAfter, run?.scheduledAt, run?.startedAt, run?.endedAt, run?.result, run?.message, members],
    [noSpace?.since, noSpace?.compactTo, noSpace?.compactedAt, noSpace?.exhaustedAt, noSpace?.defragmented],
  ]
}

/** "is 4711 entries behind" is not news each time, nor is "120 of 800 MB". */
function withoutFigures(message: string): string {
  return message.replace(/\b\d+ (entries|s|of \d+ MB)\b/g, '$1')
}
