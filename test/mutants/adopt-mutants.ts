/** Bugs in how volumes are taken over: operator/cluster/adopt.test.ts looks for them. */
import type { Mutant } from './plant.ts'

const ADOPT = 'operator/cluster/rules/adopt.ts'

export const ADOPT_MUTANTS: readonly Mutant[] = [
  {
    name: 'volumes are taken over whatever cluster they are of',
    file: ADOPT,
    find: 'if (ids[0] !== clusterID)',
    replace: 'if (ids[0] === "")',
  },
  {
    name: 'a claim that is missing is missed by nobody',
    file: ADOPT,
    find: 'if (missing.length > 0) {',
    replace: 'if (missing.length > 9) {',
  },
  {
    name: 'volumes are taken over while somebody uses them',
    file: ADOPT,
    find: 'if (used.length === 0) return undefined',
    replace: 'if (used.length < 9) return undefined',
  },
  {
    name: 'pods start while it is open what is taken over',
    file: 'operator/cluster/rules/replicas.ts',
    find: ' || awaitsAdoption(observed)',
    replace: '',
  },
  {
    name: 'beside volumes that were taken over another cluster is formed',
    file: 'operator/cluster/rules/form.ts',
    find: 'if (isWaiting && cluster.spec.bootstrap !== undefined)',
    replace: 'if (isWaiting && cluster.spec.bootstrap?.restore !== undefined)',
  },
]
