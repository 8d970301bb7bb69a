/** A pod's status from what its containers do. Pure; rules are Kubernetes' (pkg/kubelet/kubelet_pods.go, status/generate.go). */
import { timestamp } from '../client/object.ts'
import { unreachable } from '../../lib/assert.ts'
import type { ContainerState, ContainerView } from './container.ts'
import type { Pod } from './pod.ts'

export interface PodView {
  readonly hostIP: string
  /** Undefined until it has one. */
  readonly podIP: string | undefined
  readonly startedAtMs: number
  readonly initContainers: readonly ContainerView[]
  readonly containers: readonly ContainerView[]
}

type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed'

export function statusOf(pod: Pod, view: PodView, nowMs: number): Readonly<Record<string, unknown>> {
  const phase = phaseOf(pod, view)
  const isInitialised = view.initContainers.every(({ state }) => state.kind === 'terminated' && state.exitCode === 0)
  const areReady = phase === 'Running' && view.containers.every(({ isReady }) => isReady)
  const isOver = phase === 'Succeeded' || phase === 'Failed'
  const notReady = isOver ? 'PodCompleted' : 'ContainersNotReady'
  const conditions = [
    condition(pod, 'PodReadyToStartContainers', view.podIP !== undefined && !isOver, undefined, nowMs),
    condition(pod, 'Initialized', isInitialised, 'ContainersNotInitialized', nowMs),
    condition(pod, 'Ready', areReady, notReady, nowMs),
    condition(pod, 'ContainersReady', areReady, notReady, nowMs),
    condition(pod, 'PodScheduled', true, undefined, nowMs),
  ]
  const ours = new Set(conditions.map(({ type }) => type))
  return {
    phase,
    conditions: [...pod.status.conditions.filter(({ type }) => !ours.has(type)), ...conditions],
    hostIP: view.hostIP,
    hostIPs: [{ ip: view.hostIP }],
    ...(view.podIP !== undefined && { podIP: view.podIP, podIPs: [{ ip: view.podIP }] }),
    startTime: pod.status.startTime ?? timestamp(view.startedAtMs),
    ...(view.initContainers.length > 0 && { initContainerStatuses: view.initContainers.map(containerStatus) }),
    containerStatuses: view.containers.map(containerStatus),
  }
}

export function phaseOf({ spec }: Pod, { initContainers, containers }: PodView): Phase {
  const hasFailedInit = initContainers.some(({ state }) => state.kind === 'terminated' && state.exitCode !== 0)
  if (hasFailedInit && spec.restartPolicy === 'Never') return 'Failed'
  const hasRun = ({ state, last }: ContainerView): boolean => state.kind !== 'waiting' || last !== undefined
  if (!containers.every(hasRun)) return 'Pending'
  const ends = containers.map(({ state }) => (state.kind === 'terminated' ? state.exitCode : undefined))
  if (spec.restartPolicy === 'Always' || ends.includes(undefined)) return 'Running'
  if (ends.every((exitCode) => exitCode === 0)) return 'Succeeded'
  return spec.restartPolicy === 'Never' ? 'Failed' : 'Running'
}

/** Of a pod that was deleted, when its last process has ended. */
export function finalPhase(containers: readonly ContainerView[]): 'Succeeded' | 'Failed' {
  const isClean = containers.every(({ state }) => state.kind === 'terminated' && state.exitCode === 0)
  return isClean ? 'Succeeded' : 'Failed'
}

interface Condition {
  readonly type: string
  readonly status: 'True' | 'False'
  readonly reason?: string
  readonly lastTransitionTime: string
  readonly observedGeneration?: number
}

function condition(pod: Pod, type: string, isTrue: boolean, reason: string | undefined, nowMs: number): Condition {
  const status = isTrue ? 'True' : 'False'
  const known = pod.status.conditions.find((candidate) => candidate.type === type)
  const { generation } = pod.object.metadata
  const isSame = known?.status === status && typeof known.lastTransitionTime === 'string'
  return {
    type,
    status,
    ...(!isTrue && reason !== undefined && { reason }),
    lastTransitionTime: isSame ? (known.lastTransitionTime ?? '') : timestamp(nowMs),
    ...(generation !== undefined && { observedGeneration: generation }),
  }
}

function containerStatus(view: ContainerView): Readonly<Record<string, unknown>> {
  return {
    name: view.name,
    image: view.image,
    imageID: '',
    state: stateOf(view.state),
    lastState: view.last === undefined ? {} : stateOf(view.last),
    ready: view.isReady,
    started: view.isStarted,
    restartCount: view.restartCount,
  }
}

function stateOf(state: ContainerState): Readonly<Record<string, unknown>> {
  switch (state.kind) {
    case 'waiting':
      return { waiting: { reason: state.reason, ...(state.message !== '' && { message: state.message }) } }
    case 'running':
      return { running: { startedAt: timestamp(state.startedAtMs) } }
    case 'terminated': {
      const { exitCode, reason, startedAtMs, finishedAtMs } = state
      return {
        terminated: { exitCode, reason, startedAt: timestamp(startedAtMs), finishedAt: timestamp(finishedAtMs) },
      }
    }
    default:
      return unreachable(state)
  }
}
