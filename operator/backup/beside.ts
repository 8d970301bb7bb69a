/**
 * Pods that use one volume for backups had better run on one node: a volume that only one node may mount keeps the others
 * waiting. Pure.
 */
import type { BackupDestination } from '../api/backup-destination.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'
import { backupClientLabels } from '../cluster/resources/names.ts'

type Json = Readonly<Record<string, unknown>>

/** Undefined for a bucket. */
export function besideOthers(cluster: RaftCluster, { volume }: BackupDestination): Json | undefined {
  if (volume === undefined) return undefined
  const labelSelector = { matchLabels: backupClientLabels(cluster) }
  const podAffinityTerm = { labelSelector, topologyKey: 'kubernetes.io/hostname' }
  return { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm }] } }
}
