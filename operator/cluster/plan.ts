/** The result of a decision: a value, which act.ts carries out. */
import type {
  BootstrapRequest,
  JoinRequest,
  LeaderTransferRequest,
  MembershipRequest,
  RecoverRequest,
  UpkeepRequest,
} from '../../lib/admin-api.ts'
import type { Operation, RaftClusterStatus } from '../api/status.ts'
import type { ApplyObject, Changes, ObjectRef, UserStep } from './ports.ts'
import type { TlsSecret } from './resources/names.ts'
import type { LeafRequest } from './tls/leaves.ts'

export type Action =
  | { readonly kind: 'apply'; readonly object: ApplyObject }
  /** For an object that nobody changes later; refused if it exists. */
  | { readonly kind: 'create'; readonly object: ApplyObject }
  /** Changes the number of pods of a StatefulSet and leaves its template alone. */
  | { readonly kind: 'set-pods'; readonly ref: ObjectRef; readonly changes: Changes }
  | { readonly kind: 'write-admin-token' }
  | {
      readonly kind: 'make-authority'
      readonly secret: TlsSecret
      /** CAs, as PEM, that stay trusted beside it. */
      readonly trusted: readonly string[]
      /** Whether the previous CA goes on signing until the new one is trusted. */
      readonly keepsPrevious: boolean
      /** Value of the annotation that asked for it. */
      readonly request: string | undefined
    }
  | {
      readonly kind: 'write-certificates'
      readonly secret: TlsSecret
      /** CAs, as PEM, in this order. */
      readonly trusted: readonly string[]
      /** Entries of the Secret that stay as they are; all others are removed. A plan never has private keys in it. */
      readonly keep: readonly string[]
      readonly make: readonly LeafRequest[]
      /** Certificates that come from a Secret or cert-manager, and are copied from there. */
      readonly take: readonly LeafRequest[]
      readonly signer: 'newest' | 'previous' | undefined
    }
  | { readonly kind: 'set-finalizers'; readonly finalizers: readonly string[] }
  | { readonly kind: 'mint-cluster-id' }
  /** The ID of the cluster whose volumes are adopted. */
  | { readonly kind: 'adopt-cluster-id'; readonly clusterID: string }
  /** Written to status before the mutation that it announces. */
  | { readonly kind: 'record-operation'; readonly operation: Operation }
  | { readonly kind: 'bootstrap'; readonly url: string; readonly request: BootstrapRequest }
  | { readonly kind: 'join'; readonly url: string; readonly request: JoinRequest }
  | { readonly kind: 'change-membership'; readonly url: string; readonly request: MembershipRequest }
  | { readonly kind: 'transfer-leader'; readonly url: string; readonly request: LeaderTransferRequest }
  | {
      readonly kind: 'recover'
      readonly url: string
      readonly request: RecoverRequest
      /** UIDs of the volumes of all other members that may have data. */
      readonly staleVolumes: readonly string[]
      /** Where the survivor's history stands; it replaces what status has of the old history. */
      readonly history: Pick<RaftClusterStatus, 'term' | 'configIndex' | 'commitIndex'>
    }
  | {
      /** The cluster that a volume was restored to becomes the one of this RaftCluster. */
      readonly kind: 'switch-cluster'
      readonly clusterID: string
      /** In flight from then on. */
      readonly operation: Operation
      /** Of the cluster before it. */
      readonly staleVolumes: readonly string[]
    }
  | { readonly kind: 'keep-up'; readonly url: string; readonly request: UpkeepRequest }
  | { readonly kind: 'delete-object'; readonly ref: ObjectRef; readonly uid: string }
  | { readonly kind: 'delete-volume'; readonly ref: ObjectRef; readonly uid: string; readonly ordinal: number }

export interface Plan {
  /** CamelCase: the reason of the condition Progressing, and of Ready while that is False. */
  readonly reason: string
  readonly message: string
  readonly actions: readonly Action[]
  /** The operation in flight after the actions; undefined if there is none. */
  readonly operation: Operation | undefined
  readonly requeueAfterMs: number
  /** Nothing is left to do. */
  readonly isSettled: boolean
  /** It continues only after somebody does something. */
  readonly isBlocked: boolean
  /**
   * It waits only for Kubernetes, which may take forever, or for a request that cannot be carried out now: other rules
   * with work go first.
   */
  readonly yields?: boolean
  /** Subject of the call that it waits for; while the API server refuses that call, other rules go first. */
  readonly waitsFor?: string
}

/** A plan, and beside it the objects that are missing or were edited by hand. */
export interface Decision extends Plan {
  /** Independent of one another: one that is refused delays neither the others nor the plan. */
  readonly objects: readonly Action[]
  /** Also independent of the plan. Undefined where users and roles are left alone. */
  readonly userSteps: readonly UserStep[] | undefined
  /** Everything that would be done now if nothing were held back after a refusal. */
  readonly wanted: readonly Action[]
}

/** Actions that depend on one another, in order: a change on its record in status, a pod's deletion on that of its volume. Each deletion of a volume starts a chain. */
export function chainsOf(actions: readonly Action[]): readonly (readonly Action[])[] {
  const starts = actions.flatMap(({ kind }, index) => (index === 0 || kind === 'delete-volume' ? [index] : []))
  return starts.map((start, place) => actions.slice(start, starts[place + 1]))
}

/** While an operation is in flight: a local call answers within milliseconds, and adding a member takes a few calls. */
export const IN_FLIGHT_MS = 200
/** Where only time helps: a pod that starts, a learner that catches up. */
export const WAITING_MS = 500
/** Nothing to do; members can change without an event from Kubernetes. */
export const SETTLED_MS = 5_000
/** Blocked until somebody does something. */
export const BLOCKED_MS = 3_000

export function inFlight(reason: string, message: string, operation: Operation, actions: readonly Action[]): Plan {
  const requeueAfterMs = IN_FLIGHT_MS
  return { reason, message, actions, operation, requeueAfterMs, isSettled: false, isBlocked: false }
}

export function waiting(reason: string, message: string, operation?: Operation): Plan {
  return {
    reason,
    message,
    actions: [],
    operation,
    requeueAfterMs: WAITING_MS,
    isSettled: false,
    isBlocked: false,
  }
}

export function blocked(reason: string, message: string, operation?: Operation): Plan {
  return { ...waiting(reason, message, operation), requeueAfterMs: BLOCKED_MS, isBlocked: true }
}
