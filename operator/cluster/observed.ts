/** Everything that a decision uses, as it was read at one moment: types, and pure functions of them. */
import type { AdminAlarm, AdminMember, AdminPeer, AdminStatus } from '../../lib/admin-api.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'
import type { Result } from '../../lib/result.ts'
import type { Restore, RestoreSource } from '../api/bootstrap.ts'
import type { ClaimTemplate, Form } from './form.ts'
import type { KubeError, KubeObject, Permission, PodSelection } from './ports.ts'
import type { TlsSecret } from './resources/names.ts'
import type { JobEnd } from './tool-end.ts'

export interface Observed {
  readonly nowMs: number
  readonly cluster: RaftCluster
  readonly defaultImage: string
  readonly operatorPods: PodSelection | undefined
  readonly forms: readonly Form[]
  /** Objects under the names that the operator uses, whoever owns them; undefined where there is none. */
  readonly objects: ObservedObjects
  /** By ordinal. */
  readonly pods: ReadonlyMap<number, ObservedPod>
  /** By ordinal, also those that no pod uses. */
  readonly volumes: ReadonlyMap<number, ObservedVolume>
  /** Pods under members' names that belong to something else. */
  readonly foreignPods: readonly string[]
  /** Last event of the StatefulSet's controller about a pod that it could not create; undefined if there is none. */
  readonly creationRefusal: string | undefined
  /** Why no pod could be created from the current template; checked only before the replacement of a voter that the quorum needs. */
  readonly templateRefusal: string | undefined
  /** Volumes under members' names with data of another cluster, by ordinal. */
  readonly foreignVolumes: ReadonlyMap<number, string>
  /** As the cluster's members report it; undefined while none answers. */
  readonly membership: Membership | undefined
  /** Claims for bootstrap.adopt; undefined if nothing is to be adopted, or adoption is done. */
  readonly claims: readonly ObservedClaim[] | undefined
  /** Undefined without a leader, or if nothing is declared; see also `usersProblem`. */
  readonly users: ObservedUsers | undefined
  /** Why users and roles could not be read. */
  readonly usersProblem: UsersProblem | undefined
  /** Undefined if nothing is to be restored, or the restore is done. */
  readonly restore: ObservedRestore | undefined
  /** What could not be read. The fields for it are empty, and mean nothing. */
  readonly unread: readonly Unread[]
}

export interface UsersProblem {
  readonly reason: 'LoginFailed' | 'MemberRefused' | 'MemberUnreachable' | 'NotRecorded'
  readonly message: string
}

export interface ObservedRestore {
  /** The error says why there is none. */
  readonly source: Result<RestoreSource, string>
  /** The Job that fills the first volume; undefined where there is none. */
  readonly job: ObservedRestoreJob | undefined
  /** Pods of such Jobs that have not ended, also of one that is gone. */
  readonly runningPods: readonly string[]
}

export interface ObservedRestoreJob {
  readonly uid: string
  readonly isForeign: boolean
  readonly isTerminating: boolean
  /** ID of the cluster that it makes; undefined without the annotation. */
  readonly clusterID: string | undefined
  readonly end: JobEnd | undefined
  readonly message: string | undefined
}

export interface Unread {
  readonly kind: string
  /** Empty where all of a kind were listed. */
  readonly name: string
  readonly error: KubeError
}

export interface ObservedObjects {
  readonly serviceAccount: KubeObject | undefined
  readonly headlessService: KubeObject | undefined
  readonly clientService: KubeObject | undefined
  readonly disruptionBudget: KubeObject | undefined
  readonly networkPolicy: KubeObject | undefined
  readonly adminToken: KubeObject | undefined
  /** Of the sides that have TLS; without those that do not exist. */
  readonly tls: ReadonlyMap<TlsSecret, KubeObject>
  /** Secrets that others fill with certificates for the cluster, by name. */
  readonly sources: ReadonlyMap<string, KubeObject>
  /** Certificates of cert-manager, by name; undefined if the API server does not serve that kind. */
  readonly certificates: ReadonlyMap<string, KubeObject> | undefined
  readonly statefulSet: ObservedStatefulSet | undefined
}

