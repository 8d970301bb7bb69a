/**
 * A look → what the page shows of a cluster, as JSON: the contract with static/page.js. Pure. Texts come from anybody who may
 * name things in Kubernetes; the page sets them as text and never as markup.
 */
import { unreachable } from '../../lib/assert.ts'
import type { MemberStatus, Operation, OperationStep, RaftClusterStatus } from '../api/status.ts'
import type { Look } from '../cluster/look.ts'

/** What its colour means. */
export type Health = 'good' | 'busy' | 'degraded' | 'down' | 'unknown'

export interface ClusterView {
  readonly namespace: string
  readonly name: string
  /** Milliseconds since the epoch; absent: this copy has not looked at it yet. */
  readonly lookedAtMs?: number
  readonly health: Health
  /** In a word or two. */
  readonly state: string
  /** In a sentence; empty where all is well. */
  readonly why: string
  /** Absent where the spec cannot be understood. */
  readonly replicas?: number
  readonly readyReplicas: number
  readonly voters: number
  readonly quorum: number
  readonly leader: string
  readonly term: number
  readonly commitIndex: number
  readonly image: string
  readonly clusterID: string
  readonly members: readonly MemberView[]
  readonly operation?: OperationView
  readonly conditions: readonly ConditionView[]
  /** The newest first. */
  readonly events: readonly EventView[]
}

export interface MemberView {
  readonly name: string
  readonly id: string
  readonly role: string
  readonly isReady: boolean
  readonly term?: number
  readonly commitIndex?: number
  /** Entries that it is behind the leader. */
  readonly lag?: number
  readonly sizeBytes?: number
  /** Of its volume, as Kubernetes writes it. */
  readonly capacity?: string
  readonly version?: string
  /** What is wrong with it; empty where nothing is. */
  readonly remark: string
}

export interface OperationView {
  readonly title: string
  readonly steps: readonly { readonly title: string; readonly state: 'done' | 'now' | 'next' }[]
  /** RFC 3339. */
  readonly startedAt: string
  readonly deadline?: string
  /** Calls that were refused or not answered. */
  readonly attempts: number
  /** What it waits for; empty where that is not known. */
  readonly why: string
}

export interface ConditionView {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
  /** RFC 3339. */
  readonly since: string
}

export interface EventView {
  readonly type: string
  readonly reason: string
  readonly message: string
  readonly count: number
  /** Milliseconds since the epoch, of the last. */
  readonly atMs: number
}

export function viewOf(look: Look, events: readonly EventView[]): ClusterView {
  const { namespace, name, atMs, replicas, status } = look
  const { readyReplicas, voters, quorum, leader, term, commitIndex, image, clusterID, operation, conditions } = status
  return {
    namespace,
    name,
    lookedAtMs: atMs,
    ...stateOf(look),
    ...(replicas !== undefined && { replicas }),
    readyReplicas,
    voters,
    quorum,
    leader,
    term,
    commitIndex,
    image,
    clusterID,
    members: status.members.toSorted(byOrdinal).map((member) => memberView(look, member)),
    ...(operation !== undefined && { operation: operationView(look, operation) }),
    conditions: conditions.map(({ type, status, reason, message, lastTransitionTime }) => ({
      type,
      status,
      reason,
      message,
      since: lastTransitionTime,
    })),
    events,
  }
}

/** A cluster that the operator knows of and has not looked at. */
export function unseen(namespace: string, name: string): ClusterView {
  const nothing = {
    readyReplicas: 0,
    voters: 0,
    quorum: 0,
    leader: '',
    term: 0,
    commitIndex: 0,
    image: '',
    clusterID: '',
  }
  return { namespace, name, health: 'unknown', state: 'Not looked at yet', why: '', ...nothing, members: [], conditions: [], events: [] } // prettier-ignore
}

function stateOf({ status, isBeingDeleted, waitsFor }: Look): Pick<ClusterView, 'health' | 'state' | 'why'> {
  const condition = (type: string): RaftClusterStatus['conditions'][number] | undefined =>
    status.conditions.find((one) => one.type === type)
  const is = (type: string): boolean => condition(type)?.status === 'True'
  const says = (type: string): string => condition(type)?.message ?? ''
  if (is('QuorumLost')) return { health: 'down', state: 'Quorum lost', why: says('QuorumLost') }
  if (isBeingDeleted) return { health: 'busy', state: 'Being deleted', why: waitsFor }
  const isFormed = status.configIndex > 0
  if (isFormed && condition('Available')?.status === 'False' && condition('Available')?.reason !== 'ScaledToZero')
    return { health: 'down', state: 'Not available', why: says('Available') }
  if (is('Degraded')) return { health: 'degraded', state: 'Degraded', why: says('Degraded') }
  if (is('Paused')) return { health: 'unknown', state: 'Paused', why: says('Paused') }
  const ready = condition('Ready')
  if (ready === undefined || ready.status === 'Unknown')
    return { health: 'unknown', state: 'Unknown', why: ready?.message ?? '' }
  if (ready.reason === 'InvalidSpec') return { health: 'degraded', state: 'Spec not understood', why: ready.message }
  if (ready.status === 'False') return { health: 'busy', state: 'Not ready', why: ready.message || waitsFor }
  return status.operation === undefined
    ? { health: 'good', state: 'Ready', why: '' }
    : { health: 'busy', state: 'Ready', why: waitsFor }
}

