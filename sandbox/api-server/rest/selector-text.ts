/** A LabelSelector in the form of a query. */
import { isObject, listAt, objectAt, textAt, type Json } from '../object.ts'

export function selectorText(selector: Json | undefined): string {
  if (!isObject(selector)) return ''
  const labels = Object.entries(objectAt(selector, 'matchLabels')).map(([key, value]) => `${key}=${textAt(value)}`)
  const expressions = listAt(selector, 'matchExpressions').map((expression) => {
    const key = textAt(expression, 'key')
    const values = listAt(expression, 'values')
      .map((value) => textAt(value))
      .join(',')
    const operator = textAt(expression, 'operator')
    if (operator === 'Exists') return key
    return operator === 'DoesNotExist' ? `!${key}` : `${key} ${operator.toLowerCase()} (${values})`
  })
  return [...labels, ...expressions].toSorted().join(',')
}
