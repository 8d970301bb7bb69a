/**
 * What the spec says about pods, as a number: pods with another one are made from an earlier spec and are renewed. It is
 * of the spec and not of the pod template, so that another operator, which may make other pods of the same spec, does not
 * restart every cluster by itself. What has its default is left out, and with it every field that a later version adds. A
 * default therefore never changes.
 */
import { DEFAULT_SPEC, type RaftCluster } from '../../api/raft-cluster.ts'
import { hashOf } from './hash.ts'

/** A look at a cluster asks for each of its pods; what was read of the cluster is never changed in place. */
const known = new WeakMap<Source, string>()
type Source = Pick<RaftCluster, 'spec' | 'requests'>
type Json = Readonly<Record<string, unknown>>

export function templateHash(source: Source): string {
  const hash =
    known.get(source) ??
    hashOf({ ...differing(ofPods(source.spec), ofPods(DEFAULT_SPEC)), restartedAt: source.requests.restartedAt })
  known.set(source, hash)
  return hash
}

function ofPods({ image, resources, podTemplate, options }: RaftCluster['spec']): Json {
  return { image, resources, podTemplate, options }
}

/** What is not as it would be by itself. */
function differing(fields: Json, usual: Json): Json {
  const some = Object.entries(fields).flatMap(([name, value]): readonly (readonly [string, unknown])[] => {
    const before = usual[name]
    if (hashOf(value) === hashOf(before)) return []
    return [[name, isJson(value) && isJson(before) ? differing(value, before) : value]]
  })
  return Object.fromEntries(some)
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
