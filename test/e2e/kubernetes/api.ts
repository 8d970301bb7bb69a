/** Writes through the Kubernetes API that go on when a request fails: who does not know the outcome asks for it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { Answer, Kube } from '../cluster/kube.ts'

const GIVE_UP_MS = 60_000
const PAUSE_MS = 100

const ConfigMap = z.object({
  metadata: z.object({ name: z.string(), resourceVersion: z.string() }),
  data: z.record(z.string(), z.string()).default({}),
})
export type ConfigMap = z.output<typeof ConfigMap>

export function parseConfigMap(value: unknown): ConfigMap {
  return ConfigMap.parse(value)
}

/** Repeats while the server says that it cannot answer now; `isRepeat` tells that an earlier try may have been done. */
export async function persist(
  what: string,
  attempt: (isRepeat: boolean) => Promise<Answer | undefined>,
): Promise<Answer> {
  const deadlineMs = performance.now() + GIVE_UP_MS
  let isRepeat = false
  for (;;) {
    const answer = await attempt(isRepeat).catch(() => undefined)
    if (answer !== undefined && answer.status < 500 && answer.status !== 429) return answer
    if (performance.now() > deadlineMs) throw new Error(`${what}: no answer within ${GIVE_UP_MS / 1000} s`)
    isRepeat = true
    await sleep(PAUSE_MS)
  }
}

/** AlreadyExists after a try of unknown outcome is that try's success. */
export async function create(kube: Kube, collection: string, object: object, what: string): Promise<void> {
  let mayExist = false
  const { status, text } = await persist(what, (isRepeat) => {
    mayExist = isRepeat
    return kube.send('POST', collection, object)
  })
  if (status === 201 || (status === 409 && mayExist)) return
  throw new Error(`create ${what} answers ${status}: ${text.slice(0, 300)}`)
}

export async function remove(kube: Kube, path: string): Promise<void> {
  let mayBeGone = false
  const { status, text } = await persist(path, (isRepeat) => {
    mayBeGone = isRepeat
    return kube.send('DELETE', path, { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background' })
  })
  if (status === 200 || status === 202 || (status === 404 && mayBeGone)) return
  throw new Error(`delete ${path} answers ${status}: ${text.slice(0, 300)}`)
}

export async function read(kube: Kube, path: string): Promise<unknown> {
  const { status, text } = await persist(path, () => kube.send('GET', path))
  if (status !== 200) throw new Error(`get ${path} answers ${status}: ${text.slice(0, 300)}`)
  return JSON.parse(text) as unknown
}

/** At most `width` at a time; the first failure ends it. */
export async function inParallel<Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await work(item)
    }),
  )
}
