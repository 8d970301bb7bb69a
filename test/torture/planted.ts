/** Bugs of the store that only time and the end of its process bring out. */
import type { Mutant } from '../mutants/plant.ts'

export const TORTURE_MUTANTS: readonly Mutant[] = [
  {
    name: 'the files of a store that is pinned are not held',
    file: 'node-server/storage/runs/runs-backend.ts',
    find: 'this.#store.runs.map((run) => run.map((reader) => reader.hold()))',
    replace: 'this.#store.runs.map((run) => [...run])',
  },
]
