/** What the server does for one kind beside storing it: what it fills in, what a client may not set or change. */
import { isObject, type KubeObject } from '../object.ts'
import type { Api } from '../rest/call.ts'
import type { FieldProblem } from '../status-error.ts'

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

/** Puts there what `existing` has, or nothing. */
export function keep(object: KubeObject, existing: KubeObject | undefined, name: string): void {
  const value = existing?.[name]
  if (value === undefined) delete object[name]
  else object[name] = isObject(value) ? structuredClone(value) : value
}
