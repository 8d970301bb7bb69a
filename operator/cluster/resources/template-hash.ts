/**
 * What the spec says about pods, as a number: pods with another one are made from an earlier spec and are renewed. It is
 * of the spec and not of the pod template, so that another operator, which may make other pods of the same spec, does not
 * restart every cluster by itself. A field that a later version adds is left out of it while it has its default.
 */
import type { RaftCluster } from '../../api/raft-cluster.ts'
import { hashOf } from './hash.ts'

/** A look at a cluster asks for each of its pods; what was read of the cluster is never changed in place. */
const known = new WeakMap<Source, string>()
type Source = Pick<RaftCluster, 'spec' | 'requests'>

export function templateHash(source: Source): string {
  const { image, resources, podTemplate, options } = source.spec
  const input = { image, resources, podTemplate, options, restartedAt: source.requests.restartedAt }
  const hash = known.get(source) ?? hashOf(input)
  known.set(source, hash)
  return hash
}
