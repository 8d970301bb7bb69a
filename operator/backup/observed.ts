/** Everything that a decision about the backups of one cluster looks at, as it was read at one moment. Pure types. */
import type { RaftBackup, ScheduledRaftBackup } from '../api/raft-backup.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'
import type { JobEnd, ToolPod } from '../cluster/tool-end.ts'

export interface ObservedBackups {
  readonly nowMs: number
  readonly namespace: string
  /** Of the RaftCluster that the backups name, whether it is there or not. */
  readonly clusterName: string
  readonly cluster: RaftCluster | undefined
  /** Members' image where neither spec.image nor status names one. */
  readonly defaultImage: string
  readonly backups: readonly RaftBackup[]
  readonly schedules: readonly ScheduledRaftBackup[]
  /** Of all backups of the cluster, also of RaftBackups that are gone. */
  readonly jobs: readonly ObservedJob[]
  readonly pods: readonly ObservedPod[]
}

export interface ObservedJob {
  readonly name: string
  /** Of the RaftBackup that owns it; empty where nobody does. */
  readonly backupUid: string
  readonly startedAt: string
  /** Undefined while it is under way. */
  readonly end: JobEnd | undefined
}

export interface ObservedPod extends ToolPod {
  readonly backupUid: string
}
