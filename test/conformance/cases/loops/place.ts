import type { Calls } from '../../case.ts'
import { at, statefulSet, textAt, type Fields } from '../../objects.ts'

export const MERGE = 'application/merge-patch+json'
/** Without a kubelet nobody ends a pod's containers. */
const AT_ONCE = { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 }

export const SET = 'store'
export const [POD_0, POD_1, POD_2] = [`${SET}-0`, `${SET}-1`, `${SET}-2`]
export const [CLAIM_0, CLAIM_1, CLAIM_2] = [`data-${POD_0}`, `data-${POD_1}`, `data-${POD_2}`]
const NODE = 'nowhere'

/** Endpoints are only of pods whose node is known. Nothing else is put on this one. */
export async function addNode({ ask }: Calls): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'Node', metadata: { name: NODE }, spec: { unschedulable: true } }
  await ask({ method: 'POST', path: '/api/v1/nodes', body })
}

/**
 * A namespace of its own for each case, with a StatefulSet in it. There is neither a scheduler nor a kubelet: pods are bound to
 * a node that is not there, and the cases say of each what a kubelet would.
 */
export class Place {
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

  /** A change that means nothing, for control loops that look again only when a pod changes. */
  async touch(name: string): Promise<void> {
    const body = { metadata: { annotations: { touched: 'yes' } } }
    await this.#calls.ask({ method: 'PATCH', path: this.core('pods', name), body, contentType: MERGE })
  }

  async delete(path: string, options: Fields = {}): Promise<void> {
    await this.#calls.ask({ method: 'DELETE', path, body: { ...AT_ONCE, ...options } })
  }

  /** Waits for exactly these, in the order of their names. */
  async podsAre(...names: readonly string[]): Promise<void> {
    const view = (body: unknown): unknown => items(body).map((each) => this.#podView(each))
    await this.#calls.settled({ path: this.core('pods') }, (body) => namesOf(body).join() === names.join(), view)
  }

  /** The same, once each has an owner. */
  async podsAreOwned(...names: readonly string[]): Promise<void> {
    const isThere = (body: unknown): boolean => namesOf(body).join() === names.join() && items(body).every(isOwned)
    await this.#calls.settled({ path: this.core('pods') }, isThere, (body) =>
      items(body).map((each) => this.#podView(each)),
    )
  }

  claimsAre(...names: readonly string[]): Promise<void> {
    return this.#claims((body) => namesOf(body).join() === names.join())
  }

  /** Also waits until each has got its owner, which the real controller gives it in a write of its own. */
  claimsAreOwned(...names: readonly string[]): Promise<void> {
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

export const isOwned = (each: unknown): boolean => at(each, 'metadata', 'ownerReferences') !== undefined

export function items(body: unknown): readonly unknown[] {
  const list = at(body, 'items')
  return Array.isArray(list) ? list : []
}

function namesOf(body: unknown): readonly string[] {
  return items(body).map((each) => textAt(each, 'metadata', 'name'))
}

export function claimView(each: unknown): unknown {
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
