/** Everything that a decision about the backups of one cluster looks at, as it was read at one moment. Pure types. */
import type { RaftBackup, ScheduledRaftBackup } from '../api/raft-backup.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'

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

export interface JobEnd {
  readonly isComplete: boolean
  /** RFC 3339. */
  readonly at: string
  /** Kubernetes' words, of one that failed. */
  readonly reason: string
  readonly message: string
}

export interface ObservedPod {
  readonly name: string
  readonly backupUid: string
  readonly createdAt: string
  /** All of its containers have ended, and none is started again. */
  readonly isOver: boolean
  /** Its container ended with exit code 0. */
  readonly isSuccess: boolean
  /** What its container ended with; empty while it runs. */
  readonly message: string
  /** Why it does not run, or how it failed, as far as Kubernetes says. */
  readonly trouble: string | undefined
}
