/**
 * What the spec says about pods, as a number: pods with another one are made from an earlier spec and are renewed. It is
 * of the spec and not of the pod template, so that another operator, which may make other pods of the same spec, does not
 * restart every cluster by itself. What has its default is left out, and with it every field that a later version adds. A
 * default therefore never changes.
 */
import { createHash } from 'node:crypto'
import { DEFAULT_SPEC, type RaftCluster } from '../../api/raft-cluster.ts'

/** A look at a cluster asks for each of its pods; what was read of the cluster is never changed in place. */
const known = new WeakMap<Source, string>()
type Source = Pick<RaftCluster, 'spec' | 'requests'>

export function templateHash(source: Source): string {
  const hash = known.get(source) ?? hashOf(source)
  known.set(source, hash)
  return hash
}

function hashOf({ spec, requests }: Source): string {
  const input = { ...ofPods(spec), restartedAt: requests.restartedAt }
  return createHash('sha256')
    .update(canonical(input, ofPods(DEFAULT_SPEC)))
    .digest('hex')
    .slice(0, 16)
}

function ofPods({ image, resources, podTemplate, options }: RaftCluster['spec']): object {
  return { image, resources, podTemplate, options }
}

/** JSON with its fields in order, since the API server may answer in another one each time, and without what is as in `base`. */
function canonical(value: unknown, base?: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value)
    .map(([name, field]) => [name, field, isObject(base) ? Reflect.get(base, name) : undefined] as const)
    .filter(([, field, usual]) => field !== undefined && canonical(field) !== canonical(usual))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field, usual]) => `${JSON.stringify(name)}:${canonical(field, usual)}`).join(',')}}`
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
