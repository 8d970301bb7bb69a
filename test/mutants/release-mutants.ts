/** What would keep a release from working with the one before, or with its users: the test of each is named. */
import type { Mutant } from './plant.ts'

export const RELEASE_MUTANTS: readonly { readonly test: string; readonly mutant: Mutant }[] = [
  {
    test: 'operator/cluster/resources/resources.test.ts',
    mutant: {
      name: 'release: a new form gives members a flag that the image of the release before refuses',
      file: 'operator/cluster/resources/pod-spec.ts',
      find: '    ...connections(defaults).flags(cluster),',
      replace:
        "    ...connections(defaults).flags(cluster),\n    ...(defaults.shutdownDelaySeconds === undefined ? [] : ['--shutdown-delay-duration=2s']),",
    },
  },
  {
    test: 'release/version.test.ts',
    mutant: {
      name: 'release: it goes out before the CHANGELOG tells of it',
      file: 'release/version.ts',
      find: 'const isTold = changes.split',
      replace: 'const isTold = true || changes.split',
    },
  },
]
