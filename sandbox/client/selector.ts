/** Label selectors as objects carry them. Pure. */
import { z } from 'zod'
import { unreachable } from '../../lib/assert.ts'

export const Selector = z.object({
  matchLabels: z.record(z.string(), z.string()).default({}),
  matchExpressions: z
    .array(
      z.object({
        key: z.string(),
        operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
        values: z.array(z.string()).default([]),
      }),
    )
    .default([]),
})
export type Selector = z.infer<typeof Selector>

/** No selector matches nothing, an empty one everything. */
export function matches(selector: Selector | undefined, labels: Readonly<Record<string, string>> = {}): boolean {
  if (selector === undefined) return false
  const hasLabels = Object.entries(selector.matchLabels).every(([key, value]) => labels[key] === value)
  return hasLabels && selector.matchExpressions.every((expression) => matchesOne(expression, labels))
}

function matchesOne(
  { key, operator, values }: Selector['matchExpressions'][number],
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = labels[key]
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    default:
      return unreachable(operator)
  }
}
