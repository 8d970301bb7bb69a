/**
 * The quorum is lost for good, and somebody asks for a backup in its place: the RaftCluster becomes another cluster, with an ID of its own, whose
 * first member is a pod beyond all that were there.
 *
 *   claim ─► operation Restore, with the claim's UID ─► Job ─► the switch ─► the pod leads ─► the others join, as after any recovery
 *
 * Up to the switch nothing of the old cluster is touched: its members run on as they can, and if a leader is back the restore is given up. The switch is
 * one write of status: the new ID, the operation's next step, all old volumes as stale, the request as handled. From then on no pod runs on
 * an old volume, and each stays until the new cluster has a leader (recover.ts: all but one until two voters have the data). Claim, Job
 * and ID follow from the request alone, so after a crash at any arrow the same step is taken again, and a request that was changed begins
 * anew, on another volume. Pure.
 */
import { formatId } from '../../../lib/ids.ts'
import { conditionStatus } from '../../api/conditions.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { Operation } from '../../api/status.ts'
import { because } from '../causes.ts'
import {
  isFilling,
  isFormed,
  type Observed,
  type ObservedVolume,
  type RestoreRequest,
  restoreRequest,
} from '../observed.ts'
import { newOperation } from '../operation.ts'
import { type Action, blocked, inFlight, type Plan, waiting } from '../plan.ts'
import { hashOf } from '../resources/hash.ts'
import { names } from '../resources/names.ts'
import { answersQuorum } from '../safety.ts'
import { deleteVolume } from './cleanup.ts'
import { fill } from './fill.ts'

export function restoreInPlace(observed: Observed): Plan | undefined {
  const { cluster, membership } = observed
  if (!isFormed(observed)) return undefined
  const { operation, conditions } = cluster.recorded
  const request = restoreRequest(cluster)
  if (membership?.leader !== undefined || request === undefined) {
    if (isFilling(cluster)) return giveUp(observed)
    return isStarting(observed) ? awaitSeed(observed) : undefined
  }
  if (answersQuorum(observed))
    return isFilling(cluster)
      ? waiting('Recovering', 'a quorum answers again: its leader is waited for', operation)
      : undefined
  // Said first, done at the next look: what is asked for on a moment's silence is not done.
  if (!isFilling(cluster) && conditionStatus(conditions, 'QuorumLost') !== 'True') return undefined
  return restoreTo(observed, request)
}

function restoreTo(observed: Observed, request: RestoreRequest): Plan | undefined {
  const { cluster, volumes } = observed
  const clusterID = newClusterId(cluster, request)
  const before = clear(observed, clusterID)
  if (before !== undefined) return before
  const volume = [...volumes.values()].find((one) => one.clusterID === clusterID)
  const seed = { ordinal: volume?.ordinal ?? freeOrdinal(observed), clusterID }
  const step = (name: 'Restore' | 'Bootstrap'): Operation => ({
    ...newOperation(observed, {
      type: 'Recover',
      step: name,
      ordinal: seed.ordinal,
      verb: 'recover',
      subject: `${request.id}:${clusterID}`,
      request: request.id,
      configIndex: 0,
    }),
    volumeUID: volume?.uid ?? '',
  })
  const otherwise = 'ask for another backup, with another id'
  const filling = fill(observed, { seed, restore: request.restore, volume, operation: step('Restore'), otherwise })
  if (filling !== undefined) return filling
  const staleVolumes = [...volumes.values()].filter((one) => one !== volume).map(({ uid }) => uid)
  const message = `${names.pod(cluster, seed.ordinal)} has the data of the backup, and starts as the first member of cluster ${clusterID}`
  return inFlight('Recovering', message, step('Restore'), [
    { kind: 'switch-cluster', clusterID, operation: step('Bootstrap'), staleVolumes },
  ])
}

/** It follows from what is asked for, and of which cluster: whoever goes on after a crash makes the same one. */
function newClusterId({ uid, recorded }: RaftCluster, { id, restore }: RestoreRequest): string {
  const value = BigInt(`0x${hashOf([uid, recorded.clusterID, id, restore])}`)
  return formatId(value === 0n ? 1n : value)
}

