/** Bugs in what holds back a member when much comes at once. test/simulation/large.ts must notice each. */
import type { Mutant } from './plant.ts'

const RAFT = 'node-server/raft'
const NODE = 'node-server/node'

export const LARGE_MUTANTS: readonly Mutant[] = [
  {
    name: 'entries are applied although the write buffer is full',
    file: `${NODE}/apply/applier.ts`,
    find: 'while (this.store.isSaturated) await this.store.relieved()',
    replace: '',
  },
  {
    name: 'what a member holds of requests is not bounded in bytes',
    file: `${NODE}/replica/proposals.ts`,
    find: 'return this.#held.sizeBytes + sizeBytes > this.#options.flow.heldSizeBytes',
    replace: 'return false',
  },
  {
    name: 'whoever finds no room waits until nobody knows whether it was carried out',
    file: `${NODE}/replica/proposals.ts`,
    find: 'if (!this.#hasRoom) this.#refuseLate(nowMs)',
    replace: '',
  },
  {
    name: 'a compaction goes on at the next heartbeat only',
    file: 'node-server/limits.ts',
    find: 'turnSlices: 16, pauseMs: 2, longestPauseMs: 3',
    replace: 'turnSlices: 3, pauseMs: 100, longestPauseMs: 100',
  },
  {
    name: 'what is proposed at once goes into one message, however much it is',
    file: `${NODE}/replica/proposals.ts`,
    find: 'if (batch.length > 0 && (isAlone || sizeBytes > this.#options.flow.messageSizeBytes)) break',
    replace: 'if (batch.length > 0 && isAlone) break',
  },
  {
    name: 'what is under way to a peer is not bounded in bytes',
    file: `${RAFT}/progress.ts`,
    find: ' &&\n        progress.inflightSizeBytes < limits.maxInflightSizeBytes',
    replace: '',
  },
]
