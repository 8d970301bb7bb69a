/** Carries out what plan.ts decides: revisions, claims, pods, status. */
import { unreachable } from '../../../lib/assert.ts'
import { isProblem } from '../../../operator/kube/api-error.ts'
import type { StoredObject } from '../../client/object.ts'
import { controllerUid, isEqual, isRecord, keyOf } from '../../client/object.ts'
import { RESOURCES } from '../../client/resource.ts'
import type { Loop, Sandbox } from '../loop.ts'
import { startLoop } from '../loop.ts'
import { claimName, claimOwners, newClaims, newPod } from './build.ts'
import { claimPod, claimRevision, isSelected } from './claim.ts'
import type { SetPod, StatefulSet, Template } from './model.ts'
import { setPodOf, statefulSetOf } from './model.ts'
import type { SetAction, SetPlan } from './plan.ts'
import { planSet } from './plan.ts'
import { chooseRevision, surplusRevisions } from './revision.ts'

/** What was just written may not be in the mirror yet. */
const LOOK_AGAIN_MS = 50

export async function startStatefulSets(sandbox: Sandbox): Promise<Loop> {
  const { mirrors } = sandbox
  const sets = mirrors.of(RESOURCES.statefulSets)
  const owned = [RESOURCES.pods, RESOURCES.controllerRevisions].map((resource) => mirrors.of(resource))
  const claims = mirrors.of(RESOURCES.volumeClaims)
  await Promise.all([sets, claims, ...owned].map(async ({ synced }) => synced))
  const loop = startLoop(sandbox, {
    name: 'stateful-set',
    reconcile: async (key) => reconcile(sandbox, key),
    keys: () => [...sets.values()].map(keyOf),
  })
  sets.onChange((set, isGone) => isGone || loop.enqueue(keyOf(set)))
  for (const mirror of owned) {
    mirror.onChange((object) => {
      const uid = controllerUid(object)
      const concerns = (set: StoredObject): boolean =>
        uid === undefined ? isSelected(statefulSetOf(set), object) : set.metadata.uid === uid
      for (const set of [...sets.values()].filter(concerns)) loop.enqueue(keyOf(set))
    })
  }
  return loop
}

async function reconcile(sandbox: Sandbox, key: string): Promise<number | undefined> {
  const { mirrors, client } = sandbox
  const object = mirrors.of(RESOURCES.statefulSets).get(key)
  if (object === undefined) return undefined
  const set = statefulSetOf(object)
  if (await claimAll(sandbox, set)) return LOOK_AGAIN_MS
  const revisions = mirrors.of(RESOURCES.controllerRevisions).controlledBy(object.metadata.uid)
  const choice = chooseRevision(set, revisions)
  switch (choice.kind) {
    case 'create':
      if (!(await client.createIfMissing(RESOURCES.controllerRevisions, choice.object))) return LOOK_AGAIN_MS
      return undefined
    case 'renumber':
      await client.patch(RESOURCES.controllerRevisions, refOf(choice.object), { revision: choice.revision })
      return undefined
    case 'known':
      return progress(sandbox, set, revisions, choice.name)
    default:
      return unreachable(choice)
  }
}

/** True when something was adopted or released. */
async function claimAll({ client, mirrors }: Sandbox, set: StatefulSet): Promise<boolean> {
  const claims = [
    { resource: RESOURCES.controllerRevisions, claimOf: claimRevision },
    { resource: RESOURCES.pods, claimOf: claimPod },
  ].flatMap(({ resource, claimOf }) =>
    [...mirrors.of(resource).values()].map((object) => ({ resource, object, claim: claimOf(set, object) })),
  )
  const wanted = claims.filter(({ claim }) => claim !== undefined)
  for (const { resource, object, claim } of wanted) {
    const { uid, resourceVersion } = object.metadata
    await client.patch(resource, refOf(object), { metadata: { uid, resourceVersion, ...claim } })
  }
  return wanted.length > 0
}

async function progress(
  sandbox: Sandbox,
  set: StatefulSet,
  revisions: readonly StoredObject[],
  update: string,
): Promise<number | undefined> {
  const { mirrors } = sandbox
  const { metadata } = set.object
  const pods = mirrors
    .of(RESOURCES.pods)
    .controlledBy(metadata.uid)
    .map((pod) => setPodOf(metadata.name, pod))
    .filter((pod) => pod !== undefined)
  const current = set.status.currentRevision === '' ? update : set.status.currentRevision
  const plan = planSet(set, pods, { current, update }, Date.now())
  await ownClaims(sandbox, set, pods, plan)
  for (const action of plan.actions) await perform(sandbox, set, revisions, action)
  await writeStatus(sandbox, set, plan)
  const inUse = new Set([update, plan.status.currentRevision, ...pods.map(({ revision }) => revision)])
  for (const revision of surplusRevisions(set, revisions, inUse)) {
    await sandbox.client.delete(RESOURCES.controllerRevisions, refOf(revision), { uid: revision.metadata.uid })
  }
  return plan.requeueAfterMs
}

