/** Bugs in what conditions say on the way: operator/cluster/conditions.test.ts looks for them. */
import type { Mutant } from './plant.ts'

const CLUSTER = 'operator/cluster'

export const CONDITIONS_MUTANTS: readonly Mutant[] = [
  {
    name: 'a cluster that is deleted has lost its quorum',
    file: `${CLUSTER}/findings.ts`,
    find: "if (cluster.isBeingDeleted) return ['Deleting'",
    replace: "if (cluster.name === '') return ['Deleting'",
  },
  {
    name: 'pods of a StatefulSet that was deleted are nobody’s once there is the next one',
    file: `${CLUSTER}/observe/pods.ts`,
    find: "return statefulSetUid === undefined ? 'own' : 'left'",
    replace: "return statefulSetUid === undefined ? 'own' : 'foreign'",
  },
  {
    name: 'pods that a StatefulSet left are not seen before they are adopted',
    file: `${CLUSTER}/observe/pods.ts`,
    find: "if (uid === undefined) return 'left'",
    replace: "if (uid === undefined) return 'foreign'",
  },
  {
    name: 'what is under way does not keep Ready from being True',
    file: `${CLUSTER}/findings.ts`,
    find: 'if (isReady && isQuiet)',
    replace: 'if (isComplete(observed) && isQuiet)',
  },
  {
    name: 'Available is True while somebody leads, whoever follows',
    file: `${CLUSTER}/findings.ts`,
    find: 'membership?.leader !== undefined && healthy >= quorumOf(voters)',
    replace: 'membership !== undefined',
  },
  {
    name: 'conditions are of the generation before',
    file: 'operator/api/conditions.ts',
    find: '    observedGeneration,\n',
    replace: '    observedGeneration: observedGeneration - 1,\n',
  },
]
