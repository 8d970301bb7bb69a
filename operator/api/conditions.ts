/** Conditions by the Kubernetes API conventions: a map by type, each with the generation it was computed from. */
export type ConditionType =
  | 'Ready'
  | 'Available'
  | 'Progressing'
  | 'Degraded'
  | 'QuorumLost'
  | 'ScaleComplete'
  | 'UpToDate'
  | 'StorageReady'
  | 'ClusterIDMismatch'
  | 'Paused'
  | 'AuthReady'
  | 'TLSReady'

/** On a RaftCluster too, but written by who looks after its backups: of its own field manager, so that neither takes back the other's. */
export const BACKUP_READY = 'BackupReady'

export type ConditionStatus = 'True' | 'False' | 'Unknown'

/** What was found out now, before it is compared with what was known. */
export interface Finding<Type extends string = ConditionType> {
  readonly type: Type
  readonly status: ConditionStatus
  /** CamelCase, never empty. */
  readonly reason: string
  readonly message: string
}

export interface Condition {
  readonly type: string
  readonly status: ConditionStatus
  readonly reason: string
  readonly message: string
  readonly observedGeneration: number
  /** RFC 3339: when `status` last changed, whatever became of reason and message. */
  readonly lastTransitionTime: string
}

/** The schema's bound. */
const MAX_MESSAGE_LENGTH = 1024

export function setCondition(
  conditions: readonly Condition[],
  finding: Finding<string>,
  observedGeneration: number,
  nowMs: number,
): readonly Condition[] {
  const previous = conditions.find(({ type }) => type === finding.type)
  const isSame = previous?.status === finding.status
  const next: Condition = {
    type: finding.type,
    status: finding.status,
    reason: finding.reason,
    message: finding.message.slice(0, MAX_MESSAGE_LENGTH),
    observedGeneration,
    lastTransitionTime: isSame ? previous.lastTransitionTime : timestamp(nowMs),
  }
  return previous === undefined
    ? [...conditions, next]
    : conditions.map((condition) => (condition.type === finding.type ? next : condition))
}

export function conditionStatus(conditions: readonly Condition[], type: ConditionType): ConditionStatus {
  return conditions.find((condition) => condition.type === type)?.status ?? 'Unknown'
}

/** RFC 3339 in whole seconds, as the API server writes times. */
export function timestamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z')
}
