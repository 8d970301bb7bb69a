/**
 * What the reconcile code needs from outside, as interfaces: the API server, the members' admin API, events, randomness
 * and time. operator/kube and operator/admin-client.ts implement them, tests fake them.
 */
import type {
  AdminChange,
  AdminError,
  AdminStatus,
  AdminUpkeep,
  BootstrapRequest,
  JoinRequest,
  LeaderTransferRequest,
  LeaderTransferResult,
  MembershipRequest,
  RecoverRequest,
  TlsScheme,
  UpkeepRequest,
} from '../../lib/admin-api.ts'
import type { Result } from '../../lib/result.ts'
import type { Form } from './form.ts'

export interface ObjectRef {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
  readonly finalizers?: readonly string[]
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
}

/** An object as the API server sends it: plain JSON, never changed in place. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

/** What is sent to the API server: only fields that we want to own. Namespaced kinds only. */
export interface ApplyObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta & { readonly namespace: string }
  readonly [field: string]: unknown
}

export interface ListQuery {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

/** Reads are live, not from a watch cache: decisions about volumes and members must not be made on old news. */
export interface KubeReader {
  /** Undefined when there is none. Other problems throw {@link KubeError}. */
  get(ref: ObjectRef): Promise<KubeObject | undefined>
  list(query: ListQuery): Promise<readonly KubeObject[]>
  /** Whether it could be created, by all that admits it; throws what the creation would, and creates nothing (a dry run). */
  tryCreate(object: ApplyObject): Promise<void>
}

/** Every method throws {@link KubeError} when the API server refuses or cannot be reached. */
export interface KubeWriter {
  /** Server-side apply, field manager `raftcluster-operator`, forced. */
  apply(object: ApplyObject): Promise<KubeObject>
  /** Server-side apply of the status subresource, forced, under a field manager of its own. */
  applyStatus(object: ApplyObject): Promise<KubeObject>
  /** Problem `conflict` when an object of that name exists. */
  create(object: ApplyObject): Promise<KubeObject>
  /** Success when it is not there; problem `conflict` when the one there has another UID. */
  delete(ref: ObjectRef, preconditions: { readonly uid: string }): Promise<void>
  /** Merges what is named into the object; problem `conflict` when it has another UID or version than is named. */
  patch(ref: ObjectRef, changes: Changes): Promise<KubeObject>
}

export interface Changes {
  readonly metadata: Omit<Partial<ObjectMeta>, 'name' | 'namespace'>
  readonly spec?: Readonly<Record<string, unknown>>
}

export type KubeProblem =
  | { readonly kind: 'not-found'; readonly message: string }
  | { readonly kind: 'conflict'; readonly message: string }
  | { readonly kind: 'forbidden'; readonly message: string }
  /** The namespace is being deleted: nothing is made in it any more, and all that is in it goes. */
  | { readonly kind: 'terminating'; readonly message: string }
  /** Refused by schema, CEL or admission: a repeat of the same will not help. */
  | { readonly kind: 'invalid'; readonly message: string }
  /** Not reached, overloaded, or no answer: the outcome of a mutation is unknown. */
  | { readonly kind: 'unavailable'; readonly message: string }

export class KubeError extends Error {
  override readonly name = 'KubeError'
  readonly problem: KubeProblem

