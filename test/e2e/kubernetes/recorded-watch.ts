/** One watch on ConfigMaps, from before the first write to after the last: it must not break, and must tell everything once. */
import { z } from 'zod'
import { lines, type Kube } from '../cluster/kube.ts'

const Event = z.object({
  type: z.string(),
  object: z.looseObject({
    metadata: z.looseObject({ name: z.string().default(''), resourceVersion: z.string().default('') }),
  }),
})

export interface WatchedEvent {
  readonly type: string
  readonly name: string
  readonly resourceVersion: number
}

export interface RecordedWatch {
  readonly events: readonly WatchedEvent[]
  /** Why it ended before it was told to. */
  brokenBy(): string | undefined
  stop(): void
}

export async function recordWatch(kube: Kube, path: string, resourceVersion: string): Promise<RecordedWatch> {
  const stopping = new AbortController()
  const events: WatchedEvent[] = []
  let broken: string | undefined
  const answer = await fetch(`${kube.url}${path}?watch=1&resourceVersion=${resourceVersion}`, {
    signal: stopping.signal,
  })
  const { body } = answer
  if (!answer.ok || body === null) throw new Error(`watch ${path} answers ${answer.status}`)
  const follow = async (): Promise<void> => {
    for await (const line of lines(body)) {
      const { type, object } = Event.parse(JSON.parse(line))
      events.push({ type, name: object.metadata.name, resourceVersion: Number(object.metadata.resourceVersion) })
      if (type === 'ERROR') throw new Error(line.slice(0, 300))
    }
    throw new Error('the server ended it')
  }
  follow().catch((error: unknown) => {
    if (!stopping.signal.aborted) broken = String(error)
  })
  return { events, brokenBy: () => broken, stop: () => stopping.abort() }
}