export interface ObservedStatefulSet {
  readonly object: KubeObject
  readonly uid: string
  /** The first ordinal beyond its pods. */
  readonly endOrdinal: number
  /** `spec.replicas` of the StatefulSet. */
  readonly podCount: number
  readonly claimTemplate: ClaimTemplate | undefined
  /** Revision that a new pod would have. */
  readonly updateRevision: string | undefined
  /** Of its pod template. */
  readonly image: string | undefined
  readonly form: number
  readonly templateHash: string | undefined
  /** Time of the last `kubectl rollout restart`, which is in the pod template. */
  readonly restartedAt: string | undefined
  /** The StatefulSet controller has seen the current template: new pods have it. */
  readonly isObserved: boolean
}

/** Being deleted for longer than that should take. */
export interface Stuck {
  readonly sinceMs: number
  /** Finalizers that hold it; empty if only its node or its controller can. */
  readonly finalizers: readonly string[]
}

export interface ObservedPod {
  readonly ordinal: number
  readonly name: string
  readonly uid: string
  readonly isTerminating: boolean
  readonly stuck: Stuck | undefined
  readonly isReady: boolean
  /** Undefined while it is not ready. */
  readonly readySinceMs: number | undefined
  /** The member's process runs; it may still be starting, or be unhealthy. */
  readonly isRunning: boolean
  readonly templateHash: string | undefined
  /** As in the pod template that it was made from. */
  readonly restartedAt: string | undefined
  /** Why it does not run or serve, as far as Kubernetes says. */
  readonly trouble: PodTrouble | undefined
  readonly adminUrl: string | undefined
  readonly clientUrl: string | undefined
  /** Undefined when its member did not answer. */
  readonly status: AdminStatus | undefined
  /** What is impossible in the member's status; nothing in that status is then used. */
  readonly contradiction: string | undefined
}

export interface PodTrouble {
  /** `volume`: the pod has a node and does not start. `container`: the kubelet cannot create it. `failed`: evicted and the like. */
  readonly kind: 'unschedulable' | 'volume' | 'image' | 'container' | 'crash' | 'memory' | 'failed' | 'not-ready'
  /** NaN or 0 if unknown. */
  readonly sinceMs: number
  /** As the scheduler, the kubelet or the member puts it. */
  readonly message: string
}

export interface ObservedVolume {
  readonly ordinal: number
  readonly name: string
  readonly uid: string
  readonly isTerminating: boolean
  readonly stuck: Stuck | undefined
  /** It is deleted with the RaftCluster. */
  readonly isOwned: boolean
  /** It has the marks of this cluster. */
  readonly isMarked: boolean
  /** Of the cluster whose data it says it has; undefined where it does not say. */
  readonly clusterID: string | undefined
  readonly requestedSize: string | undefined
  readonly capacity: string | undefined
  /** Kubernetes' phase: Pending, Bound or Lost; empty when it says none. */
  readonly phase: string
  /** What the provisioner said last, while it is not bound. */
  readonly refusal: string | undefined
}

/** A claim under a member's name, whatever it was made for. */
export interface ObservedClaim {
  readonly ordinal: number
  readonly name: string
  /** Undefined without the annotation. */
  readonly clusterID: string | undefined
  readonly isTerminating: boolean
  /** Pods that use it, by their names. */
  readonly users: readonly string[]
}

export interface ObservedMember extends AdminMember {
  /** Undefined for a member that is not one of our pods: added by hand. */
  readonly ordinal: number | undefined
}

/** Users and roles, where any are declared or were. */
export interface ObservedUsers {
  readonly isEnabled: boolean
  /** etcd's auth revision: another one after each change. */
  readonly revision: number
  /** By user: version of the Secret that has the password; empty where it has none. */
  readonly secrets: ReadonlyMap<string, string>
  /** Those that are declared or were, root among them. Undefined where all is as declared, and nothing has changed. */
  readonly state:
    | {
        readonly users: ReadonlyMap<string, readonly string[]>
        readonly roles: ReadonlyMap<string, readonly Permission[]>
      }
    | undefined
}