async function perform(
  { client, logger }: Sandbox,
  set: StatefulSet,
  revisions: readonly StoredObject[],
  action: SetAction,
): Promise<void> {
  switch (action.kind) {
    case 'delete': {
      const { metadata } = action.pod
      await client.delete(RESOURCES.pods, refOf(action.pod), { uid: metadata.uid })
      return
    }
    case 'create': {
      for (const claim of newClaims(set, action.ordinal)) await client.createIfMissing(RESOURCES.volumeClaims, claim)
      const pod = newPod(set, templateOf(set, revisions, action.revision), action.revision, action.ordinal)
      const isNew = await client.createIfMissing(RESOURCES.pods, pod)
      if (!isNew) logger.debug({ pod: pod.metadata.name }, 'a pod of this name is there already')
      return
    }
  }
}

/** The template as it was when the revision was made. */
function templateOf(set: StatefulSet, revisions: readonly StoredObject[], name: string): Template {
  const revision = revisions.find(({ metadata }) => metadata.name === name)
  const data = isRecord(revision?.['data']) ? revision['data'] : {}
  if (!isRecord(data['spec'])) return set.spec.template
  return statefulSetOf({ ...set.object, spec: { ...setSpec(set.object), template: data['spec']['template'] } }).spec
    .template
}

function setSpec(object: StoredObject): Readonly<Record<string, unknown>> {
  return isRecord(object['spec']) ? object['spec'] : {}
}

/** Owner references of the claims follow the retention policy, so that the garbage collector does the rest. */
async function ownClaims(
  { client, mirrors }: Sandbox,
  set: StatefulSet,
  pods: readonly SetPod[],
  plan: SetPlan,
): Promise<void> {
  for (const pod of pods) {
    const wanted = claimOwners(set, plan.condemned.includes(pod) ? pod.object : undefined)
    for (const { metadata } of set.spec.volumeClaimTemplates) {
      const namespace = set.object.metadata.namespace
      const name = claimName(metadata.name, pod.object.metadata.name)
      const claim = mirrors.of(RESOURCES.volumeClaims).get(`${namespace ?? ''}/${name}`)
      if (claim === undefined) continue
      const { resourceVersion, ownerReferences = [] } = claim.metadata
      const ours = new Set([set.object.metadata.uid, pod.object.metadata.uid])
      const next = [...ownerReferences.filter(({ uid }) => !ours.has(uid)), ...wanted]
      if (isEqual(ownerReferences, next)) continue
      const patch = { metadata: { resourceVersion, ownerReferences: next } }
      await client.patch(RESOURCES.volumeClaims, { namespace, name }, patch)
    }
  }
}

async function writeStatus({ client }: Sandbox, set: StatefulSet, { status }: SetPlan): Promise<void> {
  const known: Readonly<Record<string, unknown>> = set.status
  if (Object.entries(status).every(([name, value]) => (known[name] ?? 0) === value)) return
  const { resourceVersion } = set.object.metadata
  const patch = { metadata: { resourceVersion }, status: { ...withoutZeros(status), collisionCount: 0 } }
  try {
    await client.patch(RESOURCES.statefulSets, refOf(set.object), patch, { subresource: 'status' })
  } catch (error) {
    // Changed or gone meanwhile: the event about it brings us back.
    if (!isProblem(error, 'Conflict', 'NotFound')) throw error
  }
}

/** Counts that the API leaves out when they are zero; null takes an older one away. */
const OMITTED_WHEN_ZERO: ReadonlySet<string> = new Set(['readyReplicas', 'currentReplicas', 'updatedReplicas'])

function withoutZeros(status: SetPlan['status']): Readonly<Record<string, unknown>> {
  const entries = Object.entries(status)
  return Object.fromEntries(
    entries.map(([name, value]) => [name, value === 0 && OMITTED_WHEN_ZERO.has(name) ? null : value]),
  )
}

function refOf({ metadata }: StoredObject): { readonly namespace: string | undefined; readonly name: string } {
  return { namespace: metadata.namespace, name: metadata.name }
}
