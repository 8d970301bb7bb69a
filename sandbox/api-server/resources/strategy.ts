/**
 * What the server does for one kind beside storing it: what it fills in, what a client may not set or change. The rules
 * of each kind are in `strategies/`; a kind without one is stored as it comes.
 */
import { isEqual, isObject, type Json, type KubeObject } from '../object.ts'
import type { Api } from '../rest/call.ts'
import type { FieldProblem } from '../status-error.ts'
import { hasSubresource, type ResourceType } from './resource-type.ts'
import { configStrategies } from './strategies/configuration.ts'
import { crdStrategy } from './strategies/custom-resource-definition.ts'
import { podStrategy } from './strategies/pod.ts'
import { serviceStrategies } from './strategies/service.ts'
import { storageStrategies } from './strategies/storage.ts'
import { workloadStrategies } from './strategies/workload.ts'

export interface Strategy {
  /** `metadata.generation` counts changes of what a user wants. */
  readonly hasGeneration?: boolean
  /** A create keeps the status that it is sent. */
  readonly keepsStatusOnCreate?: boolean
  /** A delete answers with the object, not with a Status. */
  readonly returnsDeleted?: boolean
  /** What decoding fills in, also for an update. In place. */
  readonly setDefaults?: (object: KubeObject) => void
  /** In place, after the defaults; may read other objects. */
  readonly prepareCreate?: (object: KubeObject, api: Api) => void
  readonly prepareUpdate?: (object: KubeObject, existing: KubeObject, api: Api) => void
  readonly validate?: (object: KubeObject, existing: KubeObject | undefined) => readonly FieldProblem[]
}

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

/** Puts there what `existing` has, or nothing. */
export function keep(object: KubeObject, existing: KubeObject | undefined, name: string): void {
  const value = existing?.[name]
  if (value === undefined) delete object[name]
  else object[name] = isObject(value) ? structuredClone(value) : value
}
