/**
 * Carries a decision out. I/O, but no decision: what is refused or not answered is part of the outcome, and the next
 * reconcile decides on what is then.
 *
 * Invariants: an operation is in status before the call that it announces; no error of a call hides what was observed.
 * Neighbours: decide.ts, refusals.ts, reconcile.ts.
 */
import { isDeepStrictEqual } from 'node:util'
import { assert, unreachable } from '../../lib/assert.ts'
import { formatId } from '../../lib/ids.ts'
import type { Result } from '../../lib/result.ts'
import { API_VERSION, KIND } from '../api/raft-cluster.ts'
import { defaultsOf } from '../api/defaults.ts'
import type { AuthMemory, Operation, Refusal, RaftClusterStatus } from '../api/status.ts'
import type { Observation } from './observe.ts'
import { type Action, chainsOf, type Decision, type Plan } from './plan.ts'
import { refusalsAfter, subjectOf } from './refusals.ts'
import { type AdminFailure, KubeError, type KubeObject, type ReconcileDeps } from './ports.ts'
import { adminToken, TOKEN_SIZE_BYTES } from './resources/admin-token.ts'
import { names } from './resources/names.ts'
import { writeTls } from './tls/write.ts'
import { hasFields } from './has-fields.ts'
import { changeUsers } from './change-users.ts'
import type { UsersProblem } from './observed.ts'
import { begun, done } from './rules/users.ts'
import { afterSwitch } from './switch.ts'
import { upkeepAfter } from './upkeep.ts'
import { writeStatus } from './write-status.ts'

export interface Outcome {
  /** The RaftCluster after the actions. */
  readonly object: KubeObject
  readonly recorded: RaftClusterStatus
  /** In flight after the actions, with what went wrong. */
  readonly operation: Operation | undefined
  /** Of the plan. */
  readonly failure: Failure | undefined
  /** What the API server did not do, now or at an earlier look. */
  readonly refusals: readonly Refusal[]
  /** Of the first call to the API server that failed at this look. */
  readonly error: KubeError | undefined
  readonly users: UsersOutcome
}

export interface UsersOutcome {
  /** What is to be known of users and roles from here on. */
  readonly memory: AuthMemory | undefined
  /** Why they are not as declared. */
  readonly problem: UsersProblem | undefined
}

export interface Failure {
  readonly reason: 'MemberRefused' | 'MemberUnreachable' | 'ApiServerRefused' | 'CRDOutdated' | 'TokenRefused'
  readonly message: string
  /** Of the API server. */
  readonly error?: KubeError
}

/** No further object or volume is begun after it: a call that hangs must not keep the others and the status waiting. */
const PATIENCE_MS = 5_000

type Observed = Extract<Observation, { kind: 'observed' }>

interface Progress {
  object: KubeObject
  recorded: RaftClusterStatus
  readonly tried: Map<string, KubeError | undefined>
}

export async function act(deps: ReconcileDeps, observation: Observed, decision: Decision): Promise<Outcome> {
  const { observed, object } = observation
  const tried = new Map<string, KubeError | undefined>()
  const progress: Progress = { object, recorded: observed.cluster.recorded, tried }
  await restore(deps, observation, decision, progress)
  const failure = await carryOut(deps, observation, decision, progress)
  const users = await keepUsers(deps, observation, decision, progress)
  const error = [observed.unread[0]?.error, ...tried.values(), failure?.error].find((one) => one !== undefined)
  const refusals = refusalsAfter(observed, decision, tried, deps.nowMs())
  // Of another cluster from here on: what was in flight before does not count.
  const isSwitched = progress.recorded.clusterID !== observed.cluster.recorded.clusterID
  const inFlight = isSwitched ? progress.recorded.operation : decision.operation
  return { ...progress, operation: afterAttempt(inFlight, failure), failure, refusals, error, users }
}

/** Where nothing was done, or it is not known what was. */
export function untried(deps: ReconcileDeps, { observed, object }: Observed, decision: Decision): Outcome {
  const { recorded } = observed.cluster
  return {
    object,
    recorded,
    operation: recorded.operation,
    failure: undefined,
    refusals: refusalsAfter(observed, decision, new Map(), deps.nowMs()),
    error: observed.unread[0]?.error,
    users: { memory: recorded.auth, problem: undefined },
  }
}

