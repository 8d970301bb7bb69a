/** `status` of a RaftCluster, as written and as read back. */
import { z } from 'zod'
import { BACKUP_READY } from './conditions.ts'
import { RecordedDefaults } from './defaults.ts'
import { MaintenanceStatus, VolumeGrowth } from './maintenance.ts'
import { TLS_MODES } from './tls.ts'

const role = z.enum(['waiting', 'follower', 'pre-candidate', 'candidate', 'leader', 'learner', 'removed', 'unknown'])

const Member = z.object({
  name: z.string(),
  /** Absent when the member is not one of this cluster's pods. */
  ordinal: z.number().int().optional(),
  /** Lower-case hex. */
  id: z.string(),
  /** `unknown` when its pod does not answer. */
  role,
  ready: z.boolean(),
  version: z.string().optional(),
  raftIndex: z.number().int().optional(),
  /** End of its log. Of two logs the one with the later last term is ahead; with equal terms, the longer one. */
  lastTerm: z.number().int().optional(),
  lastIndex: z.number().int().optional(),
  /** Entries behind the leader. */
  lag: z.number().int().optional(),
  dbSizeBytes: z.number().int().optional(),
  pvcUID: z.string().optional(),
  /** Alarms in force for this member. */
  alarms: z.array(z.string()).default([]),
  /** Since when the leader does not hear from it; absent while it does. */
  unhealthySince: z.string().optional(),
  lastTransitionTime: z.string().optional(),
})

const Operation = z.object({
  id: z.string(),
  type: z.enum([
    'Form',
    'ScaleUp',
    'ScaleDown',
    'ReplaceMember',
    'Rollout',
    'MoveLeader',
    'Recover',
    'Defragment',
    'ReclaimSpace',
  ]),
  step: z.enum([
    'Restore',
    'Bootstrap',
    'AddLearner',
    'Join',
    'CatchUp',
    'Promote',
    'TransferLeader',
    'RemoveMember',
    'RemovePod',
    'DeleteVolume',
    'RestartPod',
    'Recover',
    'Compact',
    'Defragment',
    'Disarm',
  ]),
  ordinal: z.number().int(),
  /** Empty until the cluster has given it an ID. */
  memberID: z.string().default(''),
  expectedConfigIndex: z.number().int().default(0),
  /** UID of the volume that the operation is about: another volume with that name is not touched. */
  volumeUID: z.string().default(''),
  /** The request that it carries out: an annotation's value, or a recovery's ID. */
  request: z.string().default(''),
  startedAt: z.string(),
  deadline: z.string().optional(),
  /** How far the learner had caught up when the deadline was last set. */
  progress: z.object({ what: z.enum(['entries', 'snapshot']), reached: z.number().int() }).optional(),
  /** Refused or unanswered calls so far. */
  attempts: z.number().int().default(0),
  message: z.string().default(''),
})

/** Requests that were carried out or refused: none is carried out twice. A request that is withdrawn is removed here. */
const HandledRequests = z.object({
  replaceMember: z.string().default(''),
  moveLeader: z.string().default(''),
  recovery: z.string().default(''),
})

/** A call about one of the cluster's objects that the API server refuses or does not answer. */
const Refusal = z.object({
  /** Kind and name of the object; the kind alone for a list. */
  subject: z.string(),
  /** The API server's answer. */
  message: z.string().default(''),
  since: z.string(),
  /** Time of the next try; absent for reads, which are tried at every reconcile. */
  retryAt: z.string().optional(),
})

const Condition = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string().default(''),
  observedGeneration: z.number().int().default(0),
  lastTransitionTime: z.string(),
})

const Auth = z.object({
  /** Users that were declared at some time, and created or adopted by the operator; with the version of the Secret that has the password, if any. */
  users: z.array(z.object({ name: z.string(), secret: z.string().default('') })).default([]),
  roles: z.array(z.string()).default([]),
  /** The Secret with root's password, also after the spec no longer names it. */
  rootSecret: z.object({ name: z.string(), key: z.string() }).optional(),
  /** etcd's auth revision at which everything was as declared. */
  revision: z.number().int().default(0),
  /** Hash of what was declared, and of the Secrets' versions. */
  hash: z.string().default(''),
})

export const Conditions = z.array(Condition).default([])
/** How members connect, on one side: each phase is a rollout. */
const TLS_PHASES = ['Disabled', 'Accepted', 'Preferred', 'Required'] as const

