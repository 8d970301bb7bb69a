/** Whether an object already says what we want to apply. Pure. */
import { isSameQuantity } from '../../lib/quantity.ts'

/**
 * Every field of `wanted` has its value in `present`, which may have more: defaults and what others own. Lists must have
 * equal lengths; quantities are compared by value, since the API server rewrites them ("1000m" becomes "1").
 */
export function hasFields(present: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(present) || present.length !== wanted.length) return false
    return wanted.every((item, index) => hasFields(present[index], item))
  }
  if (isRecord(wanted)) {
    if (!isRecord(present)) return Object.keys(wanted).length === 0
    return Object.entries(wanted).every(([key, value]) => value === undefined || hasFields(present[key], value))
  }
  if (present === wanted) return true
  return isScalar(present) && isScalar(wanted) && isSameQuantity(String(present), String(wanted))
}

function isScalar(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
