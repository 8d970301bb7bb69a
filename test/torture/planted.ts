/** What makes up for LMDB's library, taken away: see node-server/storage/free-pages.ts. */
import type { Mutant } from '../mutants/plant.ts'

export const TORTURE_MUTANTS: readonly Mutant[] = [
  {
    name: 'the table of free pages stays empty in a copy',
    file: 'node-server/storage/lmdb-file.ts',
    find: 'if (options.isReadOnly !== true) keepFreeTableFilled(root)',
    replace: '',
  },
]
