/**
 * Where ours differs from etcd on purpose. docs/differences-from-etcd.md has the same list as a table; differences.test.ts
 * keeps the two in step. A run reports each that did not occur: it may be gone, and then it goes from here as well.
 */
import type { Mismatch, Tree } from './tree.ts'

/** A mismatch and where it stood. */
export interface Occurrence {
  readonly path: string
  readonly request: Tree
  readonly etcd: Tree
  readonly ours: Tree
  readonly mismatch: Mismatch
}

export interface AllowedDifference {
  readonly id: string
  readonly what: string
  readonly etcd: string
  readonly ours: string
  readonly why: string
  readonly matches: (occurrence: Occurrence) => boolean
}

export const DIFFERENCES: readonly AllowedDifference[] = []

export function allowedDifference(occurrence: Occurrence): AllowedDifference | undefined {
  return DIFFERENCES.find(({ matches }) => matches(occurrence))
}
