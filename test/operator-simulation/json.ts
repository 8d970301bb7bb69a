/** Plain JSON of objects whose shape only their owner knows. */
export type Json = Readonly<Record<string, unknown>>

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object at that path; empty where there is none. */
export function at(value: unknown, ...path: readonly string[]): Json {
  const found = valueAt(value, ...path)
  return isJson(found) ? found : {}
}

export function valueAt(value: unknown, ...path: readonly string[]): unknown {
  let found: unknown = value
  for (const name of path) found = isJson(found) ? found[name] : undefined
  return found
}

export function numberAt(value: unknown, ...path: readonly string[]): number {
  const found = valueAt(value, ...path)
  return typeof found === 'number' ? found : 0
}

export function textAt(value: unknown, ...path: readonly string[]): string {
  const found = valueAt(value, ...path)
  return typeof found === 'string' ? found : ''
}

export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = valueAt(value, ...path)
  return Array.isArray(found) ? found : []
}

/** Equal but for the order of fields; a field that is undefined is none. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => isEqual(item, b[index]))
  if (!isJson(a) || !isJson(b)) return false
  for (const name of Object.keys(a)) if (!isEqual(a[name], b[name])) return false
  for (const name of Object.keys(b)) if (b[name] !== undefined && !(name in a)) return false
  return true
}
