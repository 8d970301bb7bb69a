/** One event, two forms: the core group's, which is stored, and that of events.k8s.io. Source: API reference, Event. */
import { isObject, type Json, type JsonObject, type KubeObject } from '../object.ts'

const RENAMED: readonly (readonly [core: string, events: string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
]

function rename(object: JsonObject, names: ReadonlyMap<string, string>): JsonObject {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]): [string, Json] => [names.get(name) ?? name, value]),
  )
}

const toCore = new Map(RENAMED.map(([core, events]) => [events, core]))
const toEvents = new Map(RENAMED)

export function fromEventsGroup(event: KubeObject): KubeObject {
  const core = rename(event, toCore)
  for (const [name, value] of Object.entries({ source: {}, firstTimestamp: null, lastTimestamp: null }))
    core[name] ??= value
  return { ...core, apiVersion: 'v1' }
}

export function toEventsGroup(event: KubeObject): KubeObject {
  const renamed = rename(event, toEvents)
  return { ...renamed, apiVersion: 'events.k8s.io/v1', ...(isObject(renamed['regarding']) ? {} : { regarding: {} }) }
}
