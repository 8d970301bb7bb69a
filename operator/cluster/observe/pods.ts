/** Pods as the API server has them, and what their members say. */
import { z } from 'zod'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import { contradictionIn } from '../contradiction.ts'
import type { ObservedPod } from '../observed.ts'
import { podTrouble, PodStatus } from '../pod-trouble.ts'
import type { AdminClient, KubeObject, ReconcileDeps } from '../ports.ts'
import {
  controllerOf,
  hostName,
  names,
  ordinalOf,
  ROLLOUT_RESTART_ANNOTATION,
  TEMPLATE_HASH_ANNOTATION,
} from '../resources/names.ts'
import { commonScheme } from '../tls/scheme.ts'
import { stuckOf } from './stuck.ts'

/** A member that does not answer in this time counts as not answering. */
const MEMBER_TIMEOUT_MS = 1_500

const Pod = z.object({ status: PodStatus.prefault({}) })

export interface FoundPod {
  readonly metadata: KubeObject['metadata']
  readonly controller: string | undefined
  readonly status: PodStatus
}

export function podOf(object: KubeObject): FoundPod {
  return { metadata: object.metadata, controller: controllerOf(object), status: Pod.parse(object).status }
}

/**
 * Whose a pod with our labels is. Pods outlive their StatefulSet by the time that they take to stop; until then their members run, and
 * hold their volumes. `left`: there is another StatefulSet by now, or none is named (`--cascade=orphan`), and the next one adopts them.
 */
export type Belonging = 'own' | 'left' | 'foreign'

export function belongingOf(
  cluster: RaftCluster,
  statefulSetUid: string | undefined,
  { metadata: { ownerReferences }, controller: uid }: Pick<FoundPod, 'metadata' | 'controller'>,
): Belonging {
  if (uid === undefined) return 'left'
  if (uid === statefulSetUid) return 'own'
  const controller = ownerReferences?.find((owner) => owner.uid === uid)
  const isFormer = controller?.kind === 'StatefulSet' && controller.name === names.statefulSet(cluster)
  if (!isFormer) return 'foreign'
  return statefulSetUid === undefined ? 'own' : 'left'
}

export async function readPod(
  deps: ReconcileDeps,
  cluster: RaftCluster,
  admin: AdminClient,
  { metadata, status }: FoundPod,
): Promise<ObservedPod | undefined> {
  const ordinal = ordinalOf(cluster.name, metadata.name)
  if (ordinal === undefined) return undefined
  const { phase, podIP, conditions } = status
  const target = podIP === undefined || phase !== 'Running' ? undefined : { podIP, podName: metadata.name }
  const scheme = commonScheme(cluster, 'client')
  const place = target && { ...target, hostName: hostName(cluster, ordinal), scheme }
  const adminUrl = place && deps.adminUrl(place)
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(MEMBER_TIMEOUT_MS)])
  const answer = adminUrl === undefined ? undefined : await admin.status(adminUrl, signal)
  const ready = conditions.find(({ type, status }) => type === 'Ready' && status === 'True')
  const given = answer?.ok === true ? answer.value : undefined
  const contradiction = given && contradictionIn(given)
  return {
    ordinal,
    name: metadata.name,
    uid: metadata.uid ?? '',
    isTerminating: metadata.deletionTimestamp !== undefined,
    stuck: stuckOf(metadata, deps.nowMs()),
    isReady: ready !== undefined,
    readySinceMs: ready && Date.parse(ready.lastTransitionTime ?? '1970-01-01T00:00:00Z'),
    isRunning: isRunning(status),
    templateHash: metadata.annotations?.[TEMPLATE_HASH_ANNOTATION],
    restartedAt: metadata.annotations?.[ROLLOUT_RESTART_ANNOTATION],
    trouble: podTrouble(status, deps.nowMs()),
    adminUrl,
    clientUrl: place && deps.clientUrl(place),
    status: contradiction === undefined ? given : undefined,
    contradiction,
  }
}

function isRunning({ phase, containerStatuses }: PodStatus): boolean {
  if (phase !== 'Running') return false
  return containerStatuses.length === 0 || containerStatuses.some(({ state }) => state.running !== undefined)
}