/** Steps of replacing a CA: members trust the new one, certificates are issued again, the old one is removed. */
export const TLS_ROTATIONS = ['None', 'Trusting', 'Reissuing', 'Retiring'] as const

const TlsSideStatus = z.object({
  phase: z.enum(TLS_PHASES).default('Disabled'),
  rotation: z.enum(TLS_ROTATIONS).default('None'),
  /** Source of the certificates. CertManager also while Certificates of an earlier mode still exist; the last mode while TLS is being turned off. */
  mode: z.enum(TLS_MODES).optional(),
  /** End of the certificate that expires first. */
  notAfter: z.string().optional(),
  authorityNotAfter: z.string().optional(),
})

const Status = z.object({
  observedGeneration: z.number().int().default(0),
  /** Generated once by the operator, before the first member gets it; never changes. */
  clusterID: z.string().default(''),
  configIndex: z.number().int().default(0),
  leader: z.string().default(''),
  term: z.number().int().default(0),
  commitIndex: z.number().int().default(0),
  replicas: z.number().int().default(0),
  readyReplicas: z.number().int().default(0),
  voters: z.number().int().default(0),
  learners: z.number().int().default(0),
  quorum: z.number().int().default(0),
  selector: z.string().default(''),
  /** Number of pods made from the current pod template. */
  updatedReplicas: z.number().int().default(0),
  /** Hash of what the spec says about pods. */
  templateHash: z.string().default(''),
  /** Image of the current pod template. */
  image: z.string().default(''),
  /**
   * Image and form (forms.ts) where spec.image leaves them open: those that all members last ran successfully, at first
   * the default of the operator that formed the cluster. Another operator does not change them.
   */
  base: z
    .object({
      image: z.string().default(''),
      form: z.number().int().min(1).default(1),
      /** Recorded with the cluster ID; absent in clusters from before there were any. */
      defaults: RecordedDefaults,
    })
    .prefault({}),
  /** Absent until TLS is requested. */
  tls: z.object({ peer: TlsSideStatus.prefault({}), client: TlsSideStatus.prefault({}) }).optional(),
  /** Size of the largest volume of a wanted member; spec.storage.size cannot go below it. */
  volumeSize: z.string().optional(),
  /** Absent while spec.storage.size is enough. */
  volumeGrowth: VolumeGrowth.optional(),
  handledRequests: HandledRequests.prefault({}),
  /** UIDs of the volumes of former members after a recovery; their data was given up. */
  staleVolumes: z.array(z.string()).default([]),
  /** When the figures that change all the time (indexes, sizes, lags) were read. */
  sampledAt: z.string().optional(),
  members: z.array(Member).default([]),
  /** What was last known of users and roles; absent while none are declared. */
  auth: Auth.optional(),
  /** Absent while there is nothing to keep. */
  maintenance: MaintenanceStatus.optional(),
  operation: Operation.optional(),
  refusals: z.array(Refusal).default([]),
  conditions: Conditions.transform((all) => all.filter(({ type }) => type !== BACKUP_READY)),
})

export type RaftClusterStatus = z.output<typeof Status>
export type TlsSideStatus = z.output<typeof TlsSideStatus>
export type TlsPhase = TlsSideStatus['phase']
export type MemberStatus = z.output<typeof Member>
export type AuthMemory = z.output<typeof Auth>
export type Operation = z.output<typeof Operation>
export type Refusal = z.output<typeof Refusal>
export type OperationStep = Operation['step']

const Given = z.record(z.string(), z.unknown())

/**
 * Fields that cannot be read, because another version of the operator wrote them, count as empty one by one: losing the whole status
 * would form a second cluster and carry out handled requests again.
 */
export function parseStatus(input: unknown): RaftClusterStatus {
  const parsed = Status.safeParse(input ?? {})
  if (parsed.success) return parsed.data
  const given: Readonly<Record<string, unknown>> = Given.safeParse(input).data ?? {}
  const readable = Object.entries(Status.shape).filter(([name, field]) => field.safeParse(given[name]).success)
  const status = Status.parse(Object.fromEntries(readable.map(([name]) => [name, given[name]])))
  // An unreadable status may hide that the cluster was formed: an index above 0 keeps it from being formed again.
  return { ...status, configIndex: Math.max(1, status.configIndex) }
}