/** What is made is recorded first: what the spec does not declare any more is then known as declared once. */
async function keepUsers(
  deps: ReconcileDeps,
  { observed, object, login }: Observed,
  { userSteps: steps }: Decision,
  progress: Progress,
): Promise<UsersOutcome> {
  const known = progress.recorded.auth
  if (login === undefined || steps === undefined) return { memory: known, problem: undefined }
  const before = begun(observed)
  if (steps.length > 0 && !isDeepStrictEqual(before, known)) {
    const failure = await record(deps, progress, { ...progress.recorded, auth: before })
    if (failure !== undefined) return { memory: known, problem: { reason: 'NotRecorded', message: failure.message } }
  }
  const problem = await changeUsers(login, steps)
  if (problem !== undefined) return { memory: steps.length > 0 ? before : known, problem }
  if (steps.some(({ kind }) => kind === 'enable'))
    deps.events.emit(object, 'Normal', 'AuthEnabled', 'Enable', 'clients have to authenticate from now on')
  if (steps.some(({ kind }) => kind === 'disable'))
    deps.events.emit(object, 'Normal', 'AuthDisabled', 'Disable', 'clients no longer have to authenticate')
  return { memory: done(observed, steps), problem }
}

async function restore(
  deps: ReconcileDeps,
  observation: Observed,
  decision: Decision,
  progress: Progress,
): Promise<void> {
  const untilMs = deps.nowMs() + PATIENCE_MS
  for (const action of decision.objects) {
    if (deps.nowMs() > untilMs) return
    await attempt(deps, observation, decision, progress, action)
  }
}

/** Answers the first failure that is about the plan, and no refusal of an object. */
async function carryOut(
  deps: ReconcileDeps,
  observation: Observed,
  decision: Decision,
  progress: Progress,
): Promise<Failure | undefined> {
  const untilMs = deps.nowMs() + PATIENCE_MS
  let failure: Failure | undefined
  for (const chain of chainsOf(decision.actions)) {
    if (deps.nowMs() > untilMs) break
    for (const action of chain) {
      const result = await attempt(deps, observation, decision, progress, action)
      if (result === 'done') continue
      if (result !== 'refused') failure ??= result
      break
    }
  }
  return failure
}

function afterAttempt(operation: Operation | undefined, failure: Failure | undefined): Operation | undefined {
  if (operation === undefined || failure === undefined || failure.reason === 'CRDOutdated') return operation
  return { ...operation, attempts: operation.attempts + 1, message: failure.message.slice(0, 512) }
}

async function attempt(
  deps: ReconcileDeps,
  observation: Observed,
  plan: Plan,
  progress: Progress,
  action: Action,
): Promise<'done' | 'refused' | Failure> {
  const subject = subjectOf(observation.observed.cluster, action)
  try {
    const failure = await perform(deps, observation, plan, progress, action)
    if (subject !== undefined) progress.tried.set(subject, undefined)
    return failure ?? 'done'
  } catch (error) {
    // Where the namespace goes, nothing else would be taken either.
    if (!(error instanceof KubeError) || error.problem.kind === 'terminating') throw error
    if (subject !== undefined) {
      progress.tried.set(subject, error)
      return 'refused'
    }
    // Somebody changed the RaftCluster since it was read: what was decided on it is over.
    if (error.problem.kind === 'conflict') throw error
    return { reason: 'ApiServerRefused', message: error.problem.message, error }
  }
}

