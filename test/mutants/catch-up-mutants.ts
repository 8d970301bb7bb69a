/** Bugs in how a follower gets a snapshot while writes go on. test/simulation/catch-up.ts must notice each. */
import type { Mutant } from './plant.ts'

const NODE = 'node-server/node'

export const CATCH_UP_MUTANTS: readonly Mutant[] = [
  {
    name: 'the log is cut while a snapshot is on its way',
    file: `${NODE}/replica/log-cut.ts`,
    find: 'Math.min(usual, ...needed.map(({ after }) => after))',
    replace: 'Math.min(usual, ...needed.map(() => usual))',
  },
  {
    name: 'the log is kept for a follower that has caught up',
    file: `${NODE}/replica/outgoing-snapshots.ts`,
    find: 'this.#peers.delete(id)\n',
    replace: 'continue\n',
  },
  {
    name: 'a snapshot that failed is made again at the next heartbeat',
    file: `${NODE}/replica/outgoing-snapshots.ts`,
    find: ' && nowMs >= notBeforeMs',
    replace: '',
  },
]
