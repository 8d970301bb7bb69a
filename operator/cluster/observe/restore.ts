/** What a cluster that is made from a backup waits for: the backup, and the Job that fills its first volume. */
import { err, ok, type Result } from '../../../lib/result.ts'
import type { Restore, RestoreSource } from '../../api/bootstrap.ts'
import { BACKUP_KIND, parseRaftBackup } from '../../api/raft-backup.ts'
import { API_VERSION, type RaftCluster } from '../../api/raft-cluster.ts'
import type { ObservedRestore } from '../observed.ts'
import type { KubeObject } from '../ports.ts'
import { CLUSTER_ID_ANNOTATION, controllerOf, labelsText, names } from '../resources/names.ts'
import { restoreLabels } from '../resources/restore-job.ts'
import { jobEnd, toolPod, wordsOf } from '../tool-jobs.ts'
import type { Reading } from './reading.ts'

/** Without a restore only the Job of one that is given up is of interest. */
export async function readRestore(
  reading: Reading,
  cluster: RaftCluster,
  restore: Restore | undefined,
  nowMs: number,
): Promise<ObservedRestore> {
  const { backup: name, source } = restore ?? {}
  const asItIs = (object: KubeObject): KubeObject => object
  const [backup, job] = await Promise.all([
    name === undefined ? undefined : reading.get(API_VERSION, BACKUP_KIND, name, asItIs),
    reading.get('batch/v1', 'Job', names.restoreJob(cluster), asItIs),
  ])
  // After the Job: the pod of one that has ended has ended.
  const pods = await reading.list('Pod', (pod) => toolPod(pod, nowMs), labelsText(restoreLabels(cluster)))
  return {
    source: source === undefined ? sourceOf(name ?? '', backup) : ok(source),
    job: job && {
      uid: job.metadata.uid ?? '',
      isForeign: controllerOf(job) !== cluster.uid,
      isTerminating: job.metadata.deletionTimestamp !== undefined,
      clusterID: job.metadata.annotations?.[CLUSTER_ID_ANNOTATION],
      end: jobEnd(job),
      words: wordsOf(pods),
    },
    runningPods: pods.filter(({ isOver }) => !isOver).map((pod) => pod.name),
  }
}

/** A backup counts here as it does everywhere: once it was read back. */
function sourceOf(name: string, object: KubeObject | undefined): Result<RestoreSource, string> {
  if (object === undefined) return err(`there is no RaftBackup ${name}: create it, or name the place in restore.source`)
  const parsed = parseRaftBackup(object)
  if (!parsed.ok) return err(`RaftBackup ${name}: ${parsed.error}`)
  const { spec, status } = parsed.value
  const isComplete = status.conditions.some(({ type, status: is }) => type === 'Complete' && is === 'True')
  if (!isComplete || status.name === undefined) return err(`RaftBackup ${name} is not complete`)
  return ok({ ...spec.destination, name: status.name })
}
