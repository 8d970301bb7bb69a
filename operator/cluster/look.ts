/** What a reconcile has found, for the operator's page: the status as it is now, written or not, and what it leaves out. Pure. */
import type { RaftClusterStatus } from '../api/status.ts'
import type { Observed, ObservedPod } from './observed.ts'
import type { Plan } from './plan.ts'
import type { KubeObject } from './ports.ts'

export interface Look {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly atMs: number
  /** Undefined where the spec cannot be understood. */
  readonly replicas: number | undefined
  readonly isBeingDeleted: boolean
  readonly status: RaftClusterStatus
  /** Why the cluster is not settled yet; empty where it is. */
  readonly waitsFor: string
  /** By the member's name; without those that did not answer and have no volume. */
  readonly members: ReadonlyMap<string, MemberLook>
}

export interface MemberLook {
  /** As the member reports it; undefined if it did not answer. */
  readonly term: number | undefined
  readonly commitIndex: number | undefined
  /** Of its volume, as Kubernetes writes it. */
  readonly capacity: string | undefined
  /** Why its pod does not run or serve; empty where nothing says so. */
  readonly trouble: string
}

export function lookOf(observed: Observed, plan: Plan, status: RaftClusterStatus): Look {
  const { cluster, nowMs } = observed
  const { namespace, name, uid, spec, isBeingDeleted } = cluster
  return {
    namespace,
    name,
    uid,
    atMs: nowMs,
    replicas: spec.replicas,
    isBeingDeleted,
    status,
    waitsFor: plan.isSettled ? '' : plan.message,
    members: new Map(status.members.map(({ name, ordinal }) => [name, memberLook(observed, ordinal)])),
  }
}

function memberLook({ pods, volumes }: Observed, ordinal: number | undefined): MemberLook {
  const pod: ObservedPod | undefined = ordinal === undefined ? undefined : pods.get(ordinal)
  const volume = ordinal === undefined ? undefined : volumes.get(ordinal)
  return {
    term: pod?.status?.term,
    commitIndex: pod?.status?.commitIndex,
    capacity: volume?.capacity,
    trouble: pod?.trouble?.message ?? '',
  }
}

/** Where nothing could be observed: what was known, and what is wrong. */
export function lookWithoutMembers({ metadata }: KubeObject, status: RaftClusterStatus, nowMs: number): Look {
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    atMs: nowMs,
    replicas: undefined,
    isBeingDeleted: metadata.deletionTimestamp !== undefined,
    status,
    waitsFor: '',
    members: new Map(),
  }
}
