/** What would have the operator's page cost more than it may, or show what it must not, each with the test that must fail. */
import type { Mutant } from './plant.ts'

const PAGE = 'operator/page'

export const PAGE_MUTANTS: readonly { readonly test: string; readonly mutant: Mutant }[] = [
  {
    test: `${PAGE}/server.test.ts`,
    mutant: {
      name: 'page: there is room for any number of viewers',
      file: `${PAGE}/viewers.ts`,
      find: 'return this.#viewers.size >= MAX_VIEWERS',
      replace: 'return false',
    },
  },
  {
    test: `${PAGE}/server.test.ts`,
    mutant: {
      name: 'page: what a viewer does not take piles up',
      file: `${PAGE}/viewers.ts`,
      find: 'if (response.writableNeedDrain) {',
      replace: 'if (response.writableNeedDrain && !response.write(news)) {',
    },
  },
  {
    test: `${PAGE}/server.test.ts`,
    mutant: {
      name: 'page: a site that has its own name resolve to loopback reads it',
      file: `${PAGE}/server.ts`,
      find: "return name === 'localhost' || isIP(name) !== 0",
      replace: "return name !== ''",
    },
  },
  {
    test: `${PAGE}/board.test.ts`,
    mutant: {
      name: 'page: a cluster that is made again under its name goes on with the history of the one before',
      file: `${PAGE}/board.ts`,
      find: 'if (present?.uid === uid) return present',
      replace: 'if (present !== undefined) return present',
    },
  },
  {
    test: `${PAGE}/board.test.ts`,
    mutant: {
      name: 'page: a history grows with each change of the leader',
      file: `${PAGE}/history.ts`,
      find: 'Math.max(first, this.#points.length - HISTORY_POINTS)',
      replace: 'first',
    },
  },
  {
    test: `${PAGE}/view.test.ts`,
    mutant: {
      name: 'page: a cluster without a quorum looks like one that is busy',
      file: `${PAGE}/view.ts`,
      find: "if (is('QuorumLost')) return { health: 'down'",
      replace: "if (is('QuorumLost')) return { health: 'busy'",
    },
  },
]
