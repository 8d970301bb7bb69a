/**
 * What the control loops do that our operator counts on. There is neither a scheduler nor a kubelet: the cases bind pods to
 * a node that is not there, and say of each what a kubelet would.
 */
import type { Calls, Case } from '../case.ts'
import { at, configMap, raftCluster, statefulSet, textAt, type Fields } from '../objects.ts'

const MERGE = 'application/merge-patch+json'
const JSON_PATCH = 'application/json-patch+json'
/** Without a kubelet nobody ends a pod's containers. */
const AT_ONCE = { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 }

const SET = 'store'
const NODE = 'nowhere'

/** Endpoints are only of pods whose node is known. Nothing else is put on this one. */
async function addNode({ ask }: Calls): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'Node', metadata: { name: NODE }, spec: { unschedulable: true } }
  await ask({ method: 'POST', path: '/api/v1/nodes', body })
}

/** A namespace of its own for each case. */
class Place {
  readonly #calls: Calls
  readonly #name: string
  readonly #revisions: string[] = []

  private constructor(calls: Calls, name: string) {
    this.#calls = calls
    this.#name = name
  }

  static async make(calls: Calls, name: string): Promise<Place> {
    await calls.ask({ method: 'POST', path: '/api/v1/namespaces', body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } } }) // prettier-ignore
    return new Place(calls, name)
  }

  core(resource: string, name?: string): string {
    return `/api/v1/namespaces/${this.#name}/${resource}${name === undefined ? '' : `/${name}`}`
  }

  group(group: string, resource: string, name?: string): string {
    return `/apis/${group}/namespaces/${this.#name}/${resource}${name === undefined ? '' : `/${name}`}`
  }

  get set(): string {
    return this.group('apps/v1', 'statefulsets', SET)
  }

  async createSet(spec: Fields): Promise<void> {
    const body = statefulSet(SET, { podManagementPolicy: 'Parallel', updateStrategy: { type: 'OnDelete' }, ...spec })
    await this.#calls.ask({ method: 'POST', path: this.group('apps/v1', 'statefulsets'), body })
  }

  async editSet(spec: Fields): Promise<void> {
    await this.#calls.ask({ method: 'PATCH', path: this.set, body: { spec }, contentType: MERGE })
  }

  /** As a scheduler and a kubelet would. */
  async makeReady(name: string, podIP: string): Promise<void> {
    const target = { apiVersion: 'v1', kind: 'Node', name: NODE }
    const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name }, target }
    await this.#calls.ask({ method: 'POST', path: `${this.core('pods', name)}/binding`, body: binding })
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }]
    const body = { status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions } }
    await this.#calls.ask({ method: 'PATCH', path: `${this.core('pods', name)}/status`, body, contentType: MERGE })
  }

  async delete(path: string, options: Fields = {}): Promise<void> {
    await this.#calls.ask({ method: 'DELETE', path, body: { ...AT_ONCE, ...options } })
  }

  /** Waits for exactly these, in the order of their names. */
  async podsAre(...names: readonly string[]): Promise<void> {
    const view = (body: unknown): unknown => items(body).map((each) => this.#podView(each))
    await this.#calls.settled({ path: this.core('pods') }, (body) => namesOf(body).join() === names.join(), view)
  }

  claimsAre(...names: readonly string[]): Promise<void> {
    return this.#claims((body) => namesOf(body).join() === names.join())
  }

  /** Also waits until each has got its owner, which the real controller gives it in a write of its own. */
  claimsAreOwned(...names: readonly string[]): Promise<void> {
    const isOwned = (each: unknown): boolean => at(each, 'metadata', 'ownerReferences') !== undefined
    return this.#claims((body) => namesOf(body).join() === names.join() && items(body).every(isOwned))
  }

  async #claims(isThere: (body: unknown) => boolean): Promise<void> {
    const view = (body: unknown): unknown => items(body).map(claimView)
    await this.#calls.settled({ path: this.core('persistentvolumeclaims') }, isThere, view)
  }

  async setIs(status: Fields): Promise<void> {
    const isThere = (body: unknown): boolean =>
      Object.entries(status).every(([name, value]) => (at(body, 'status', name) ?? 0) === value) &&
      at(body, 'status', 'observedGeneration') === at(body, 'metadata', 'generation')
    await this.#calls.settled({ path: this.set }, isThere, (body) => this.#statusView(body))
  }

  #podView(each: unknown): unknown {
    const labels = { ...(at(each, 'metadata', 'labels') as Fields) }
    const revision = labels['controller-revision-hash']
    return {
      name: at(each, 'metadata', 'name'),
      labels: { ...labels, 'controller-revision-hash': this.#revision(revision) },
      owners: at(each, 'metadata', 'ownerReferences'),
      hostname: at(each, 'spec', 'hostname'),
      subdomain: at(each, 'spec', 'subdomain'),
      volumes: at(each, 'spec', 'volumes'),
    }
  }

  #statusView(body: unknown): unknown {
    const status = { ...(at(body, 'status') as Fields) }
    for (const name of ['currentRevision', 'updateRevision']) status[name] = this.#revision(status[name])
    return status
  }

  /** Its hash is of Go's making; which are the same is what counts. */
  #revision(name: unknown): string | undefined {
    if (typeof name !== 'string') return undefined
    if (!this.#revisions.includes(name)) this.#revisions.push(name)
    return `revision ${this.#revisions.indexOf(name) + 1}`
  }
}

