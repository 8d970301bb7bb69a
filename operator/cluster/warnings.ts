/**
 * What Kubernetes' own controllers said last about an object that they could not get any further: only their events have it.
 * Asked for where something is missing, and never needed for a decision: without the right to read events, or an answer,
 * there are just no words.
 */
import { z } from 'zod'
import { KubeError, type KubeReader } from './ports.ts'

const Event = z.object({
  type: z.string().default(''),
  reason: z.string().default(''),
  note: z.string().default(''),
  eventTime: z.string().nullish(),
  deprecatedLastTimestamp: z.string().nullish(),
  series: z.object({ lastObservedTime: z.string().nullish() }).nullish(),
  metadata: z.object({ creationTimestamp: z.string().nullish() }),
})

type Event = z.output<typeof Event>

const MAX_CHARACTERS = 1000

/** The newest warning with one of the reasons, unless an event of `endedBy` came after it. */
export async function lastWarning(
  reader: KubeReader,
  about: { readonly namespace: string; readonly uid: string },
  reasons: readonly string[],
  endedBy: readonly string[] = [],
): Promise<string | undefined> {
  const events = await eventsAbout(reader, about)
  const newest = events
    .filter(({ reason }) => [...reasons, ...endedBy].includes(reason))
    .toSorted(byTime)
    .at(-1)
  if (newest === undefined || endedBy.includes(newest.reason)) return undefined
  return newest.note.slice(0, MAX_CHARACTERS)
}

async function eventsAbout(
  reader: KubeReader,
  { namespace, uid }: { readonly namespace: string; readonly uid: string },
): Promise<readonly Event[]> {
  try {
    const query = { apiVersion: 'events.k8s.io/v1', kind: 'Event', namespace, fieldSelector: `regarding.uid=${uid}` }
    return (await reader.list(query)).flatMap((object) => {
      const event = Event.safeParse(object)
      return event.success ? [event.data] : []
    })
  } catch (error) {
    if (!(error instanceof KubeError)) throw error
    return []
  }
}

function byTime(a: Event, b: Event): number {
  return timeOf(a) - timeOf(b)
}

/** Of its last occurrence. */
function timeOf({ eventTime, deprecatedLastTimestamp, series, metadata }: Event): number {
  const times = [series?.lastObservedTime, deprecatedLastTimestamp, eventTime, metadata.creationTimestamp]
  return Math.max(0, ...times.map((text) => Date.parse(text ?? '')).filter((ms) => !Number.isNaN(ms)))
}
