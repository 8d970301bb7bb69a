/** A value as a number, whatever the order of its fields. Pure. */
import { createHash } from 'node:crypto'

export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex').slice(0, 16)
}

/** Whether two values have the same hash, without the price of two. */
export function isAlike(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b)
}

/** JSON with its fields in order: the API server may answer in another one each time. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`
}