function byOrdinal(a: MemberStatus, b: MemberStatus): number {
  return (a.ordinal ?? Infinity) - (b.ordinal ?? Infinity) || (a.name < b.name ? -1 : 1)
}

function memberView({ members }: Look, member: MemberStatus): MemberView {
  const { name, id, role, ready, lag, dbSizeBytes, version, alarms, unhealthySince } = member
  const look = members.get(name)
  const remarks = [
    ...alarms.map((alarm) => `alarm ${alarm}`),
    ...(unhealthySince === undefined ? [] : [`the leader has not heard from it since ${unhealthySince}`]),
    ...(look === undefined || look.trouble === '' ? [] : [look.trouble]),
  ]
  return {
    name,
    id,
    role,
    isReady: ready,
    ...(look?.term !== undefined && { term: look.term }),
    ...(look?.commitIndex !== undefined && { commitIndex: look.commitIndex }),
    ...(role === 'leader' ? { lag: 0 } : lag !== undefined && { lag }),
    ...(dbSizeBytes !== undefined && { sizeBytes: dbSizeBytes }),
    ...(look?.capacity !== undefined && { capacity: look.capacity }),
    ...(version !== undefined && { version }),
    remark: remarks.join('; '),
  }
}

function operationView({ name, waitsFor }: Look, operation: Operation): OperationView {
  const { step, ordinal, startedAt, deadline, attempts, message } = operation
  const steps = stepsOf(operation)
  const at = steps.indexOf(step)
  return {
    title: titleOf(operation, `${name}-${ordinal}`),
    steps: steps.map((one, i) => ({ title: STEPS[one], state: i < at ? 'done' : i === at ? 'now' : 'next' })),
    startedAt,
    ...(deadline !== undefined && { deadline }),
    attempts,
    why: waitsFor || message,
  }
}

function titleOf({ type, step }: Operation, pod: string): string {
  switch (type) {
    case 'Form':
      return 'Form the cluster'
    case 'ScaleUp':
      return `Add ${pod}`
    case 'ScaleDown':
      return `Take ${pod} away`
    case 'ReplaceMember':
      return `Replace ${pod}`
    case 'Rollout':
      return `Renew ${pod}`
    case 'MoveLeader':
      return `Move the leadership away from ${pod}`
    case 'Defragment':
      return `Defragment the store of ${pod}`
    case 'ReclaimSpace':
      return 'Make room in the stores'
    case 'Recover':
      return step === 'Recover' ? `Recover from ${pod} alone` : `Restore a backup to ${pod}`
    default:
      return unreachable(type)
  }
}

const STEPS: Readonly<Record<OperationStep, string>> = {
  Restore: 'Restore the backup',
  Bootstrap: 'Bootstrap',
  AddLearner: 'Add as learner',
  Join: 'Join',
  CatchUp: 'Catch up',
  Promote: 'Promote to voter',
  TransferLeader: 'Transfer the leadership',
  RemoveMember: 'Remove the member',
  RemovePod: 'Stop the pod',
  DeleteVolume: 'Delete the volume',
  RestartPod: 'Restart the pod',
  Recover: 'Recover',
  Compact: 'Compact the history',
  Defragment: 'Defragment',
  Disarm: 'Disarm the alarm',
}

const USUAL: Readonly<Record<Operation['type'], readonly OperationStep[]>> = {
  Form: ['Bootstrap'],
  ScaleUp: ['AddLearner', 'Join', 'CatchUp', 'Promote'],
  ScaleDown: ['RemoveMember', 'RemovePod'],
  ReplaceMember: ['RemoveMember', 'DeleteVolume'],
  Rollout: ['RestartPod'],
  MoveLeader: ['TransferLeader'],
  Recover: ['Recover'],
  Defragment: ['Defragment'],
  ReclaimSpace: ['Defragment', 'Disarm'],
}

/** Of a recovery that goes on with a backup instead of a survivor. */
const RESTORE: readonly OperationStep[] = ['Restore', 'Bootstrap']

/** Steps that not every operation of its type takes are shown while they are taken: first what prepares, last what cleans up. */
function stepsOf({ type, step }: Operation): readonly OperationStep[] {
  const usual = type === 'Recover' && step !== 'Recover' ? RESTORE : USUAL[type]
  if (usual.includes(step)) return usual
  return step === 'DeleteVolume' ? [...usual, step] : [step, ...usual]
}
