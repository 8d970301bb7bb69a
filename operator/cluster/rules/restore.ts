/**
 * A cluster out of a backup: the first member's volume is filled by a Job before any pod of the cluster is there, and what is
 * in it has the cluster's ID from the start. Then the members start as they would after a stop: the first one is the cluster, the
 * others join it.
 *
 *   claim ─► operation Restore, with the claim's UID ─► Job ─► operation Bootstrap ─► pods
 *
 * After a crash at any arrow the same step is taken again (fill.ts). Once Bootstrap is recorded the Job never runs again: a volume
 * that is empty then was lost, and a second cluster of one ID would be worse than none. Pure.
 */
import { assert } from '../../../lib/assert.ts'
import { awaitsRestore, type Observed } from '../observed.ts'
import { type Intent, newOperation } from '../operation.ts'
import { inFlight, type Plan } from '../plan.ts'
import { names } from '../resources/names.ts'
import { fill } from './fill.ts'

const SEED = 0

/** Undefined where there is nothing to restore any more. The cluster has its ID, and no volume but its own. */
export function restore(observed: Observed): Plan | undefined {
  const { cluster, volumes } = observed
  const { restore: wanted } = cluster.spec.bootstrap ?? {}
  if (!awaitsRestore(observed)) return undefined
  assert(wanted !== undefined, 'a restore is awaited where one is asked for')
  const { clusterID } = cluster.recorded
  const volume = volumes.get(SEED)
  const step = (name: 'Restore' | 'Bootstrap'): Intent => ({
    type: 'Form',
    step: name,
    ordinal: SEED,
    verb: 'bootstrap',
    subject: clusterID,
    ...(volume !== undefined && { volumeUID: volume.uid }),
  })
  const filling = fill(observed, {
    seed: { ordinal: SEED, clusterID },
    restore: wanted,
    volume,
    operation: newOperation(observed, step('Restore')),
    otherwise: 'the RaftCluster and its claim to take another backup',
  })
  if (filling !== undefined) return filling
  const next = newOperation(observed, step('Bootstrap'))
  const message = `the first volume has the data of the backup: ${names.pod(cluster, SEED)} starts`
  return inFlight('Restoring', message, next, [{ kind: 'record-operation', operation: next }])
}
