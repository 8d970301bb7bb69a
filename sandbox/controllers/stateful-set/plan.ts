/**
 * What to do next about a StatefulSet: which pods to create and which to delete, and its status. Pure; the order of the
 * checks is that of Kubernetes' own controller (pkg/controller/statefulset/stateful_set_control.go), which the operator's
 * safety rests on: with OrderedReady one pod at a time and only when all before it are ready, with Parallel all at once;
 * OnDelete replaces no pod by itself.
 */
import type { StoredObject } from '../../client/object.ts'
import type { SetPod, StatefulSet } from './model.ts'

export type SetAction =
  | { readonly kind: 'create'; readonly ordinal: number; readonly revision: string }
  | { readonly kind: 'delete'; readonly pod: StoredObject }

export interface Revisions {
  readonly current: string
  readonly update: string
}

export interface SetStatus {
  readonly observedGeneration: number
  readonly replicas: number
  readonly readyReplicas: number
  readonly availableReplicas: number
  readonly currentReplicas: number
  readonly updatedReplicas: number
  readonly currentRevision: string
  readonly updateRevision: string
}

export interface SetPlan {
  readonly actions: readonly SetAction[]
  readonly status: SetStatus
  /** Pods above the wanted ones, highest first. */
  readonly condemned: readonly SetPod[]
  /** When a pod becomes available by the passing of time alone. */
  readonly requeueAfterMs: number | undefined
}

export function planSet(set: StatefulSet, pods: readonly SetPod[], revisions: Revisions, nowMs: number): SetPlan {
  const { replicas, ordinals, minReadySeconds } = set.spec
  const isWanted = ({ ordinal }: SetPod): boolean => ordinal >= ordinals.start && ordinal < ordinals.start + replicas
  const condemned = pods.filter((pod) => !isWanted(pod)).toSorted((a, b) => b.ordinal - a.ordinal)
  const availableAtMs = (pod: SetPod): number => pod.readySinceMs + minReadySeconds * 1000
  const isAvailable = (pod: SetPod): boolean => pod.isReady && (minReadySeconds === 0 || availableAtMs(pod) <= nowMs)
  const waits = pods.filter((pod) => pod.isReady && !isAvailable(pod)).map((pod) => availableAtMs(pod) - nowMs)
  const status = statusOf(set, pods, revisions, isAvailable)
  const isDeleted = set.object.metadata.deletionTimestamp !== undefined
  return {
    actions: isDeleted
      ? []
      : actionsOf(set, pods, condemned, { ...revisions, current: status.currentRevision }, isAvailable),
    status,
    condemned,
    requeueAfterMs: waits.length === 0 ? undefined : Math.max(1, Math.min(...waits)),
  }
}

function actionsOf(
  set: StatefulSet,
  pods: readonly SetPod[],
  condemned: readonly SetPod[],
  revisions: Revisions,
  isAvailable: (pod: SetPod) => boolean,
): readonly SetAction[] {
  const { replicas, ordinals, podManagementPolicy } = set.spec
  const isOrdered = podManagementPolicy === 'OrderedReady'
  const byOrdinal = new Map(pods.map((pod) => [pod.ordinal, pod]))
  const actions: SetAction[] = []
  for (let ordinal = ordinals.start; ordinal < ordinals.start + replicas; ordinal++) {
    const pod = byOrdinal.get(ordinal)
    if (pod === undefined) actions.push({ kind: 'create', ordinal, revision: revisionFor(set, revisions, ordinal) })
    else if (isOver(pod) && !pod.isTerminating) actions.push({ kind: 'delete', pod: pod.object })
    if (isOrdered && (pod === undefined || isOver(pod) || pod.isTerminating || !isAvailable(pod))) return actions
  }
  const firstUnhealthy = pods.toSorted((a, b) => a.ordinal - b.ordinal).find((pod) => pod.isTerminating || !pod.isReady)
  for (const pod of condemned) {
    if (isOrdered && (pod.isTerminating || (!isAvailable(pod) && pod !== firstUnhealthy))) return actions
    if (!pod.isTerminating) actions.push({ kind: 'delete', pod: pod.object })
    if (isOrdered) return actions
  }
  return [...actions, ...rollingUpdate(set, pods, revisions, isAvailable)]
}

/** One pod at a time, from the highest ordinal to the partition, the next when the last one is available again. */
function rollingUpdate(
  set: StatefulSet,
  pods: readonly SetPod[],
  revisions: Revisions,
  isAvailable: (pod: SetPod) => boolean,
): readonly SetAction[] {
  const { updateStrategy, ordinals, replicas } = set.spec
  if (updateStrategy.type === 'OnDelete') return []
  const last = ordinals.start + (updateStrategy.rollingUpdate?.partition ?? 0)
  const wanted = pods.filter(({ ordinal }) => ordinal >= last && ordinal < ordinals.start + replicas)
  for (const pod of wanted.toSorted((a, b) => b.ordinal - a.ordinal)) {
    if (pod.revision !== revisions.update && !pod.isTerminating) return [{ kind: 'delete', pod: pod.object }]
    if (!isAvailable(pod)) return []
  }
  return []
}

/** Below the partition of a rolling update a pod is made as it was. */
function revisionFor(set: StatefulSet, revisions: Revisions, ordinal: number): string {
  const { updateStrategy, ordinals } = set.spec
  const partition = updateStrategy.type === 'RollingUpdate' ? (updateStrategy.rollingUpdate?.partition ?? 0) : 0
  return ordinal < ordinals.start + partition ? revisions.current : revisions.update
}

function isOver({ phase }: SetPod): boolean {
  return phase === 'Failed' || phase === 'Succeeded'
}

function statusOf(
  set: StatefulSet,
  pods: readonly SetPod[],
  revisions: Revisions,
  isAvailable: (pod: SetPod) => boolean,
): SetStatus {
  const living = pods.filter((pod) => !pod.isTerminating)
  const ready = pods.filter((pod) => pod.isReady)
  const updated = living.filter((pod) => pod.revision === revisions.update)
  const { replicas, updateStrategy } = set.spec
  const isRolledOut =
    updateStrategy.type === 'RollingUpdate' &&
    [updated.length, ready.length, pods.length].every((count) => count === replicas)
  const current = isRolledOut ? revisions.update : revisions.current
  return {
    observedGeneration: set.object.metadata.generation ?? 0,
    replicas: pods.length,
    readyReplicas: ready.length,
    availableReplicas: pods.filter(isAvailable).length,
    currentReplicas: living.filter((pod) => pod.revision === current).length,
    updatedReplicas: updated.length,
    currentRevision: current,
    updateRevision: revisions.update,
  }
}
