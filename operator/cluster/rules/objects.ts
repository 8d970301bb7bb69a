/** Objects that are missing or were edited by hand are put back, whatever else goes on. Pure. */
import { timestamp } from '../../api/conditions.ts'
import { assert } from '../../../lib/assert.ts'
import { hasFields } from '../has-fields.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { Observed, ObservedStatefulSet } from '../observed.ts'
import { type Action, blocked, type Plan } from '../plan.ts'
import type { ApplyObject, KubeObject } from '../ports.ts'
import { isRefused } from '../refusals.ts'
import { adminToken, isTokenDue } from '../resources/admin-token.ts'
import {
  CLUSTER_ID_ANNOTATION,
  CLUSTER_UID_LABEL,
  controllerOf,
  labels,
  LOOK_AGAIN_ANNOTATION,
  names,
} from '../resources/names.ts'
import { networkPolicy } from '../resources/network-policy.ts'
import { podDisruptionBudget } from '../resources/pod-disruption-budget.ts'
import { serviceAccount } from '../resources/service-account.ts'
import { clientService, headlessService } from '../resources/services.ts'
import { statefulSet } from '../resources/stateful-set.ts'
import { keepCertificates } from './certificates.ts'
import { restoreClaims, restoreFinalizer } from './claims.ts'
import { memberForm, memberImage, templateHold } from './template.ts'
import { awaitsCertificates, issueCertificates, podsWithCertificates } from './tls.ts'

/** Between two reasons to look again. */
const LOOK_AGAIN_MS = 15_000

/** Nothing of ours is made or changed while a name that we need is somebody else's. */
export function takenNames(observed: Observed): Plan | undefined {
  const { objects, cluster, foreignPods } = observed
  const taken = [
    ...(hasAccount(observed) ? [objects.serviceAccount] : []),
    objects.headlessService,
    objects.clientService,
    objects.disruptionBudget,
    objects.networkPolicy,
    objects.adminToken,
    ...objects.tls.values(),
    ...(objects.certificates?.values() ?? []),
    objects.statefulSet?.object,
  ].filter((object): object is KubeObject => object !== undefined && !isOurs(observed, object))
  if (taken.length === 0 && foreignPods.length === 0) return undefined
  const list = [
    ...taken.map((object) => `${object.kind} ${object.metadata.name}`),
    ...foreignPods.map((pod) => `Pod ${pod}`),
  ]
  return blocked(
    'NameTaken',
    `these exist and do not belong to this RaftCluster: ${list.join(', ')}. Remove them, or give the RaftCluster another name`,
    cluster.recorded.operation,
  )
}

/** Or of nobody any more: what a backup brought back, or has lost its owner by hand. It is adopted. */
function isOurs({ cluster, objects }: Observed, object: KubeObject): boolean {
  const controller = controllerOf(object)
  if (controller !== undefined) return controller === cluster.uid
  if (!hasFields(object.metadata, { labels: labels(cluster) })) return false
  // It brings pods and claims along, so it must be of this very cluster.
  return object !== objects.statefulSet?.object || isOfCluster(cluster, objects.statefulSet)
}

function isOfCluster(cluster: RaftCluster, { object, claimTemplate }: ObservedStatefulSet): boolean {
  const id = object.metadata.annotations?.[CLUSTER_ID_ANNOTATION]
  const isSame = id !== undefined && id === cluster.recorded.clusterID
  return isSame || hasFields(claimTemplate, { metadata: { labels: { [CLUSTER_UID_LABEL]: cluster.uid } } })
}

/** The spec may name another one, which the operator leaves alone. */
function hasAccount({ cluster }: Observed): boolean {
  return cluster.spec.podTemplate.serviceAccountName === undefined
}

/** A Secret that is adopted keeps its token. */
function adoptToken({ cluster, objects }: Observed): readonly Action[] {
  const present = objects.adminToken
  if (present === undefined || isTokenDue(cluster, present) || controllerOf(present) === cluster.uid) return []
  const object = { ...adminToken(cluster, Buffer.alloc(0)), data: present['data'] }
  return [{ kind: 'apply', object }]
}

