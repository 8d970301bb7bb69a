/**
 * A cluster out of a backup: the first member's volume is filled by a Job before any pod of the cluster is there, and what is
 * in it has the cluster's ID from the start. Then the members start as they would after a stop: the first one is the cluster, the
 * others join it.
 *
 *   claim ─► operation Restore, with the claim's UID ─► Job ─► operation Bootstrap ─► pods
 *
 * After a crash at any arrow the same step is taken again. The Job may be run twice: it leaves a volume alone that has the cluster,
 * and empties one where it was interrupted. Once Bootstrap is recorded it never runs again: a volume that is empty then was lost,
 * and a second cluster of one ID would be worse than none. Pure.
 */
import { assert } from '../../../lib/assert.ts'
import type { RestoreSource } from '../../api/bootstrap.ts'
import { awaitsRestore, type Observed, type ObservedRestore } from '../observed.ts'
import { newOperation } from '../operation.ts'
import { blocked, IN_FLIGHT_MS, inFlight, type Plan, waiting } from '../plan.ts'
import { names } from '../resources/names.ts'
import { restoreJob, seedClaim } from '../resources/restore-job.ts'
import { memberForm, memberImage } from './template.ts'

const SEED = 0

/** Undefined where there is nothing to restore any more. The cluster has its ID, and no volume but its own. */
export function restore(observed: Observed): Plan | undefined {
  const { cluster, volumes } = observed
  if (!awaitsRestore(observed)) return undefined
  const found = observed.restore
  assert(found !== undefined, 'what is to be restored was looked for')
  const volume = volumes.get(SEED)
  if (volume === undefined) {
    const plan = waiting('Restoring', `${names.pod(cluster, SEED)} gets its volume`)
    return { ...plan, actions: [{ kind: 'create', object: seedClaim(cluster, claimTemplate(observed)) }] }
  }
  const { job } = found
  const { operation } = cluster.recorded
  const name = names.restoreJob(cluster)
  if (job?.isForeign === true)
    return blocked('NameTaken', `Job ${name} exists and does not belong to this RaftCluster: delete it`, operation)
  if (job === undefined || operation?.step !== 'Restore') return begin(observed, found, volume.uid)
  if (job.end === undefined) return waiting('Restoring', job.message ?? `Job ${name} fills the first volume`, operation)
  if (!job.end.isComplete) {
    const cause = job.message ?? `${job.end.reason}: ${job.end.message}`
    const advice = `delete the Job ${name} to try again, or delete the RaftCluster and its claim to use another backup`
    return blocked('RestoreFailed', `${cause}. Once that is fixed, ${advice}`, operation)
  }
  const next = newOperation(observed, {
    type: 'Form',
    step: 'Bootstrap',
    ordinal: SEED,
    verb: 'bootstrap',
    subject: cluster.recorded.clusterID,
  })
  const message = `the first volume has the data of the backup: ${names.pod(cluster, SEED)} starts`
  return inFlight('Restoring', message, next, [{ kind: 'record-operation', operation: next }])
}

function claimTemplate(observed: Observed): ReturnType<Observed['forms'][number]>['claim'] {
  const form = observed.forms[memberForm(observed) - 1]
  assert(form !== undefined, 'a new cluster is made in a form that is known')
  return form(observed.cluster, memberImage(observed)).claim
}

/** Recorded first: the Job is begun on the volume that is recorded, or not at all. */
function begin(observed: Observed, { source }: ObservedRestore, volumeUID: string): Plan {
  const { cluster } = observed
  const { operation } = cluster.recorded
  if (!source.ok) return blocked('BackupNotFound', source.error, operation)
  const next = newOperation(observed, {
    type: 'Form',
    step: 'Restore',
    ordinal: SEED,
    verb: 'bootstrap',
    subject: cluster.recorded.clusterID,
    volumeUID,
  })
  const message = `the first volume is filled from the backup ${source.value.name}`
  return {
    ...inFlight('Restoring', message, next, [
      { kind: 'record-operation', operation: next },
      { kind: 'create', object: jobOf(observed, source.value) },
    ]),
    requeueAfterMs: IN_FLIGHT_MS,
  }
}

function jobOf(observed: Observed, source: RestoreSource): ReturnType<typeof restoreJob> {
  const { revision, time, bumpRevision = 0, serviceAccountName } = observed.cluster.spec.bootstrap?.restore ?? {}
  const options = { image: memberImage(observed), source, moment: { revision, time }, bumpRevision, serviceAccountName }
  return restoreJob(observed.cluster, options)
}