function items(body: unknown): readonly unknown[] {
  const list = at(body, 'items')
  return Array.isArray(list) ? list : []
}

function namesOf(body: unknown): readonly string[] {
  return items(body).map((each) => textAt(each, 'metadata', 'name'))
}

function claimView(each: unknown): unknown {
  const finalizers = at(each, 'metadata', 'finalizers')
  return {
    name: at(each, 'metadata', 'name'),
    labels: at(each, 'metadata', 'labels'),
    owners: at(each, 'metadata', 'ownerReferences'),
    finalizers,
    isGoing: at(each, 'metadata', 'deletionTimestamp') !== undefined,
    // Which class is the default one is up to the cluster.
    spec: { ...(at(each, 'spec') as Fields), volumeName: undefined, storageClassName: undefined },
  }
}

const isGone = (body: unknown): boolean => at(body, 'code') === 404
const whole = (body: unknown): unknown => body
const metadataOf = (body: unknown): unknown => at(body, 'metadata')
const [POD_0, POD_1, POD_2] = [`${SET}-0`, `${SET}-1`, `${SET}-2`]
const [CLAIM_0, CLAIM_1, CLAIM_2] = [`data-${POD_0}`, `data-${POD_1}`, `data-${POD_2}`]

const setCases: readonly Case[] = [
  {
    name: 'loops: a Parallel set makes its pods and claims at once, and counts those that are ready',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-parallel')
      await place.createSet({})
      await place.podsAre(POD_0, POD_1, POD_2)
      await place.claimsAre(CLAIM_0, CLAIM_1, CLAIM_2)
      await place.setIs({ replicas: 3, readyReplicas: 0 })
      await place.makeReady(POD_1, '10.0.0.1')
      await place.setIs({ replicas: 3, readyReplicas: 1 })
      for (const name of [POD_0, POD_2]) await place.makeReady(name, '10.0.0.2')
      await place.setIs({ replicas: 3, readyReplicas: 3, availableReplicas: 3 })
    },
  },
  {
    name: 'loops: an OrderedReady set waits for each pod',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-ordered')
      await place.createSet({ podManagementPolicy: 'OrderedReady' })
      await place.podsAre(POD_0)
      await place.setIs({ replicas: 1 })
      await place.makeReady(POD_0, '10.0.0.1')
      await place.podsAre(POD_0, POD_1)
      await place.setIs({ replicas: 2, readyReplicas: 1 })
    },
  },
  {
    name: 'loops: scaled down a set keeps its claims, scaled up again it takes them',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-scaled')
      await place.createSet({})
      await place.podsAre(POD_0, POD_1, POD_2)
      await place.editSet({ replicas: 1 })
      await place.podsAre(POD_0)
      await place.claimsAre(CLAIM_0, CLAIM_1, CLAIM_2)
      await place.setIs({ replicas: 1 })
      await place.editSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
    },
  },
  {
    name: 'loops: OnDelete leaves pods alone until they are deleted',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-on-delete')
      await place.createSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      for (const name of [POD_0, POD_1]) await place.makeReady(name, '10.0.0.1')
      await place.setIs({ readyReplicas: 2, updatedReplicas: 2 })
      await place.editSet({ template: { metadata: { annotations: { anew: 'yes' } } } })
      await place.setIs({ readyReplicas: 2, updatedReplicas: 0 })
      await place.podsAre(POD_0, POD_1)
      await place.delete(place.core('pods', POD_1))
      await place.setIs({ readyReplicas: 1, updatedReplicas: 1 })
      await place.podsAre(POD_0, POD_1)
      await place.makeReady(POD_1, '10.0.0.1')
      await place.delete(place.core('pods', POD_0))
      await place.setIs({ readyReplicas: 1, updatedReplicas: 2 })
      await place.makeReady(POD_0, '10.0.0.1')
      await place.setIs({ readyReplicas: 2, updatedReplicas: 2 })
    },
  },
  {
    name: 'loops: a claim in use goes with its pod, and the pod comes back with another one',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-replaced')
      await place.createSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      await place.makeReady(POD_1, '10.0.0.1')
      const path = place.core('persistentvolumeclaims', CLAIM_1)
      const { body: before } = await calls.ask({ path })
      await calls.ask({ method: 'DELETE', path })
      await place.claimsAre(CLAIM_0, CLAIM_1)
      await place.delete(place.core('pods', POD_1))
      const isAnother = (body: unknown): boolean =>
        textAt(body, 'metadata', 'uid') !== '' && textAt(body, 'metadata', 'uid') !== textAt(before, 'metadata', 'uid')
      await calls.settled({ path }, isAnother, claimView)
      await place.podsAre(POD_0, POD_1)
    },
  },
  {
    name: 'loops: a set that retains no claims',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-retention')
      const policy = { whenDeleted: 'Delete', whenScaled: 'Delete' }
      await place.createSet({ persistentVolumeClaimRetentionPolicy: policy })
      await place.podsAre(POD_0, POD_1, POD_2)
      await place.claimsAreOwned(CLAIM_0, CLAIM_1, CLAIM_2)
      await place.editSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      await place.claimsAre(CLAIM_0, CLAIM_1)
      await place.delete(place.set, { propagationPolicy: 'Background' })
      await place.podsAre()
      await place.claimsAre()
    },
  },
]

