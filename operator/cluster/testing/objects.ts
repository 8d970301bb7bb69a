/** The objects of the operator's world: one RaftCluster, and what was made for it. */
import assert from 'node:assert/strict'
import { API_VERSION, KIND } from '../../api/raft-cluster.ts'
import type { KubeObject } from '../ports.ts'

export const KEY = { namespace: 'ns', name: 'kv' }

export type Json = Readonly<Record<string, unknown>>

/** What is not about TLS does without certificates, unless its spec says otherwise: most of a test's time would go into them. */
export const PLAIN: Json = {
  tls: { peer: { mode: 'Disabled' }, client: { mode: 'Disabled' } },
  networkPolicy: { enabled: false },
}

export class Objects {
  readonly objects = new Map<string, KubeObject>()
  #counter = 0

  constructor(spec: Json) {
    const metadata = { ...KEY, uid: 'cluster-uid', generation: 1 }
    this.put({ apiVersion: API_VERSION, kind: KIND, metadata, spec: { ...PLAIN, ...spec } })
  }

  /** Another one each time. */
  count(): number {
    return ++this.#counter
  }

  get(kind: string, name: string): KubeObject | undefined {
    return this.objects.get(`${kind}/${name}`)
  }

  put(object: KubeObject): KubeObject {
    const version = String(this.count())
    const uid = object.metadata.uid ?? `uid-${version}`
    const stored = { ...object, metadata: { ...object.metadata, uid, resourceVersion: version } }
    this.objects.set(`${object.kind}/${object.metadata.name}`, stored)
    return stored
  }

  all(kind: string): readonly KubeObject[] {
    return [...this.objects.values()].filter((object) => object.kind === kind)
  }

  resource(): KubeObject {
    const object = this.get(KIND, KEY.name)
    assert(object !== undefined)
    return object
  }

  status(): Json {
    return field(this.resource(), 'status')
  }

  edit(spec: Json): void {
    const object = this.resource()
    const generation = (object.metadata.generation ?? 0) + 1
    this.put({ ...object, metadata: { ...object.metadata, generation }, spec: { ...field(object, 'spec'), ...spec } })
  }

  annotate(annotations: Readonly<Record<string, string>>): void {
    const object = this.resource()
    this.put({ ...object, metadata: { ...object.metadata, annotations } })
  }

  replicas(): number {
    return Number(field(this.get('StatefulSet', KEY.name), 'spec')['replicas'] ?? 0)
  }

  /** Ordinals whose pods the StatefulSet has. */
  ordinals(): readonly number[] {
    return ordinalsOf(field(this.get('StatefulSet', KEY.name), 'spec'))
  }

  setReplicas(replicas: number): void {
    const set = this.get('StatefulSet', KEY.name)
    if (set !== undefined) this.put({ ...set, spec: { ...field(set, 'spec'), replicas } })
  }
}

export function ordinalsOf(set: Json): readonly number[] {
  const start = Number(field(set, 'ordinals')['start'] ?? 0)
  return Array.from({ length: Number(set['replicas'] ?? 0) }, (_, index) => start + index)
}

export function field(object: object | undefined, name: string): Json {
  const value: unknown = object === undefined ? undefined : Reflect.get(object, name)
  return typeof value === 'object' && value !== null ? (value as Json) : {}
}
