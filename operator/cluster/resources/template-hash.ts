/**
 * What the spec says about pods, as a number: pods with another one are made from an earlier spec and are renewed. It is
 * of the spec and not of the pod template, so that another operator, which may make other pods of the same spec, does not
 * restart every cluster by itself. A field that a later version adds is left out of it while it has its default.
 */
import { createHash } from 'node:crypto'
import type { RaftCluster } from '../../api/raft-cluster.ts'

/** A look at a cluster asks for each of its pods; what was read of the cluster is never changed in place. */
const known = new WeakMap<Source, string>()
type Source = Pick<RaftCluster, 'spec' | 'requests'>

export function templateHash(source: Source): string {
  const hash = known.get(source) ?? hashOf(source)
  known.set(source, hash)
  return hash
}

function hashOf({ spec, requests }: Source): string {
  const { image, resources, podTemplate, options } = spec
  const input = { image, resources, podTemplate, options, restartedAt: requests.restartedAt }
  return createHash('sha256').update(canonical(input)).digest('hex').slice(0, 16)
}

/** JSON with its fields in order: the API server may answer in another one each time. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`
}
