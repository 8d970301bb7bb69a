/** Everything a decision looks at, as it was read at one moment. Pure types, and what follows from them alone. */
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
  /** Objects with the names of ours, whoever owns them; undefined where there is none. */
  readonly objects: ObservedObjects
  /** By ordinal. */
  readonly pods: ReadonlyMap<number, ObservedPod>
  /** By ordinal, also those that no pod uses. */
  readonly volumes: ReadonlyMap<number, ObservedVolume>
  /** Pods in our place that belong to somebody else. */
  readonly foreignPods: readonly string[]
  /** What the StatefulSet's controller said last, while a pod of it is not there; undefined when it said nothing. */
  readonly creationRefusal: string | undefined
  /** Why no pod could be made from the pod template in force; asked only before a voter is renewed that nobody stands in for. */
  readonly templateRefusal: string | undefined
  /** Volumes under our names with data of another cluster, by ordinal. */
  readonly foreignVolumes: ReadonlyMap<number, string>
  /** What the cluster itself says; undefined while no member of it answers. */
  readonly membership: Membership | undefined
  /** What is there for bootstrap.adopt; undefined where nothing is to be adopted, or no more. */
  readonly claims: readonly ObservedClaim[] | undefined
  /** Undefined where nobody leads, or nothing is declared; see also `usersProblem`. */
  readonly users: ObservedUsers | undefined
  /** Why users and roles could not be looked at. */
  readonly usersProblem: UsersProblem | undefined
  /** Undefined where nothing is to be restored, or no more. */
  readonly restore: ObservedRestore | undefined
  /** What the API server did not tell. What stands for it in here is empty, and says nothing. */
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
  /** Of the cluster that it makes; undefined where it does not say. */
  readonly clusterID: string | undefined
  readonly end: JobEnd | undefined
  readonly words: string | undefined
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
  /** Those of the sides that have TLS, as far as they are there. */
  readonly tls: ReadonlyMap<TlsSecret, KubeObject>
  /** Secrets that others fill with certificates for the cluster, by name. */
  readonly sources: ReadonlyMap<string, KubeObject>
  /** Certificates of cert-manager, by name; undefined where the API server knows no such kind. */
  readonly certificates: ReadonlyMap<string, KubeObject> | undefined
  readonly statefulSet: ObservedStatefulSet | undefined
}

export interface ObservedStatefulSet {
  readonly object: KubeObject
  readonly uid: string
  /** The first ordinal beyond its pods. */
  readonly endOrdinal: number
  /** As many as it is to have. */
  readonly podCount: number
  readonly claimTemplate: ClaimTemplate | undefined
  /** Revision that a pod made now would have. */
  readonly updateRevision: string | undefined
  /** Of its pod template. */
  readonly image: string | undefined
  readonly form: number
  readonly templateHash: string | undefined
  /** When somebody last asked for a restart by `kubectl rollout restart`: it stands in the pod template. */
  readonly restartedAt: string | undefined
  /** Its controller has seen the pod template: pods made from now on have it. */
  readonly isObserved: boolean
}

/** Asked to go, and still there long after it had the time to. */
export interface Stuck {
  readonly sinceMs: number
  /** Who keeps it; empty where only its machine, or its controller, can. */
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
  /** The member's process runs; it may be starting, or ill. */
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
  /** What is impossible in the member's answer, which is then not believed in anything. */
  readonly contradiction: string | undefined
}

export interface PodTrouble {
  /** `volume`: it has a node, and nothing starts there. `container`: the kubelet cannot make it. `failed`: evicted and the like. */
  readonly kind: 'unschedulable' | 'volume' | 'image' | 'container' | 'crash' | 'memory' | 'failed' | 'not-ready'
  /** NaN or 0 where that is not said. */
  readonly sinceMs: number
  /** In the words of whoever says so. */
  readonly message: string
}

export interface ObservedVolume {
  readonly ordinal: number
  readonly name: string
  readonly uid: string
  readonly isTerminating: boolean
  readonly stuck: Stuck | undefined
  /** It goes with the RaftCluster. */
  readonly isOwned: boolean
  /** It says whose it is, and that it has data of this cluster. */
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

/** Under a name of ours, whoever it was made for. */
export interface ObservedClaim {
  readonly ordinal: number
  readonly name: string
  /** Undefined where it does not say. */
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

/** Pods were read, and whose they are: without that, nothing is known about members. */
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

/** Whether volumes are taken over is still open: a pod that started before would have an empty one made in their place. */
export function awaitsAdoption({ cluster }: Pick<Observed, 'cluster'>): boolean {
  return cluster.spec.bootstrap?.adopt !== undefined && cluster.recorded.clusterID === ''
}

/** Ordinals that are members as far as is known. Without a leader's word, whoever may be one counts. */
export function memberOrdinals({ cluster, membership }: Observed): ReadonlySet<number> {
  const certain = membership?.members ?? []
  const possible = membership?.leader === undefined ? possibleMembers(cluster) : []
  return new Set([...certain, ...possible].flatMap(({ ordinal }) => (ordinal === undefined ? [] : [ordinal])))
}

/** Also whom an operation is about, until its removal is confirmed: that it was added may have been learned by nobody. */
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

/** Members that say they belong to another cluster, and not to the one that a restore has replaced. */
export function podsWithForeignData(observed: Observed): readonly ObservedPod[] {
  const ours = observed.cluster.recorded.clusterID
  const former = formerOrdinals(observed)
  return [...observed.pods.values()].filter(
    ({ status, ordinal }) =>
      status !== undefined && status.clusterId !== '' && status.clusterId !== ours && !former.has(ordinal),
  )
}
