/** Bugs in what holds a RaftCluster until its volumes go with it: operator/cluster/reconcile.test.ts looks for them. */
import type { Mutant } from './plant.ts'

const CLAIMS = 'operator/cluster/rules/claims.ts'

export const OWNER_MUTANTS: readonly Mutant[] = [
  {
    name: 'a volume that a pod is still to get holds no RaftCluster',
    file: CLAIMS,
    find: 'ordinals.every((ordinal) => isSafe(volumes.get(ordinal)))',
    replace: 'true',
  },
  {
    name: 'a volume without an owner holds no RaftCluster',
    file: CLAIMS,
    find: 'volume?.isOwned === true',
    replace: 'volume !== undefined',
  },
]
