/**
 * Deployments of a world, and the pods of theirs that keep changes: they keep what there is when they are run, fail and start again
 * when they are told to, and answer from memory. Never may two of them write into one place.
 */
import assert from 'node:assert/strict'
import type { FollowStatus, Gap } from '../../../lib/follow-status.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import type { KubeObject } from '../../cluster/ports.ts'
import { followerUrl, SCHEDULE_LABEL } from '../follower.ts'

type Json = Readonly<Record<string, unknown>>

export const CLUSTER_ID = 'c1'

/** What it needs of the world around it. */
interface Objects {
  readonly nowMs: number
  /** Of the cluster. */
  readonly revision: number
  all(kind: string): readonly KubeObject[]
  put(object: KubeObject): KubeObject
  remove(kind: string, name: string): void
}

/** Of a pod that runs. */
interface Process {
  readonly ip: string
  readonly place: string
  status: FollowStatus
}

export class Followers {
  readonly #world: Objects
  readonly #processes = new Map<string, Process>()
  /** All that was ever told of what is kept, as `PLACE REVISION`. */
  readonly told = new Set<string>()
  /** Whether one that is to end goes on for a while. */
  lingers: () => boolean = () => false
  #addresses = 0

  constructor(world: Objects) {
    this.#world = world
  }

  pods(): readonly KubeObject[] {
    return this.#world.all('Pod').filter(({ metadata }) => metadata.labels?.[SCHEDULE_LABEL] !== undefined)
  }

  /** The controller of Deployments looks once, with the strategy Recreate; who is to end does so at the next look, or later. */
  run(): void {
    for (const pod of this.pods()) {
      const isToEnd = pod.metadata.deletionTimestamp !== undefined || ownerOf(this.#world, pod) === undefined
      if (isToEnd && !this.lingers()) this.end(pod)
    }
    for (const deployment of this.#world.all('Deployment')) this.#reconcile(deployment)
  }

  #reconcile(deployment: KubeObject): void {
    const { template, replicas } = Object(deployment['spec'])
    const pods = this.pods().filter((pod) => ownerOf(this.#world, pod) === deployment)
    const outdated = pods.filter((pod) => replicas === 0 || !isMadeFrom(pod, template))
    for (const pod of outdated)
      this.#world.put({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2026-11-30T00:00:00Z' } })
    if (pods.length === 0 && replicas === 1) this.#start(deployment, template)
  }

  #start({ metadata: { name, uid = '' } }: KubeObject, template: Json): void {
    const labels = Object(template['metadata']).labels
    // Somebody else's: what it does is none of ours.
    if (labels?.[SCHEDULE_LABEL] === undefined) return
    const place = flagOf(template, '--to=')
    const there = [...this.#processes.values()].filter((one) => one.place === place)
    assert.deepEqual(there, [], `two keep the changes in ${place}`)
    const count = ++this.#addresses
    const ip = `10.0.${count >> 8}.${count & 255}`
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'Deployment', name, uid, controller: true }]
    const pod = this.#world.put({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `${name}-${count}`, labels, ownerReferences },
      spec: template['spec'],
      status: { phase: 'Running', podIP: ip },
    })
    this.#processes.set(pod.metadata.name, { ip, place, status: { place } })
  }

  end(pod: KubeObject): void {
    this.#processes.delete(pod.metadata.name)
    this.#world.put({ ...pod, status: { phase: 'Succeeded' } })
    this.#world.remove('Pod', pod.metadata.name)
  }

  /** Its container starts again and knows nothing. */
  restart(pod: KubeObject): void {
    const process = this.#processes.get(pod.metadata.name)
    if (process !== undefined) process.status = { place: process.place }
  }

  /** Everything up to now is kept. */
  keep(pod: KubeObject): void {
    const { revision, nowMs } = this.#world
    this.#change(pod, (before) => {
      const { failure: _, gap, ...status } = before
      const kept = { revision, at: new Date(nowMs).toISOString() }
      return { ...status, clusterId: CLUSTER_ID, kept, ...(gap !== undefined && { gap: { ...gap, isClosed: true } }) }
    })
  }

  /** The bucket is away. */
  fail(pod: KubeObject, message: string): void {
    const at = new Date(this.#world.nowMs).toISOString()
    this.#change(pod, (status) => ({ ...status, failure: { at, message } }))
  }

  overtake(pod: KubeObject): void {
    const gap: Gap = { at: new Date(this.#world.nowMs).toISOString(), message: 'it was compacted', isClosed: false }
    this.#change(pod, (status) => ({ ...status, gap }))
  }

  #change(pod: KubeObject, change: (status: FollowStatus) => FollowStatus): void {
    const process = this.#processes.get(pod.metadata.name)
    if (process === undefined) return
    process.status = change(process.status)
    const { place, kept } = process.status
    if (kept !== undefined) this.told.add(`${place} ${kept.revision}`)
  }

  statusOf(pod: KubeObject): FollowStatus | undefined {
    return this.#processes.get(pod.metadata.name)?.status
  }

  ask(url: string): Promise<Result<FollowStatus, string>> {
    const process = [...this.#processes.values()].find(({ ip }) => followerUrl(ip) === url)
    return Promise.resolve(process === undefined ? err('no answer') : ok(process.status))
  }

  /** Before a Deployment is written. */
  checkApply(object: { readonly metadata: KubeObject['metadata'] }, present: KubeObject | undefined): void {
    const owner = object.metadata.ownerReferences?.[0]?.uid
    if (present !== undefined)
      assert.equal(present.metadata.ownerReferences?.[0]?.uid, owner, `${object.metadata.name} is somebody else's`)
  }

  /** What stands in a status of a ScheduledRaftBackup was said by a pod. */
  checkStatus(status: unknown): void {
    const { place, revision } = Object(Object(status).changeStream)
    if (revision !== undefined) assert(this.told.has(`${place} ${revision}`), `${place}: ${revision} was never kept`)
  }
}

function ownerOf(world: Objects, { metadata }: KubeObject): KubeObject | undefined {
  return world.all('Deployment').find((one) => one.metadata.uid === metadata.ownerReferences?.[0]?.uid)
}

function isMadeFrom(pod: KubeObject, template: Json): boolean {
  return JSON.stringify(pod['spec']) === JSON.stringify(template['spec'])
}

function flagOf(template: Json, prefix: string): string {
  const args: readonly string[] = Object(template['spec']).containers[0].args
  return args.find((arg) => arg.startsWith(prefix))?.slice(prefix.length) ?? ''
}
