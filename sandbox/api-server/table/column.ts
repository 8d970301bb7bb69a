/** One column of what `kubectl get` shows. */
import type { Json, KubeObject } from '../object.ts'

export interface Column {
  readonly name: string
  readonly type: string
  readonly format?: string
  readonly description?: string
  /** Above 0: only with `-o wide`. */
  readonly priority: number
  readonly cell: (object: KubeObject, nowMs: number) => Json
}
