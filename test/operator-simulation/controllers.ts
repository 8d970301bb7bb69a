/**
 * The controllers of Kubernetes that the operator relies on: StatefulSets (parallel, replaced only when deleted), garbage
 * collection by owner references, volumes that are bound, grown, and held while a pod uses them. They look some time after
 * something has changed, as slow as controllers are.
 */
import { hashOf } from '../../operator/cluster/resources/hash.ts'
import { at, type Json, listAt, numberAt, textAt } from './json.ts'
import type { StoredObject } from './api-server.ts'
import type { World } from './world.ts'

/** At the longest, from a change to their next look. */
const LOOK_MS = 400

export class Controllers {
  /** Volumes that are not provisioned yet, by name. */
  readonly stuckVolumes = new Set<string>()
  readonly #world: World
  #isAsked = false

  constructor(world: World) {
    this.#world = world
  }

  ask(): void {
    if (this.#isAsked) return
    this.#isAsked = true
    this.#world.schedule.after(5 + this.#world.random.below(LOOK_MS), () => {
      this.#isAsked = false
      this.#look()
    })
  }

  #look(): void {
    const { server } = this.#world
    this.#collectGarbage()
    for (const volume of server.list('PersistentVolumeClaim')) this.#lookAtVolume(volume)
    for (const set of server.list('StatefulSet')) this.#lookAtSet(set)
    for (const pod of server.list('Pod')) {
      const isOver = textAt(pod, 'status', 'phase') === 'Failed' && pod.metadata.deletionTimestamp === undefined
      if (isOver) server.remove(pod)
    }
  }

  #collectGarbage(): void {
    const { server } = this.#world
    const uids = new Set([...server.all()].map(({ metadata }) => metadata.uid))
    for (const object of Array.from(server.all())) {
      const owners = object.metadata.ownerReferences ?? []
      if (owners.length > 0 && owners.every(({ uid }) => !uids.has(uid)))
        server.delete(object.kind, object.metadata.name, object.metadata.uid)
    }
  }

  #lookAtVolume(volume: StoredObject): void {
    const { server } = this.#world
    const { name, deletionTimestamp } = volume.metadata
    if (deletionTimestamp !== undefined) {
      const isUsed = server.get('Pod', name.replace(/^data-/, '')) !== undefined
      if (isUsed) return this.ask()
      server.remove(volume)
      return
    }
    const wanted = textAt(volume, 'spec', 'resources', 'requests', 'storage')
    if (textAt(volume, 'status', 'capacity', 'storage') === wanted) return
    if (this.stuckVolumes.has(name)) return this.ask()
    server.applyStatus({ ...volume, metadata: { name }, status: { phase: 'Bound', capacity: { storage: wanted } } })
  }

  #lookAtSet(set: StoredObject): void {
    const { server } = this.#world
    const start = numberAt(set, 'spec', 'ordinals', 'start')
    const end = start + numberAt(set, 'spec', 'replicas')
    const revision = revisionOf(set)
    const pods = server
      .list('Pod')
      .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === set.metadata.uid))
    for (const pod of pods) {
      const ordinal = Number(pod.metadata.name.slice(set.metadata.name.length + 1))
      if (ordinal < start || ordinal >= end) server.delete('Pod', pod.metadata.name, pod.metadata.uid)
    }
    for (let ordinal = start; ordinal < end; ordinal++) this.#startPod(set, ordinal, revision)
    const status = {
      replicas: pods.length,
      updateRevision: revision,
      currentRevision: revision,
      observedGeneration: set.metadata.generation,
    }
    server.applyStatus({ ...set, metadata: { name: set.metadata.name }, status })
  }

  #startPod(set: StoredObject, ordinal: number, revision: string): void {
    const { server } = this.#world
    const name = `${set.metadata.name}-${ordinal}`
    if (server.get('Pod', name) !== undefined) return
    const volume = server.get('PersistentVolumeClaim', `data-${name}`)
    if (volume?.metadata.deletionTimestamp !== undefined) return this.ask()
    const [template] = listAt(set, 'spec', 'volumeClaimTemplates')
    if (volume === undefined)
      server.create({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: `data-${name}`, labels: textLabels(at(template, 'metadata', 'labels')) },
        spec: at(template, 'spec'),
        status: { phase: 'Pending' },
      })
    const labels = textLabels(at(set, 'spec', 'template', 'metadata', 'labels'))
    const { apiVersion, kind, metadata } = set
    const annotations = textLabels(at(set, 'spec', 'template', 'metadata', 'annotations'))
    server.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        labels: { ...labels, 'controller-revision-hash': revision },
        annotations,
        ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: true }],
      },
      spec: at(set, 'spec', 'template', 'spec'),
      status: { phase: 'Pending', conditions: [] },
    })
  }
}

function textLabels(labels: Json): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]))
}

const revisions = new WeakMap<object, string>()

/** By what is in the template, in whatever order its fields have come. */
export function revisionOf(set: StoredObject): string {
  const template = at(set, 'spec', 'template')
  const known = revisions.get(template)
  if (known !== undefined) return known
  const revision = `r-${hashOf(template)}`
  revisions.set(template, revision)
  return revision
}