/** Beyond every volume and pod, of whoever: nothing that is there may be what the backup lacks. */
function freeOrdinal({ cluster, volumes, foreignVolumes, pods, objects }: Observed): number {
  const taken = [...volumes.keys(), ...foreignVolumes.keys(), ...pods.keys()].map((ordinal) => ordinal + 1)
  return Math.max(cluster.spec.replicas, objects.statefulSet?.endOrdinal ?? 0, ...taken)
}

/** What an earlier request has begun goes first: two Jobs would be of one name, and its claim is of no use. */
function clear(observed: Observed, clusterID: string | undefined): Plan | undefined {
  const { cluster, volumes, restore } = observed
  const { operation } = cluster.recorded
  const isWanted = (made: { readonly clusterID: string | undefined }): boolean =>
    clusterID !== undefined && made.clusterID === clusterID
  // It is of no use without the volume that it was begun on, either.
  const isUseful = [...volumes.values()].some((one) => isTarget(observed, one) && isWanted(one))
  const job =
    restore?.job === undefined || restore.job.isForeign || (isWanted(restore.job) && isUseful) ? undefined : restore.job
  const volume = [...volumes.values()].find((one) => isTarget(observed, one) && !isWanted(one))
  const actions = [
    ...(job === undefined || job.isTerminating ? [] : [deleteJob(cluster, job.uid)]),
    ...(volume === undefined ? [] : deleteVolume(observed, volume)),
  ]
  const name = names.restoreJob(cluster)
  if (actions.length > 0)
    return { ...waiting('Recovering', 'what an earlier restore has begun is deleted', operation), actions }
  if (job !== undefined) return waiting('Recovering', `Job ${name} of an earlier restore is being deleted`, operation)
  const running = restore?.job === undefined ? (restore?.runningPods ?? []) : []
  if (running.length === 0) return undefined
  return waiting('Recovering', `waits until ${running.join(', ')} of an earlier restore has stopped`, operation)
}

/** The volume that a restore in place fills, or was about to: it is no member's, and never was. */
function isTarget({ cluster }: Observed, { uid }: ObservedVolume): boolean {
  return isFilling(cluster) && cluster.recorded.operation?.volumeUID === uid
}

function deleteJob(cluster: RaftCluster, uid: string): Action {
  const ref = { apiVersion: 'batch/v1', kind: 'Job', namespace: cluster.namespace, name: names.restoreJob(cluster) }
  return { kind: 'delete-object', ref, uid }
}

/** The quorum is back, or nobody asks for it any more. */
function giveUp(observed: Observed): Plan {
  const message = 'the restore is given up: the members that were there go on'
  return clear(observed, undefined) ?? waiting('Recovering', message)
}

function isStarting({ cluster, membership }: Observed): boolean {
  const { operation, handledRequests } = cluster.recorded
  const { id = handledRequests.recovery } = cluster.spec.recovery.request ?? {}
  const isOver = membership?.leader !== undefined || id !== handledRequests.recovery
  return !isOver && operation?.type === 'Recover' && operation.step === 'Bootstrap'
}

/** It is the cluster. Another volume in its place is empty, and not taken for it. */
function awaitSeed(observed: Observed): Plan | undefined {
  const { cluster, volumes } = observed
  const { operation } = cluster.recorded
  if (operation === undefined) return undefined
  const pod = names.pod(cluster, operation.ordinal)
  const words = because(observed, [operation.ordinal], `waits for ${pod}, which has the data of the backup, to start`)
  if (volumes.get(operation.ordinal)?.uid === operation.volumeUID) return waiting('Recovering', words, operation)
  const advice = 'ask for the restore again, with another id'
  return blocked(
    'SeedVolumeLost',
    `the volume of ${pod}, which had the data of the backup, is gone: ${advice}`,
    operation,
  )
}