async function perform(
  deps: ReconcileDeps,
  observation: Observed,
  plan: Plan,
  progress: Progress,
  action: Action,
): Promise<Failure | undefined> {
  const { writer, signal } = deps
  const { admin, token, observed } = observation
  const { cluster } = observed
  const about = observation.object
  switch (action.kind) {
    case 'apply':
      await writer.apply(action.object)
      return undefined
    case 'create':
      await writer.create(action.object)
      return undefined
    case 'set-pods':
      await writer.patch(action.ref, action.changes)
      return undefined
    case 'write-admin-token':
      await writer.apply(adminToken(cluster, deps.randomBytes(TOKEN_SIZE_BYTES)))
      return undefined
    case 'make-authority':
      await writeTls(deps, observed, action)
      deps.events.emit(
        about,
        'Normal',
        'CAIssued',
        'IssueCA',
        `Secret ${names.tls(cluster, action.secret)} has a new CA`,
      )
      return undefined
    case 'write-certificates': {
      await writeTls(deps, observed, action)
      const made = [...action.make, ...action.take].map(({ files }) => files.certificate).join(', ')
      const message = `Secret ${names.tls(cluster, action.secret)} has new certificates: ${made}`
      if (made !== '') deps.events.emit(about, 'Normal', 'CertificatesIssued', 'Issue', message)
      return undefined
    }
    case 'set-finalizers': {
      const ref = { apiVersion: API_VERSION, kind: KIND, namespace: cluster.namespace, name: cluster.name }
      const resourceVersion = progress.object.metadata.resourceVersion ?? ''
      progress.object = await writer.patch(ref, { metadata: { resourceVersion, finalizers: action.finalizers } })
      return undefined
    }
    case 'mint-cluster-id':
      assert(progress.recorded.clusterID === '', 'a cluster gets its ID once')
      return record(deps, progress, identified(progress.recorded, mintId(deps.randomBytes)))
    case 'adopt-cluster-id': {
      assert(progress.recorded.clusterID === '', 'a cluster gets its ID once')
      const failure = await record(deps, progress, identified(progress.recorded, action.clusterID))
      const message = `the volumes of cluster ${action.clusterID} now belong to this RaftCluster`
      if (failure === undefined) deps.events.emit(about, 'Normal', 'VolumesAdopted', 'Adopt', message)
      return failure
    }
    case 'record-operation':
      announce(deps, observation, action.operation)
      return record(deps, progress, {
        ...progress.recorded,
        ...knownOf(observed),
        ...answered(progress.recorded, action.operation, plan),
        ...upkeepAfter(observed, plan),
        operation: action.operation,
      })
    case 'bootstrap': {
      const result = await admin.bootstrap(action.url, token, action.request, signal)
      if (result.ok)
        deps.events.emit(
          about,
          'Normal',
          'ClusterFormed',
          'Form',
          `${action.request.member.name} formed cluster ${action.request.clusterId}`,
        )
      return failureOf(result)
    }
    case 'join':
      return failureOf(await admin.join(action.url, token, action.request, signal))
    case 'change-membership': {
      const result = await admin.membership(action.url, token, action.request, signal)
      if (result.ok) {
        const [reason, verb] = CHANGE_EVENTS[action.request.kind]
        deps.events.emit(
          about,
          'Normal',
          reason,
          verb,
          `${reason}: member ${result.value.memberId}, configuration ${result.value.configIndex}`,
        )
      }
      return failureOf(result)
    }
    case 'transfer-leader': {
      const result = await admin.transferLeader(action.url, token, action.request, signal)
      if (result.ok)
        deps.events.emit(
          about,
          'Normal',
          'LeaderMoved',
          'TransferLeader',
          `member ${result.value.leader} leads in term ${result.value.term}`,
        )
      return failureOf(result)
    }
    case 'recover': {
      const result = await admin.recover(action.url, token, action.request, signal)
      const message = `member ${action.request.memberId} continues alone; what only the others had is lost`
      if (result.ok) deps.events.emit(about, 'Warning', 'Recovered', 'Recover', message)
      return failureOf(result)
    }
    case 'switch-cluster': {
      const { clusterID: before } = progress.recorded
      const failure = await record(deps, progress, afterSwitch(progress.recorded, action))
      const pod = names.pod(cluster, action.operation.ordinal)
      const message = `cluster ${before} is given up for ${action.clusterID}, which begins with the backup that ${pod} has`
      if (failure === undefined) deps.events.emit(about, 'Warning', 'Restored', 'Restore', message)
      return failure
    }
    case 'keep-up': {
      const { request } = action
      const result = await admin.keepUp(action.url, token, request, signal)
      if (result.ok && request.kind === 'compact') {
        const message = `the store is full and refuses puts: history before revision ${request.revision} was compacted`
        deps.events.emit(about, 'Warning', 'HistoryCompacted', 'Compact', message)
      }
      if (result.ok && request.kind === 'disarm') {
        const message = `there is space again: the alarm NOSPACE of member ${request.memberId} is disarmed`
        deps.events.emit(about, 'Normal', 'AlarmDisarmed', 'Disarm', message)
      }
      return failureOf(result)
    }
    case 'delete-object':
      await writer.delete(action.ref, { uid: action.uid })
      return undefined
    case 'delete-volume': {
      await writer.delete(action.ref, { uid: action.uid })
      deps.events.emit(about, 'Normal', 'VolumeDeleted', 'DeleteVolume', `${action.ref.name} is deleted`)
      return undefined
    }
    default:
      return unreachable(action)
  }
}

const CHANGE_EVENTS = {
  'add-learner': ['LearnerAdded', 'AddLearner'],
  promote: ['MemberPromoted', 'Promote'],
  remove: ['MemberRemoved', 'RemoveMember'],
} as const

