/**
 * Revisions of a pod template. A revision's name is part of each pod's labels, so it must be the same for the same
 * template. Pure.
 */
import { createHash } from 'node:crypto'
import type { NewObject, StoredObject } from '../../client/object.ts'
import { controlledBy, isEqual } from '../../client/object.ts'
import type { StatefulSet } from './model.ts'
import { Revision } from './model.ts'

const HASH_LABEL = 'controller.kubernetes.io/hash'
/** Without vowels and look-alikes, as Kubernetes writes such hashes. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'

export type RevisionChoice =
  /** The template has been seen before: under the newest revision, or one that has to become the newest. */
  | { readonly kind: 'known'; readonly name: string; readonly template: unknown }
  | { readonly kind: 'renumber'; readonly object: StoredObject; readonly revision: number }
  | { readonly kind: 'create'; readonly object: NewObject }

export function dataOf({ spec }: StatefulSet): Readonly<Record<string, unknown>> {
  return { spec: { template: { ...spec.template, $patch: 'replace' } } }
}

export function chooseRevision(set: StatefulSet, revisions: readonly StoredObject[]): RevisionChoice {
  const data = dataOf(set)
  const numbered = revisions
    .map((object) => ({ object, ...Revision.parse(object) }))
    .toSorted((a, b) => a.revision - b.revision)
  const newest = numbered.at(-1)
  const equal = numbered.findLast((candidate) => isEqual(candidate.data, data))
  if (equal === undefined) return { kind: 'create', object: newRevision(set, data, (newest?.revision ?? 0) + 1) }
  if (equal === newest) return { kind: 'known', name: equal.object.metadata.name, template: set.spec.template }
  return { kind: 'renumber', object: equal.object, revision: (newest?.revision ?? 0) + 1 }
}

function newRevision(set: StatefulSet, data: Readonly<Record<string, unknown>>, revision: number): NewObject {
  const { name, namespace } = set.object.metadata
  const hash = hashOf(data)
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace !== undefined && { namespace }),
      labels: { ...set.spec.selector.matchLabels, [HASH_LABEL]: hash },
      ownerReferences: controlledBy(set.object),
    },
    data,
    revision,
  }
}

/** Those that neither a pod nor the status needs, beyond the limit, oldest first. */
export function surplusRevisions(
  set: StatefulSet,
  revisions: readonly StoredObject[],
  inUse: ReadonlySet<string>,
): readonly StoredObject[] {
  const idle = revisions
    .filter(({ metadata }) => !inUse.has(metadata.name))
    .toSorted((a, b) => Revision.parse(a).revision - Revision.parse(b).revision)
  return idle.slice(0, Math.max(0, idle.length - set.spec.revisionHistoryLimit))
}

function hashOf(data: unknown): string {
  const digest = createHash('sha256').update(canonical(data)).digest()
  return [...digest.subarray(0, 10)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('')
}

/** The same text whatever the order of the names. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
