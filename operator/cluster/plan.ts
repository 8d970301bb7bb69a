/** What a decision looks like: a value that act.ts carries out. */
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
  /** Of what is never changed afterwards, or by others: it must not be there. */
  | { readonly kind: 'create'; readonly object: ApplyObject }
  /** Of a StatefulSet: how many pods it has, and nothing of its template. */
  | { readonly kind: 'set-pods'; readonly ref: ObjectRef; readonly changes: Changes }
  | { readonly kind: 'write-admin-token' }
  | {
      readonly kind: 'make-authority'
      readonly secret: TlsSecret
      /** PEM of others that stay trusted beside it. */
      readonly trusted: readonly string[]
      /** Whether the one before it goes on signing until the new one is trusted. */
      readonly keepsPrevious: boolean
      /** Of the annotation that it answers. */
      readonly request: string | undefined
    }
  | {
      readonly kind: 'write-certificates'
      readonly secret: TlsSecret
      /** PEM, in their order. */
      readonly trusted: readonly string[]
      /** Keys of the Secret that stay as they are; all others go. No key of anybody is in a plan. */
      readonly keep: readonly string[]
      readonly make: readonly LeafRequest[]
      /** From where they come that the operator does not make. */
      readonly take: readonly LeafRequest[]
      readonly signer: 'newest' | 'previous' | undefined
    }
  | { readonly kind: 'set-finalizers'; readonly finalizers: readonly string[] }
  | { readonly kind: 'mint-cluster-id' }
  /** Of the cluster whose volumes are taken over. */
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
      /** Of all others that may have data. */
      readonly staleVolumes: readonly string[]
      /** Where the survivor's history stands: what was known of another one no longer counts. */
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
  /** CamelCase: the reason of the condition Progressing, and of Ready while it is not. */
  readonly reason: string
  readonly message: string
  readonly actions: readonly Action[]
  /** In flight after the actions; undefined when nothing is. */
  readonly operation: Operation | undefined
  readonly requeueAfterMs: number
  /** Nothing more is wanted, nothing stands in the way. */
  readonly isSettled: boolean
  /** It goes on only when somebody does something. */
  readonly isBlocked: boolean
  /**
   * It waits for Kubernetes alone, which may take for ever, or for what somebody asked for and cannot be done now: whatever
   * else there is to do goes first.
   */
  readonly yields?: boolean
  /** Subject of the call that it waits for; while that is refused, other rules go first. */
  readonly waitsFor?: string
}

/** A plan, and beside it the objects that are missing or were edited by hand. */
export interface Decision extends Plan {
  /** Each stands for itself: one that is refused holds up neither the others nor the plan. */
  readonly objects: readonly Action[]
  /** Beside the plan, too. Undefined where users and roles are left alone. */
  readonly userSteps: readonly UserStep[] | undefined
  /** All that would be done now if nothing were held back. */
  readonly wanted: readonly Action[]
}

/** An action builds on those before it: a mutation on its record, the end of a pod on that of its volume. Each volume goes by itself. */
export function chainsOf(actions: readonly Action[]): readonly (readonly Action[])[] {
  const starts = actions.flatMap(({ kind }, index) => (index === 0 || kind === 'delete-volume' ? [index] : []))
  return starts.map((start, place) => actions.slice(start, starts[place + 1]))
}

/** While something is in flight: a local call answers within milliseconds, and growing by one takes a few of them. */
export const IN_FLIGHT_MS = 200
/** Where only time helps: a pod that starts, a learner that catches up. */
export const WAITING_MS = 500
/** Members change without a word to Kubernetes. */
export const SETTLED_MS = 5_000
/** Where somebody has to do something first. */
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