function dependent(name: string, owners: readonly unknown[]): Fields {
  return configMap(name, {}, { ownerReferences: owners })
}

const reference = (body: unknown, more: Fields = {}): Fields => ({
  apiVersion: at(body, 'apiVersion'),
  kind: at(body, 'kind'),
  name: at(body, 'metadata', 'name'),
  uid: at(body, 'metadata', 'uid'),
  ...more,
})

/** A RaftCluster that owns a ConfigMap. */
async function owned(calls: Calls, place: Place): Promise<{ readonly owner: string; readonly child: string }> {
  const clusters = place.group('raftkv.dev/v1alpha1', 'raftclusters')
  const { body } = await calls.ask({ method: 'POST', path: clusters, body: raftCluster('owner') })
  const owners = [reference(body, { controller: true, blockOwnerDeletion: true })]
  await calls.ask({ method: 'POST', path: place.core('configmaps'), body: dependent('child', owners) })
  return { owner: `${clusters}/owner`, child: place.core('configmaps', 'child') }
}

const garbageCases: readonly Case[] = [
  {
    name: 'loops: what an owner had goes after it, in the background',
    run: async (calls) => {
      const { owner, child } = await owned(calls, await Place.make(calls, 'loops-background'))
      await calls.send({ method: 'DELETE', path: owner })
      await calls.settled({ path: child }, isGone, whole)
      await calls.settled({ path: owner }, isGone, whole)
    },
  },
  {
    name: 'loops: an owner that is deleted in the foreground goes last',
    run: async (calls) => {
      const { owner, child } = await owned(calls, await Place.make(calls, 'loops-foreground'))
      await calls.ask({ method: 'PATCH', path: child, body: { metadata: { finalizers: ['raftkv.dev/held'] } }, contentType: MERGE }) // prettier-ignore
      await calls.ask({ method: 'DELETE', path: owner, body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground' } }) // prettier-ignore
      await calls.settled(
        { path: child },
        (body) => at(body, 'metadata', 'deletionTimestamp') !== undefined,
        metadataOf,
      )
      await calls.send({ path: owner })
      await calls.ask({ method: 'PATCH', path: child, body: [{ op: 'remove', path: '/metadata/finalizers' }], contentType: JSON_PATCH }) // prettier-ignore
      await calls.settled({ path: owner }, isGone, whole)
    },
  },
  {
    name: 'loops: orphans stay, without their owner',
    run: async (calls) => {
      const { owner, child } = await owned(calls, await Place.make(calls, 'loops-orphan'))
      await calls.ask({ method: 'DELETE', path: owner, body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Orphan' } }) // prettier-ignore
      await calls.settled({ path: owner }, isGone, whole)
      await calls.settled({ path: child }, (body) => at(body, 'metadata', 'ownerReferences') === undefined, metadataOf)
    },
  },
  {
    name: 'loops: an owner that was never there, and one of two',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-dangling')
      const path = place.core('configmaps')
      const { body: real } = await calls.ask({ method: 'POST', path, body: configMap('real') })
      const never = reference(real, { name: 'never', uid: '00000000-0000-4000-8000-000000000000' })
      await calls.ask({ method: 'POST', path, body: dependent('dangling', [never]) })
      await calls.settled({ path: `${path}/dangling` }, isGone, whole)
      await calls.ask({ method: 'POST', path, body: dependent('shared', [reference(real), never]) })
      const isLeft = (body: unknown): boolean => Array.isArray(at(body, 'metadata', 'ownerReferences')) && (at(body, 'metadata', 'ownerReferences') as unknown[]).length === 1 // prettier-ignore
      await calls.settled({ path: `${path}/shared` }, isLeft, metadataOf)
    },
  },
  {
    name: 'loops: a namespace goes with all that is in it',
    run: async (calls) => {
      const place = await Place.make(calls, 'loops-namespace')
      await owned(calls, place)
      await place.createSet({ replicas: 1 })
      await place.podsAre(POD_0)
      await calls.ask({ method: 'DELETE', path: '/api/v1/namespaces/loops-namespace' })
      await calls.settled({ path: '/api/v1/namespaces/loops-namespace' }, isGone, whole)
      await calls.send({ path: place.core('persistentvolumeclaims') })
      await calls.send({ path: place.group('raftkv.dev/v1alpha1', 'raftclusters') })
    },
  },
]

const budget = (spec: Fields): Fields => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name: SET },
  spec: { selector: { matchLabels: { app: SET } }, ...spec },
})

