/** Secrets as pods have them: as their kubelet, or whoever reads them, found them last, and as their member can use them. */
import type { KubeObject } from '../ports.ts'
import { isUsable, type Mounted } from './fake-tls.ts'

export type ReadSecret = (name: string) => KubeObject | undefined

export class MountedSecrets {
  /** By UID of a pod: by name of the Secret. */
  readonly #mounts = new Map<string, ReadonlyMap<string, Mounted>>()

  of(pod: KubeObject): ReadonlyMap<string, Mounted> {
    return this.#mounts.get(pod.metadata.uid ?? '') ?? new Map()
  }

  /** Its kubelet looks. What is deleted stays in the pods that have it, and a member goes on with what it has while files are broken. */
  look(pod: KubeObject, read: ReadSecret): void {
    const before = this.of(pod)
    const names = namesIn(pod)
    const now = names.flatMap((name) => {
      const content = contentOf(read(name))
      const had = before.get(name)
      const isNews = content !== undefined && JSON.stringify(content) !== JSON.stringify(had)
      const isTaken = isNews && (had === undefined || isUsable(name, pod.metadata.name, content))
      const used = isTaken ? content : had
      return used === undefined ? [] : [[name, used] as const]
    })
    this.#mounts.set(pod.metadata.uid ?? '', new Map(now))
  }
}

export function contentOf(secret: KubeObject | undefined): Mounted | undefined {
  const data: unknown = secret?.['data']
  if (secret === undefined) return undefined
  const texts = Object.entries(Object(data)).map(
    ([key, value]) => [key, Buffer.from(String(value), 'base64').toString()] as const,
  )
  return Object.fromEntries(texts)
}

function namesIn(pod: KubeObject): readonly string[] {
  const volumes: unknown = Object(pod['spec'])['volumes']
  return (Array.isArray(volumes) ? volumes : []).flatMap((volume: unknown) => {
    const name: unknown = Object(Object(volume)['secret'])['secretName']
    return typeof name === 'string' ? [name] : []
  })
}
