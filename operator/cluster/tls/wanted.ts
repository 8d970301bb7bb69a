/** Which certificates are needed now, and which are there. Pure. */
import type { TlsSide } from '../../api/tls.ts'
import { memberOrdinals, type Observed } from '../observed.ts'
import { desiredPods } from '../rules/replicas.ts'
import type { Pair } from './certificates.ts'
import { type LeafRequest, leavesOf } from './leaves.ts'
import { pairIn } from './secrets.ts'

/** For all that are to be members, and all that are. */
export function wantedLeaves(observed: Observed, side: TlsSide): readonly LeafRequest[] {
  const { cluster, pods } = observed
  const { start, end } = desiredPods(observed)
  const range = Array.from({ length: Math.max(end, cluster.spec.replicas) - start }, (_, index) => start + index)
  const ordinals = new Set([...range, ...memberOrdinals(observed), ...pods.keys()])
  return leavesOf(
    cluster,
    side,
    [...ordinals].toSorted((a, b) => a - b),
  )
}

export function leafIn(
  { objects }: Observed,
  { secret, files }: Pick<LeafRequest, 'secret' | 'files'>,
): Pair | undefined {
  return pairIn(objects.tls.get(secret), files)
}