const eviction = (name: string): Fields => ({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } })

/** Ready pods of a set under a budget. */
async function guarded(calls: Calls, name: string, spec: Fields): Promise<{ place: Place; path: string }> {
  const place = await Place.make(calls, name)
  await place.createSet({})
  await place.podsAre(POD_0, POD_1, POD_2)
  for (const each of [POD_0, POD_1, POD_2]) await place.makeReady(each, '10.0.0.1')
  await calls.ask({ method: 'POST', path: place.group('policy/v1', 'poddisruptionbudgets'), body: budget(spec) })
  return { place, path: place.group('policy/v1', 'poddisruptionbudgets', SET) }
}

const isCounted =
  (expectedPods: number, currentHealthy: number, disruptionsAllowed: number) =>
  (body: unknown): boolean =>
    Object.entries({ expectedPods, currentHealthy, disruptionsAllowed }).every(
      ([name, count]) => at(body, 'status', name) === count,
    )
const budgetStatus = (body: unknown): unknown => ({ ...(at(body, 'status') as Fields), disruptedPods: undefined })

const budgetCases: readonly Case[] = [
  {
    name: 'loops: a budget lets one of three go, and then none',
    run: async (calls) => {
      const { place, path } = await guarded(calls, 'loops-budget', { minAvailable: 2 })
      await calls.settled({ path }, isCounted(3, 3, 1), budgetStatus)
      await calls.send({ method: 'POST', path: `${place.core('pods', POD_0)}/eviction`, body: eviction(POD_0) })
      await calls.settled({ path }, (body) => at(body, 'status', 'disruptionsAllowed') === 0, () => undefined) // prettier-ignore
      await calls.send({ method: 'POST', path: `${place.core('pods', POD_1)}/eviction`, body: eviction(POD_1) })
    },
  },
  {
    name: 'loops: a budget counts the pods that are ready',
    run: async (calls) => {
      const { place, path } = await guarded(calls, 'loops-ready', { maxUnavailable: '50%' })
      await calls.settled({ path }, isCounted(3, 3, 2), budgetStatus)
      await place.delete(place.core('pods', POD_2))
      await calls.settled({ path }, isCounted(3, 2, 1), budgetStatus)
      await place.editSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      await calls.settled({ path }, isCounted(2, 2, 1), budgetStatus)
    },
  },
]

