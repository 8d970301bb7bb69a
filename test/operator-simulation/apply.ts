/** Server-side apply, as far as the operator relies on it: one forced manager, lists replaced as a whole. */
import { isJson, type Json } from './json.ts'

/** `present` with what the manager applies now, less what it applied `before` and no longer names. */
export function applied(present: Json, before: Json | undefined, now: Json): Json {
  return merged(before === undefined ? present : without(present, before, now), now)
}

function merged(present: Json, now: Json): Json {
  const result: Record<string, unknown> = { ...present }
  for (const [name, value] of Object.entries(now)) {
    if (value === undefined) continue
    const old = result[name]
    result[name] = isJson(value) ? merged(isJson(old) ? old : {}, value) : value
  }
  return result
}

function without(present: Json, before: Json, now: Json): Json {
  const result: Record<string, unknown> = { ...present }
  for (const [name, value] of Object.entries(before)) {
    const next = now[name]
    const old = result[name]
    if (isJson(value) && isJson(old)) result[name] = without(old, value, isJson(next) ? next : {})
    else if (next === undefined) delete result[name]
    const left = result[name]
    if (next === undefined && isJson(left) && Object.keys(left).length === 0) delete result[name]
  }
  return result
}
