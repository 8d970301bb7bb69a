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
  /** Where its log ends: of two the later term has more, then the higher index. */
  lastTerm: z.number().int().optional(),
  lastIndex: z.number().int().optional(),
  /** Entries behind the leader. */
  lag: z.number().int().optional(),
  dbSizeBytes: z.number().int().optional(),
  pvcUID: z.string().optional(),
  /** In force for this member. */
  alarms: z.array(z.string()).default([]),
  /** When the leader was first seen not to hear from it; absent while it does. */
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
  /** Empty until the cluster gave one. */
  memberID: z.string().default(''),
  expectedConfigIndex: z.number().int().default(0),
  /** Of the volume that the operation is about: another volume of that name is not touched. */
  volumeUID: z.string().default(''),
  /** What somebody asked for that it answers: an annotation's value, or a recovery's ID. */
  request: z.string().default(''),
  startedAt: z.string(),
  deadline: z.string().optional(),
  /** How far a learner had come when the deadline was last set. */
  progress: z.object({ what: z.enum(['entries', 'snapshot']), reached: z.number().int() }).optional(),
  /** Refused or unanswered calls so far. */
  attempts: z.number().int().default(0),
  message: z.string().default(''),
})

/** Requests that were carried out or refused: none is carried out twice. A request that is withdrawn is forgotten. */
const HandledRequests = z.object({
  replaceMember: z.string().default(''),
  moveLeader: z.string().default(''),
  recovery: z.string().default(''),
})

/** A call about one of the cluster's objects that the API server does not answer as it should. */
const Refusal = z.object({
  /** Kind and name, of what it was to be done to; the kind alone where all of them are listed. */
  subject: z.string(),
  /** The API server's words. */
  message: z.string().default(''),
  since: z.string(),
  /** It is left alone until then; absent where it could not be read, which is tried at every look. */
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
  /** Declared once, and made by the operator or taken over; with the version of the Secret that has the password, none without one. */
  users: z.array(z.object({ name: z.string(), secret: z.string().default('') })).default([]),
  roles: z.array(z.string()).default([]),
  /** Has the password of root, also where the spec does not say so any more. */
  rootSecret: z.object({ name: z.string(), key: z.string() }).optional(),
  /** etcd's auth revision at which all was as declared. */
  revision: z.number().int().default(0),
  /** Of what was declared, and of the Secrets' versions. */
  hash: z.string().default(''),
})

export const Conditions = z.array(Condition).default([])
/** How members of a cluster are made to talk, on one side: each is a rollout of its own. */
const TLS_PHASES = ['Disabled', 'Accepted', 'Preferred', 'Required'] as const

/** CAs that are replaced: members come to trust the new one, certificates are issued anew, the old one leaves. */
export const TLS_ROTATIONS = ['None', 'Trusting', 'Reissuing', 'Retiring'] as const

const TlsSideStatus = z.object({
  phase: z.enum(TLS_PHASES).default('Disabled'),
  rotation: z.enum(TLS_ROTATIONS).default('None'),
  /** Where certificates come from. CertManager also while Certificates of an earlier mode are still there; the last one while TLS is on its way out. */
  mode: z.enum(TLS_MODES).optional(),
  /** Of the certificate that ends first. */
  notAfter: z.string().optional(),
  authorityNotAfter: z.string().optional(),
})

const Status = z.object({
  observedGeneration: z.number().int().default(0),
  /** Minted once by the operator, before the first member is told of it; never changes. */
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
  /** Pods made from the pod template in force. */
  updatedReplicas: z.number().int().default(0),
  /** Of what the spec says about pods. */
  templateHash: z.string().default(''),
  /** What members are made from. */
  image: z.string().default(''),
  /**
   * What they are made from where spec.image leaves it open, and in which form (forms.ts): what all of them last ran well,
   * at first the default of the operator that made the cluster. Another operator does not change it.
   */
  base: z
    .object({
      image: z.string().default(''),
      form: z.number().int().min(1).default(1),
      /** Recorded with the cluster ID; absent in clusters from before there were any. */
      defaults: RecordedDefaults,
    })
    .prefault({}),
  /** Absent while nobody has asked for TLS. */
  tls: z.object({ peer: TlsSideStatus.prefault({}), client: TlsSideStatus.prefault({}) }).optional(),
  /** Of the largest volume that a wanted member has; spec.storage.size cannot go below it. */
  volumeSize: z.string().optional(),
  /** Absent while spec.storage.size is enough. */
  volumeGrowth: VolumeGrowth.optional(),
  handledRequests: HandledRequests.prefault({}),
  /** Volumes of former members after a recovery, by UID: theirs is the data that was given up. */
  staleVolumes: z.array(z.string()).default([]),
  /** When the figures that change all the time (indexes, sizes, lags) were read. */
  sampledAt: z.string().optional(),
  members: z.array(Member).default([]),
  /** Of users and roles; absent while none are declared. */
  auth: Auth.optional(),
  /** Absent while there is nothing to remember. */
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
 * What cannot be read, as another version of the operator may have written it, counts as empty, field by field: to forget the
 * cluster ID would form a second cluster, to forget which requests were handled would carry them out again.
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
