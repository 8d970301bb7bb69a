type Json = Readonly<Record<string, unknown>>

/** Fields of containers and volumes of which Kubernetes does not keep that they are false, or 0. */
const UNKEPT: ReadonlySet<string> = new Set([
  'readOnly',
  'stdin',
  'stdinOnce',
  'tty',
  'hostPort',
  'initialDelaySeconds',
])

/**
 * What a user says of a pod, without what the API server does not keep: empty texts and lists, and the like. It would be
 * missed in the object at every look, and applied again. Pure.
 */
export function kept(fields: Json): Json {
  const some = Object.entries(fields).filter(([name, value]) => !isNothing(value) && !(UNKEPT.has(name) && !value))
  return Object.fromEntries(some.map(([name, value]) => [name, keptValue(value)]))
}

function keptValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(keptValue)
  return typeof value === 'object' && value !== null ? kept({ ...value }) : value
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)
}
