/** Operations: what is in flight, under an ID that follows from what is intended and on which configuration. Pure. */
import { timestamp } from '../api/conditions.ts'
import type { Operation } from '../api/status.ts'
import type { Observed } from './observed.ts'

export interface Intent {
  readonly type: Operation['type']
  readonly step: Operation['step']
  readonly ordinal: number
  readonly verb:
    | 'bootstrap'
    | 'add'
    | 'join'
    | 'promote'
    | 'remove'
    | 'transfer'
    | 'restart'
    | 'recover'
    | 'defragment'
    | 'reclaim'
  /** Whom it is about: a pod before it has a member ID. */
  readonly subject: string
  readonly memberID?: string
  readonly volumeUID?: string
  readonly request?: string
  /** Of the member that is asked; the cluster's where it is not given. */
  readonly configIndex?: number
  readonly deadlineSeconds?: number
}

/**
 * The same intent on the same configuration has the same ID, however often and wherever it is computed: a repeat is answered
 * with the first result. A new step of one operation keeps its start, deadline and volume.
 */
export function newOperation(observed: Observed, intent: Intent): Operation {
  const { cluster, membership, nowMs } = observed
  const recorded = cluster.recorded.operation
  const isSame = recorded?.type === intent.type && recorded.ordinal === intent.ordinal
  const previous = isSame ? recorded : undefined
  const configIndex = intent.configIndex ?? membership?.configIndex ?? 0
  const deadlineMs = intent.deadlineSeconds === undefined ? undefined : nowMs + intent.deadlineSeconds * 1000
  const deadline = previous?.deadline ?? (deadlineMs === undefined ? undefined : timestamp(deadlineMs))
  const id = [cluster.uid, intent.verb, intent.subject, configIndex].join(':')
  const isRepeat = previous?.id === id
  return {
    id,
    type: intent.type,
    step: intent.step,
    ordinal: intent.ordinal,
    memberID: intent.memberID ?? previous?.memberID ?? '',
    expectedConfigIndex: configIndex,
    volumeUID: previous?.volumeUID || (intent.volumeUID ?? ''),
    request: intent.request ?? previous?.request ?? '',
    startedAt: previous?.startedAt ?? timestamp(nowMs),
    ...(deadline !== undefined && { deadline }),
    ...(previous?.progress !== undefined &&
      previous.memberID === (intent.memberID ?? previous.memberID) && { progress: previous.progress }),
    attempts: isRepeat ? previous.attempts : 0,
    message: isRepeat ? previous.message : '',
  }
}

export function isOverdue(operation: Operation, nowMs: number): boolean {
  return operation.deadline !== undefined && Date.parse(operation.deadline) <= nowMs
}
