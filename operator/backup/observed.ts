/** Everything that a decision about the backups of one cluster looks at, as it was read at one moment. Pure types. */
import type { FollowStatus } from '../../lib/follow-status.ts'
import type { RaftBackup, ScheduledRaftBackup } from '../api/raft-backup.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'
import type { JobEnd, ToolPod } from '../cluster/tool-end.ts'

export interface ObservedBackups {
  readonly nowMs: number
  readonly namespace: string
  /** Of the RaftCluster that the backups name, whether it is there or not. */
  readonly clusterName: string
  readonly cluster: RaftCluster | undefined
  /** There may be one that cannot be understood. */
  readonly isClusterThere: boolean
  /** Members' image where neither spec.image nor status names one. */
  readonly defaultImage: string
  readonly backups: readonly RaftBackup[]
  readonly schedules: readonly ScheduledRaftBackup[]
  /** Of all backups of the cluster, also of RaftBackups that are gone. */
  readonly jobs: readonly ObservedJob[]
  readonly pods: readonly ObservedPod[]
  /** That keep changes of the cluster, also for schedules that are gone, and whatever has the name of one. */
  readonly deployments: readonly ObservedDeployment[]
  /** Pods that keep changes of the cluster, also for schedules that are gone; the oldest first. */
  readonly followers: readonly ObservedFollower[]
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

export interface ObservedDeployment {
  readonly name: string
  readonly uid: string
  /** Of the ScheduledRaftBackup that owns it; empty where none does. */
  readonly scheduleUid: string
  readonly place: string
  /** Of what it was given last. */
  readonly specHash: string
  readonly replicas: number
  readonly isBeingDeleted: boolean
}

export interface ObservedFollower extends ToolPod {
  readonly scheduleUid: string
  readonly place: string
  /** What it reports about itself; undefined where it was not asked or did not answer. */
  readonly status: FollowStatus | undefined
  /** Why there was no answer. */
  readonly silence: string | undefined
}