/**
 * What the API server did not keep, it would not tell after a restart, and the same would be done twice: an older CRD
 * prunes the fields that it does not know.
 */
async function record(
  deps: ReconcileDeps,
  progress: Progress,
  status: RaftClusterStatus,
): Promise<Failure | undefined> {
  progress.object = await writeStatus(deps.writer, progress.object, status)
  const { operation, handledRequests, clusterID, staleVolumes, base, tls, auth, maintenance } = status
  const memory = {
    clusterID,
    staleVolumes,
    base,
    tls,
    ...(auth !== undefined && { auth }),
    ...(maintenance !== undefined && { maintenance }),
    ...(operation !== undefined && { operation, handledRequests }),
  }
  const lost = Object.entries(memory).find(
    ([field, value]) => !hasFields(Reflect.get(Object(progress.object['status']), field), value),
  )
  // Nothing was begun, so nothing counts as answered.
  if (lost === undefined) {
    progress.recorded = status
    return undefined
  }
  const message = `the RaftCluster CRD does not keep status.${lost[0]} as this operator writes it: install the CRD of the operator's version`
  return { reason: 'CRDOutdated', message }
}

/** From here on a request counts as carried out: the next step is the one that must not happen twice. */
function answered(recorded: RaftClusterStatus, operation: Operation, plan: Plan): Partial<RaftClusterStatus> {
  const { handledRequests } = recorded
  const { step, request } = operation
  if (step === 'RemoveMember' && request !== '')
    return { handledRequests: { ...handledRequests, replaceMember: request } }
  const recovery = plan.actions.find((action) => action.kind === 'recover')
  if (recovery === undefined) return {}
  const { history, staleVolumes } = recovery
  return { handledRequests: { ...handledRequests, recovery: request }, staleVolumes: [...staleVolumes], ...history }
}

/** That the cluster was formed, and how far it got, is in status no later than what is decided on it. */
function knownOf({ cluster, membership }: Observed['observed']): Partial<RaftClusterStatus> {
  if (membership?.leader === undefined) return {}
  const { recorded } = cluster
  return {
    configIndex: Math.max(recorded.configIndex, membership.configIndex),
    term: Math.max(recorded.term, membership.term),
    voters: membership.voters.length,
  }
}

/** With its ID a cluster gets what its spec leaves open. */
function identified(recorded: RaftClusterStatus, clusterID: string): RaftClusterStatus {
  return { ...recorded, clusterID, base: { ...recorded.base, defaults: defaultsOf(recorded) } }
}

/** 64 random bits, never 0. */
function mintId(randomBytes: ReconcileDeps['randomBytes']): string {
  const id = Buffer.from(randomBytes(8)).readBigUInt64BE()
  return formatId(id === 0n ? 1n : id)
}

const BEGINNINGS = {
  Form: 'ClusterForming',
  ScaleUp: 'ScalingUp',
  ScaleDown: 'ScalingDown',
  ReplaceMember: 'ReplacingMember',
  Rollout: 'UpgradingMember',
  MoveLeader: 'MovingLeader',
  Recover: 'Recovering',
  Defragment: 'Defragmenting',
  ReclaimSpace: 'ReclaimingSpace',
} as const

/** Once an operation, not once a step. */
function announce({ events }: ReconcileDeps, { object, observed }: Observed, operation: Operation): void {
  const before = observed.cluster.recorded.operation
  if (before?.type === operation.type && before.ordinal === operation.ordinal) return
  const message = `${operation.type} of ordinal ${operation.ordinal} begins with ${operation.step}`
  events.emit(object, 'Normal', BEGINNINGS[operation.type], operation.step, message)
}

/** The API server, the kubelet and the member each have it a little later. */
const TOKEN_ADVICE =
  'A changed token reaches a running member within about a minute. If it does not: annotation raftkv.dev/restartedAt'

function failureOf(result: Result<unknown, AdminFailure>): Failure | undefined {
  if (result.ok) return undefined
  const { error } = result
  switch (error.kind) {
    case 'refused':
      return error.error.code === 'Unauthorized'
        ? { reason: 'TokenRefused', message: `Unauthorized: ${error.error.message}. ${TOKEN_ADVICE}` }
        : { reason: 'MemberRefused', message: `${error.error.code}: ${error.error.message}` }
    case 'unreachable':
      return { reason: 'MemberUnreachable', message: error.message }
    default:
      return unreachable(error)
  }
}
