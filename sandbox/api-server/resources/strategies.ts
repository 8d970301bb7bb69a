/** Which strategy each kind has; a kind without one is stored as it comes. */
import { isEqual, type Json, type KubeObject } from '../object.ts'
import { hasSubresource, type ResourceType } from './resource-type.ts'
import { configStrategies } from './strategies/configuration.ts'
import { crdStrategy } from './strategies/custom-resource-definition.ts'
import { podStrategy } from './strategies/pod.ts'
import { serviceStrategies } from './strategies/service.ts'
import { storageStrategies } from './strategies/storage.ts'
import { workloadStrategies } from './strategies/workload.ts'
import type { Strategy } from './strategy.ts'

const STRATEGIES: Readonly<Record<string, Strategy>> = {
  '/pods': podStrategy,
  'apiextensions.k8s.io/customresourcedefinitions': crdStrategy,
  ...configStrategies,
  ...serviceStrategies,
  ...storageStrategies,
  ...workloadStrategies,
}

const NONE: Strategy = {}
const CUSTOM: Strategy = { hasGeneration: true }

export function strategyOf(type: ResourceType): Strategy {
  if (type.custom !== undefined) return CUSTOM
  return STRATEGIES[`${type.group}/${type.resource}`] ?? NONE
}

/** Whether what a user wants has changed, so that the generation must. */
export function isSpecChanged(type: ResourceType, before: KubeObject, after: KubeObject): boolean {
  if (hasSubresource(type, 'status') && type.custom === undefined) return !isEqual(before['spec'], after['spec'])
  const without = (object: KubeObject): Json => {
    const { metadata: _, apiVersion: _apiVersion, kind: _kind, ...rest } = object
    if (hasSubresource(type, 'status')) delete rest['status']
    return rest
  }
  return !isEqual(without(before), without(after))
}
