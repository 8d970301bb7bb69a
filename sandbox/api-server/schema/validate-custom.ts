/** A custom resource against its CustomResourceDefinition: structure first, then the rules in CEL. */
import { at, type KubeObject } from '../object.ts'
import type { ResourceType } from '../resources/resource-type.ts'
import { invalidValue, type FieldProblem } from '../status-error.ts'
import { validateRules } from './rules.ts'
import { validateStructure } from './validate.ts'

/** With one of them rules could meet values that they do not expect. */
const BLOCKING: ReadonlySet<FieldProblem['reason']> = new Set([
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
])
const NOT_CHECKED: FieldProblem = {
  field: '<nil>',
  reason: 'FieldValueInvalid',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
}

/** What the subresource scale would have to show. */
function validateScale({ custom }: ResourceType, object: KubeObject): readonly FieldProblem[] {
  const path = custom?.scale?.specReplicas
  if (path === undefined) return []
  const value = at(object, ...path)
  const field = `.${path.join('.')}`
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value) && value >= 0)) return []
  if (typeof value === 'number' && Number.isInteger(value))
    return [invalidValue(field, value, 'should be a non-negative integer')]
  const type = typeof value === 'number' ? 'float64' : typeof value
  const shown = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return [invalidValue(field, 0, `${field} accessor error: ${shown} is of the type ${type}, expected int64`)]
}

export function validateCustom(
  type: ResourceType,
  object: KubeObject,
  existing: KubeObject | undefined,
): readonly FieldProblem[] {
  const { schema } = type
  const problems = [...validateStructure(object, schema), ...validateScale(type, object)]
  if (problems.some(({ reason }) => BLOCKING.has(reason))) return [...problems, NOT_CHECKED]
  return [...problems, ...validateRules(object, existing, schema)]
}