  constructor(problem: KubeProblem, options?: ErrorOptions) {
    super(`${problem.kind}: ${problem.message}`, options)
    this.problem = problem
  }
}

export type EventType = 'Normal' | 'Warning'

/** Best effort: an event that cannot be sent is dropped. Never throws, never waits. */
export interface EventSink {
  emit(about: KubeObject, type: EventType, reason: string, action: string, message: string): void
}

export type AdminFailure =
  /** The member answered with an error. */
  | { readonly kind: 'refused'; readonly error: AdminError }
  /** No answer of this API: the outcome of a mutation is unknown. */
  | { readonly kind: 'unreachable'; readonly message: string }

/** `url` is a member's base URL, e.g. `http://10.0.0.7:8080`. Calls are bounded in time by the implementation too. */
export interface AdminClient {
  status(url: string, signal?: AbortSignal): Promise<Result<AdminStatus, AdminFailure>>
  bootstrap(url: string, token: string, request: BootstrapRequest, signal?: AbortSignal): Promise<AdminResult>
  join(url: string, token: string, request: JoinRequest, signal?: AbortSignal): Promise<AdminResult>
  membership(url: string, token: string, request: MembershipRequest, signal?: AbortSignal): Promise<AdminResult>
  transferLeader(
    url: string,
    token: string,
    request: LeaderTransferRequest,
    signal?: AbortSignal,
  ): Promise<Result<LeaderTransferResult, AdminFailure>>
  /** Makes the asked member a cluster of itself alone: for a quorum that is lost for good. */
  recover(url: string, token: string, request: RecoverRequest, signal?: AbortSignal): Promise<AdminResult>
  /** Of the asked member's store, or of what all have. */
  keepUp(
    url: string,
    token: string,
    request: UpkeepRequest,
    signal?: AbortSignal,
  ): Promise<Result<AdminUpkeep, AdminFailure>>
  /** The same, with what members of one cluster are to be shown over TLS, and to be known by. */
  secured(identity: AdminIdentity): AdminClient
}

/** PEM. */
export interface AdminIdentity {
  readonly trusted: string
  readonly certificate: string
  readonly key: string
  /** A name that every member's certificate is valid for. */
  readonly serverName: string
}

/** Of a role on keys; an empty end is one key, a zero byte is none. */
export interface Permission {
  readonly key: Buffer
  readonly rangeEnd: Buffer
  readonly access: 'Read' | 'Write' | 'ReadWrite'
}

/** One change of users and roles. Passwords are not in it: they stand in Secrets until they are sent. */
export type UserStep =
  | { readonly kind: 'role-add' | 'role-delete'; readonly role: string }
  | {
      readonly kind: 'grant-permission' | 'revoke-permission'
      readonly role: string
      readonly permission: Permission
    }
  | { readonly kind: 'user-add'; readonly user: string; readonly certificateOnly: boolean }
  | { readonly kind: 'user-delete' | 'change-password'; readonly user: string }
  | { readonly kind: 'grant-role' | 'revoke-role'; readonly user: string; readonly role: string }
  | { readonly kind: 'enable' | 'disable' }

export type UsersFailure =
  /** In etcd's words. */
  { readonly kind: 'refused' | 'unreachable'; readonly message: string }

type UsersResult<Value> = Promise<Result<Value, UsersFailure>>

/** etcd's Auth service at a member's client URL. Calls are bounded in time by the implementation. `token`: empty while authentication is off. */
export interface UsersClient {
  /** Anybody may ask. */
  status(url: string): UsersResult<{ readonly isEnabled: boolean; readonly revision: number }>
  /** The token; refused while authentication is off. */
  login(url: string, user: string, password: string): UsersResult<string>
  /** Roles of the users of these names, of those that there are. */
  users(url: string, token: string, names: readonly string[]): UsersResult<ReadonlyMap<string, readonly string[]>>
  /** Permissions of the roles of these names, of those that there are. */
  roles(url: string, token: string, names: readonly string[]): UsersResult<ReadonlyMap<string, readonly Permission[]>>
  change(url: string, token: string, step: UserStep, password: string): UsersResult<undefined>
  /** As of {@link AdminClient}. */
  secured(identity: AdminIdentity): UsersClient
}

export type AdminResult = Result<AdminChange, AdminFailure>

/** Where a member of a pod answers. */
export interface AdminTarget {
  readonly podName: string
  readonly podIP: string
  /** DNS name below the headless Service. */
  readonly hostName: string
  readonly scheme: TlsScheme
}

/** Pods of one namespace, by their labels. */
export interface PodSelection {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

export interface ReconcileKey {
  readonly namespace: string
  readonly name: string
}

export interface ReconcileDeps {
  readonly reader: KubeReader
  readonly writer: KubeWriter
  readonly events: EventSink
  readonly admin: AdminClient
  /** The admin API's base URL of a pod, without a slash at the end. */
  readonly adminUrl: (target: AdminTarget) => string
  /** etcd's Auth, of whichever members. */
  readonly users: UsersClient
  /** Where clients reach a pod's member. */
  readonly clientUrl: (target: AdminTarget) => string
  /** Wall clock: it is compared with times written in status. */
  readonly nowMs: () => number
  /** Cryptographically random bytes. */
  readonly randomBytes: (count: number) => Uint8Array
  /** Members' image where spec.image names none. */
  readonly defaultImage: string
  /** The operator's own; undefined where it is not known which they are, or it runs outside of Kubernetes. */
  readonly operatorPods: PodSelection | undefined
  /** Forms of members that this build of the operator knows; at least one. */
  readonly forms: readonly Form[]
  /** Ends the I/O of this reconcile. */
  readonly signal: AbortSignal
}

export type ReconcileResult =
  /** `isIdle`: nothing is under way, so that the next look may come later when there are many clusters. */
  | { readonly kind: 'done'; readonly requeueAfterMs?: number; readonly isIdle?: boolean }
  /** Failed. Without `requeueAfterMs` the delay grows with each failure in a row. */
  | { readonly kind: 'retry'; readonly error: unknown; readonly requeueAfterMs?: number }
