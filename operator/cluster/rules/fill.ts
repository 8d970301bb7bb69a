/**
 * The first volume of a cluster that is made from a backup, as it gets its data: the claim, then a Job on the volume that is
 * recorded. The Job may be run twice: it leaves a volume alone that has the cluster, and empties one where it was interrupted. Pure.
 */
import { assert } from '../../../lib/assert.ts'
import type { Restore, RestoreSource } from '../../api/bootstrap.ts'
import type { Operation } from '../../api/status.ts'
import type { Observed, ObservedVolume } from '../observed.ts'
import { blocked, inFlight, type Plan, waiting } from '../plan.ts'
import { names } from '../resources/names.ts'
import { restoreJob, type Seed, seedClaim } from '../resources/restore-job.ts'
import { memberForm, memberImage } from './template.ts'

export interface Filling {
  readonly seed: Seed
  readonly restore: Restore
  /** Undefined while there is none. */
  readonly volume: ObservedVolume | undefined
  /** Of a Job on that volume. */
  readonly operation: Operation
  /** What else can be done where the Job has failed. */
  readonly otherwise: string
}

/** Undefined once the volume has the data. */
export function fill(observed: Observed, { seed, restore, volume, operation, otherwise }: Filling): Plan | undefined {
  const { cluster, restore: found } = observed
  assert(found !== undefined, 'what is to be restored was looked for')
  const pod = names.pod(cluster, seed.ordinal)
  const recorded = cluster.recorded.operation
  if (volume === undefined) {
    const plan = waiting('Restoring', `${pod} gets its volume`, recorded)
    return { ...plan, actions: [{ kind: 'create', object: seedClaim(cluster, seed, claimTemplate(observed)) }] }
  }
  const { job, source } = found
  const name = names.restoreJob(cluster)
  if (job?.isForeign === true)
    return blocked('NameTaken', `there is a Job ${name} that is not this RaftCluster's: delete it`, recorded)
  const isRecorded = recorded?.step === 'Restore' && recorded.id === operation.id && recorded.volumeUID === volume.uid
  if (job === undefined || !isRecorded) {
    if (!source.ok) return blocked('BackupNotFound', source.error, recorded)
    return inFlight('Restoring', `the volume of ${pod} is filled from the backup ${source.value.name}`, operation, [
      { kind: 'record-operation', operation },
      { kind: 'create', object: jobOf(observed, seed, restore, source.value) },
    ])
  }
  if (job.end === undefined)
    return waiting('Restoring', job.words ?? `Job ${name} fills the volume of ${pod}`, recorded)
  if (job.end.isComplete) return undefined
  const words = job.words ?? `${job.end.reason}: ${job.end.message}`
  const advice = `delete the Job ${name} to try again, or ${otherwise}`
  return blocked('RestoreFailed', `${words}. When that is mended, ${advice}`, recorded)
}

function claimTemplate(observed: Observed): ReturnType<Observed['forms'][number]>['claim'] {
  const form = observed.forms[memberForm(observed) - 1]
  assert(form !== undefined, 'a first volume is made in a form that is known')
  return form(observed.cluster, memberImage(observed)).claim
}

/** The operation is recorded first: the Job is begun on the volume that is recorded, or not at all. */
function jobOf(
  observed: Observed,
  seed: Seed,
  { revision, time, bumpRevision, serviceAccountName }: Restore,
  source: RestoreSource,
): ReturnType<typeof restoreJob> {
  const image = memberImage(observed)
  return restoreJob(observed.cluster, {
    seed,
    image,
    source,
    moment: { revision, time },
    bumpRevision,
    serviceAccountName,
  })
}