/** The configuration in force, by the word of one member: the leader's wherever it answers. */
export interface Membership {
  readonly configIndex: number
  readonly term: number
  readonly commitIndex: number
  readonly voters: readonly string[]
  readonly learners: readonly string[]
  readonly members: readonly ObservedMember[]
  /** Undefined when no leader answers: then this may be old, and nothing is decided on it. */
  readonly leader: { readonly memberId: string; readonly adminUrl: string } | undefined
  readonly isChangePending: boolean
  readonly alarms: readonly AdminAlarm[]
  /** Members that the leader hears from, itself among them. */
  readonly activeIds: ReadonlySet<string>
  readonly peers: ReadonlyMap<string, Pick<AdminPeer, 'matchIndex' | 'lag' | 'state' | 'snapshot'>>
}

/** Pods and the StatefulSet could be read: without them nothing is known about members. */
export function seesMembers({ unread }: Observed): boolean {
  return !unread.some(({ kind }) => kind === 'Pod' || kind === 'StatefulSet')
}

/** The cluster exists: it was formed, now or at any earlier time. */
export function isFormed({ cluster, membership }: Observed): boolean {
  const { configIndex, members, operation } = cluster.recorded
  const isPastForming = operation !== undefined && operation.type !== 'Form'
  return membership !== undefined || configIndex > 0 || members.length > 0 || isPastForming
}

/** The first volume is still to be filled from a backup: no pod may start before. */
export function awaitsRestore(observed: Observed): boolean {
  const { spec, recorded } = observed.cluster
  return spec.bootstrap?.restore !== undefined && !isFormed(observed) && recorded.operation?.step !== 'Bootstrap'
}

export interface RestoreRequest {
  readonly id: string
  readonly restore: Restore
}

/** A restore in place that somebody asks for, and that is neither carried out nor refused yet. */
export function restoreRequest({ spec, recorded }: RaftCluster): RestoreRequest | undefined {
  const { id = '', restore } = spec.recovery.request ?? {}
  return restore === undefined || id === recorded.handledRequests.recovery ? undefined : { id, restore }
}

/** A restore in place has begun. The cluster that is to be replaced is still the one of this RaftCluster. */
export function isFilling({ recorded }: RaftCluster): boolean {
  return recorded.operation?.type === 'Recover' && recorded.operation.step === 'Restore'
}

/** Adoption is not decided yet: a pod that started now could get an empty volume in place of an adopted one. */
export function awaitsAdoption({ cluster }: Pick<Observed, 'cluster'>): boolean {
  return cluster.spec.bootstrap?.adopt !== undefined && cluster.recorded.clusterID === ''
}

/** Ordinals of members. Without a leader's status, every possible member counts. */
export function memberOrdinals({ cluster, membership }: Observed): ReadonlySet<number> {
  const certain = membership?.members ?? []
  const possible = membership?.leader === undefined ? possibleMembers(cluster) : []
  return new Set([...certain, ...possible].flatMap(({ ordinal }) => (ordinal === undefined ? [] : [ordinal])))
}

/** Includes the member of the operation in flight until its removal is confirmed: its addition may not be known to anybody yet. */
function possibleMembers({ recorded }: RaftCluster): readonly { readonly ordinal?: number | undefined }[] {
  const { members, operation } = recorded
  if (operation === undefined || ['RemovePod', 'DeleteVolume', 'Restore'].includes(operation.step)) return members
  return [...members, operation]
}

/**
 * Ordinals whose volumes have the history that a recovery gave up. With a survivor that is known once it leads: until then the recovery
 * may be refused, and they may still be members.
 */
export function formerOrdinals({ cluster, membership, volumes }: Observed): ReadonlySet<number> {
  const { staleVolumes, operation } = cluster.recorded
  if (membership?.leader === undefined && operation?.step === 'Recover') return new Set()
  const isMember = (ordinal: number): boolean =>
    membership?.leader !== undefined && membership.members.some((member) => member.ordinal === ordinal)
  const stale = [...volumes.values()].filter(({ uid, ordinal }) => staleVolumes.includes(uid) && !isMember(ordinal))
  return new Set(stale.map(({ ordinal }) => ordinal))
}

/** Pods whose members report the ID of another cluster, and not of the one that a restore has replaced. */
export function podsWithForeignData(observed: Observed): readonly ObservedPod[] {
  const ours = observed.cluster.recorded.clusterID
  const former = formerOrdinals(observed)
  return [...observed.pods.values()].filter(
    ({ status, ordinal }) =>
      status !== undefined && status.clusterId !== '' && status.clusterId !== ours && !former.has(ordinal),
  )
}
