/** A custom resource against its CustomResourceDefinition: structure first, then the rules in CEL. */
import type { KubeObject } from '../object.ts'
import type { ResourceType } from '../resources/resource-type.ts'
import type { FieldProblem } from '../status-error.ts'
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

export function validateCustom(
  { schema }: ResourceType,
  object: KubeObject,
  existing: KubeObject | undefined,
): readonly FieldProblem[] {
  const problems = validateStructure(object, schema)
  if (problems.some(({ reason }) => BLOCKING.has(reason))) return [...problems, NOT_CHECKED]
  return [...problems, ...validateRules(object, existing, schema)]
}