const serviceCases: readonly Case[] = [
  {
    name: 'loops: endpoints of pods that are ready, and of those that are not where it is asked for',
    run: async (calls) => {
      await addNode(calls)
      const place = await Place.make(calls, 'loops-endpoints')
      for (const [name, publishNotReadyAddresses] of [
        ['ready-only', false],
        ['all', true],
      ] as const)
        // prettier-ignore
        await calls.ask({
          method: 'POST',
          path: place.core('services'),
          body: {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { name },
            spec: { clusterIP: 'None', publishNotReadyAddresses, selector: { app: SET }, ports: [{ port: 80, name: 'web' }] },
          },
        })
      await place.createSet({ replicas: 2 })
      await place.podsAre(POD_0, POD_1)
      await place.makeReady(POD_0, '10.0.0.1')
      const slices = (name: string): string =>
        `${place.group('discovery.k8s.io/v1', 'endpointslices')}?labelSelector=kubernetes.io%2Fservice-name%3D${name}`
      const view = (body: unknown): unknown =>
        items(body).map((each) => ({
          addressType: at(each, 'addressType'),
          endpoints: at(each, 'endpoints'),
          ports: at(each, 'ports'),
          owners: at(each, 'metadata', 'ownerReferences'),
        }))
      const has = (count: number) => (body: unknown): boolean => items(body).flatMap((each) => at(each, 'endpoints') ?? []).length === count // prettier-ignore
      await calls.settled({ path: slices('ready-only') }, has(1), view)
      await calls.settled({ path: slices('all') }, has(1), view)
    },
  },
]

export const controlLoopCases: readonly Case[] = [...setCases, ...garbageCases, ...budgetCases, ...serviceCases].map(
  (each) => ({ ...each, withControllers: true }),
)