export function restoreObjects(observed: Observed): readonly Action[] {
  const { cluster, objects, membership } = observed
  const budget = podDisruptionBudget(cluster, membership?.voters.length ?? cluster.recorded.voters)
  const policy = networkPolicy(cluster, observed.operatorPods)
  const wanted: readonly (readonly [KubeObject | undefined, ApplyObject])[] = [
    ...(hasAccount(observed) ? [[objects.serviceAccount, serviceAccount(cluster)] as const] : []),
    [objects.headlessService, headlessService(cluster, objects.headlessService)],
    [objects.clientService, clientService(cluster, objects.clientService)],
    ...(budget === undefined ? [] : [[objects.disruptionBudget, budget] as const]),
    ...(policy === undefined ? [] : [[objects.networkPolicy, policy] as const]),
    ...(templateHold(observed) === undefined && !awaitsCertificates(observed)
      ? [[objects.statefulSet?.object, desiredStatefulSet(observed)] as const]
      : []),
  ]
  return [
    ...restoreFinalizer(observed),
    ...(isTokenDue(cluster, objects.adminToken) ? [{ kind: 'write-admin-token' } as const] : []),
    ...adoptToken(observed),
    ...issueCertificates(observed),
    ...keepCertificates(observed),
    ...wanted
      .filter(([present, desired]) => present === undefined || !hasFields(present, desired))
      .map(([, object]) => ({ kind: 'apply', object }) as const),
    ...setPods(observed),
    ...(budget === undefined ? drop(objects.disruptionBudget) : []),
    ...(policy === undefined ? drop(objects.networkPolicy) : []),
    ...restoreClaims(observed),
  ]
}

function desiredStatefulSet(observed: Observed): ApplyObject {
  const formNumber = memberForm(observed)
  const form = observed.forms[formNumber - 1]
  assert(form !== undefined, 'a template is made in a form that is known')
  return statefulSet(observed.cluster, {
    pods: podsWithCertificates(observed),
    image: memberImage(observed),
    form,
    formNumber,
    claimTemplate: observed.objects.statefulSet?.claimTemplate,
    lookAgainAt: lookAgainAt(observed),
  })
}

/** Pods come and go with the template that is there, where another one is refused or cannot be made by this operator. */
function setPods(observed: Observed): readonly Action[] {
  const { cluster, objects } = observed
  const { statefulSet: present } = objects
  if (present === undefined) return []
  const ref = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    namespace: cluster.namespace,
    name: names.statefulSet(cluster),
  }
  const isAlone = templateHold(observed) !== undefined || isRefused(observed, `${ref.kind} ${ref.name}`)
  const { start, end } = podsWithCertificates(observed)
  const at = lookAgainAt(observed)
  const changes = {
    metadata: { uid: present.uid, ...(at !== undefined && { annotations: { [LOOK_AGAIN_ANNOTATION]: at } }) },
    spec: { replicas: end - start, ordinals: { start } },
  }
  return isAlone && !hasFields(present.object, changes) ? [{ kind: 'set-pods', ref, changes }] : []
}

/**
 * After a refusal the controller of StatefulSets waits ever longer, up to a quarter of an hour; any change of the object makes
 * it look at once.
 */
function lookAgainAt({ objects, creationRefusal, nowMs }: Observed): string | undefined {
  const before = objects.statefulSet?.object.metadata.annotations?.[LOOK_AGAIN_ANNOTATION]
  if (creationRefusal === undefined || nowMs - Date.parse(before ?? '') < LOOK_AGAIN_MS) return before
  return timestamp(nowMs)
}

/** What the spec no longer wants. */
function drop(present: KubeObject | undefined): readonly Action[] {
  if (present === undefined) return []
  const { apiVersion, kind, metadata } = present
  const { name, namespace = '', uid = '' } = metadata
  return [{ kind: 'delete-object', ref: { apiVersion, kind, namespace, name }, uid }]
}
