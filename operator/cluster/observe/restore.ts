/** What a cluster that begins with a backup waits for: the backup, and the Job that fills its first volume. */
import { err, ok, type Result } from '../../../lib/result.ts'
import type { RestoreSource } from '../../api/bootstrap.ts'
import { BACKUP_KIND, parseRaftBackup } from '../../api/raft-backup.ts'
import { API_VERSION, type RaftCluster } from '../../api/raft-cluster.ts'
import type { ObservedRestore } from '../observed.ts'
import type { KubeObject } from '../ports.ts'
import { controllerOf, labelsText, names } from '../resources/names.ts'
import { restoreLabels } from '../resources/restore-job.ts'
import { jobEnd, toolPod, messageOf } from '../tool-jobs.ts'
import type { Reading } from './reading.ts'

export async function readRestore(reading: Reading, cluster: RaftCluster, nowMs: number): Promise<ObservedRestore> {
  const { backup: name = '', source } = cluster.spec.bootstrap?.restore ?? {}
  const asItIs = (object: KubeObject): KubeObject => object
  const [backup, job] = await Promise.all([
    source === undefined ? reading.get(API_VERSION, BACKUP_KIND, name, asItIs) : undefined,
    reading.get('batch/v1', 'Job', names.restoreJob(cluster), asItIs),
  ])
  // After the Job: the pod of one that has ended has ended.
  const pods = await reading.list('Pod', (pod) => toolPod(pod, nowMs), labelsText(restoreLabels(cluster)))
  return {
    source: source === undefined ? sourceOf(name, backup) : ok(source),
    job: job && { isForeign: controllerOf(job) !== cluster.uid, end: jobEnd(job), message: messageOf(pods) },
  }
}

/** A backup counts here as it does everywhere: once it was read back. */
function sourceOf(name: string, object: KubeObject | undefined): Result<RestoreSource, string> {
  if (object === undefined)
    return err(`RaftBackup ${name} does not exist: create it, or name the place in bootstrap.restore.source`)
  const parsed = parseRaftBackup(object)
  if (!parsed.ok) return err(`RaftBackup ${name}: ${parsed.error}`)
  const { spec, status } = parsed.value
  const isComplete = status.conditions.some(({ type, status: is }) => type === 'Complete' && is === 'True')
  if (!isComplete || status.name === undefined) return err(`RaftBackup ${name} is not complete`)
  return ok({ ...spec.destination, name: status.name })
}
