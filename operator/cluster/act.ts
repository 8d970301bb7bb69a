/**
 * Carries a plan out, action by action, in order. I/O, but no decision: what a member refuses ends the plan, and the
 * next reconcile decides on what is then.
 *
 * Invariant: an operation is in status before the call that it announces. Neighbours: decide.ts, reconcile.ts.
 */
import { assert, unreachable } from '../../lib/assert.ts'
import { formatId } from '../../lib/ids.ts'
import type { Result } from '../../lib/result.ts'
import { API_VERSION, KIND } from '../api/raft-cluster.ts'
import type { Operation, RaftClusterStatus } from '../api/status.ts'
import type { Observation } from './observe.ts'
import type { Action, Plan } from './plan.ts'
import { type AdminFailure, KubeError, type KubeObject, type ReconcileDeps } from './ports.ts'
import { adminToken, TOKEN_SIZE_BYTES } from './resources/admin-token.ts'
import { contains } from './contains.ts'
import { writeStatus } from './write-status.ts'

export interface Outcome {
  /** The RaftCluster after the actions. */
  readonly object: KubeObject
  readonly recorded: RaftClusterStatus
  /** In flight after the actions, with what went wrong. */
  readonly operation: Operation | undefined
  readonly failure: Failure | undefined
}

export interface Failure {
  readonly reason: 'MemberRefused' | 'MemberUnreachable' | 'ApiServerRefused' | 'ExpansionRefused' | 'CRDOutdated'
  readonly message: string
}

type Observed = Extract<Observation, { kind: 'observed' }>

interface Progress {
  object: KubeObject
  recorded: RaftClusterStatus
  failure: Failure | undefined
}

export async function act(deps: ReconcileDeps, observation: Observed, plan: Plan): Promise<Outcome> {
  const { cluster } = observation.observed
  const progress: Progress = { object: observation.object, recorded: cluster.recorded, failure: undefined }
  for (const action of plan.actions) {
    const failure = await attempt(deps, observation, plan, progress, action)
    progress.failure ??= failure
    // An object that the API server does not accept does not stand in the way of members; all else builds on what is before.
    if (failure !== undefined && action.kind !== 'apply') break
  }
  return { ...progress, operation: afterAttempt(plan.operation, progress.failure) }
}

function afterAttempt(operation: Operation | undefined, failure: Failure | undefined): Operation | undefined {
  if (operation === undefined || failure === undefined || !failure.reason.startsWith('Member')) return operation
  return { ...operation, attempts: operation.attempts + 1, message: failure.message.slice(0, 512) }
}

async function attempt(
  deps: ReconcileDeps,
  observation: Observed,
  plan: Plan,
  progress: Progress,
  action: Action,
): Promise<Failure | undefined> {
  try {
    return await perform(deps, observation, plan, progress, action)
  } catch (error) {
    if (!(error instanceof KubeError) || !['invalid', 'forbidden'].includes(error.problem.kind)) throw error
    const isVolume = action.kind === 'apply' && action.object.kind === 'PersistentVolumeClaim'
    return { reason: isVolume ? 'ExpansionRefused' : 'ApiServerRefused', message: error.problem.message }
  }
}

async function perform(
  deps: ReconcileDeps,
  observation: Observed,
  plan: Plan,
  progress: Progress,
  action: Action,
): Promise<Failure | undefined> {
  const { writer, admin, signal } = deps
  const { token, observed } = observation
  const { cluster } = observed
  const about = observation.object
  switch (action.kind) {
    case 'apply':
      await writer.apply(action.object)
      return undefined
    case 'create-admin-token':
      return createToken(deps, observation)
    case 'set-finalizers': {
      const ref = { apiVersion: API_VERSION, kind: KIND, namespace: cluster.namespace, name: cluster.name }
      const version = progress.object.metadata.resourceVersion ?? ''
      progress.object = await writer.patchFinalizers(ref, version, action.finalizers)
      return undefined
    }
    case 'mint-cluster-id':
      assert(progress.recorded.clusterID === '', 'a cluster gets its ID once')
      return record(deps, progress, { ...progress.recorded, clusterID: mintId(deps.randomBytes) })
    case 'record-operation':
      announce(deps, observation, action.operation)
      return record(deps, progress, {
        ...progress.recorded,
        ...knownOf(observed),
        ...answered(progress.recorded, action.operation, plan),
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
      const message = `member ${action.request.memberId} goes on alone; what only the others had is lost`
      if (result.ok) deps.events.emit(about, 'Warning', 'Recovered', 'Recover', message)
      return failureOf(result)
    }
    case 'delete-object':
      return gone(writer.delete(action.ref, { uid: action.uid }))
    case 'delete-volume': {
      await gone(writer.delete(action.ref, { uid: action.uid }))
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
  const { operation, handledRequests, clusterID, staleVolumes } = status
  const memory = { clusterID, staleVolumes, ...(operation !== undefined && { operation, handledRequests }) }
  const lost = Object.entries(memory).find(
    ([field, value]) => !contains(Reflect.get(Object(progress.object['status']), field), value),
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

/** Another token may have been made since we looked: that one counts. */
async function createToken(deps: ReconcileDeps, { observed }: Observed): Promise<undefined> {
  try {
    await deps.writer.create(adminToken(observed.cluster, deps.randomBytes(TOKEN_SIZE_BYTES)))
  } catch (error) {
    if (!(error instanceof KubeError) || error.problem.kind !== 'conflict') throw error
  }
}

/** With another UID it is not the object that was to go: done. */
async function gone(deletion: Promise<void>): Promise<undefined> {
  try {
    await deletion
  } catch (error) {
    if (!(error instanceof KubeError) || error.problem.kind !== 'conflict') throw error
  }
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
} as const

/** Once an operation, not once a step. */
function announce({ events }: ReconcileDeps, { object, observed }: Observed, operation: Operation): void {
  const before = observed.cluster.recorded.operation
  if (before?.type === operation.type && before.ordinal === operation.ordinal) return
  const message = `${operation.type} of ordinal ${operation.ordinal} begins with ${operation.step}`
  events.emit(object, 'Normal', BEGINNINGS[operation.type], operation.step, message)
}

function failureOf(result: Result<unknown, AdminFailure>): Failure | undefined {
  if (result.ok) return undefined
  const { error } = result
  switch (error.kind) {
    case 'refused':
      return { reason: 'MemberRefused', message: `${error.error.code}: ${error.error.message}` }
    case 'unreachable':
      return { reason: 'MemberUnreachable', message: error.message }
    default:
      return unreachable(error)
  }
}
