/** Bugs in taking a store of the version before over; the crash points of take-over.test.ts must notice each. */
import type { Mutant } from './plant.ts'

const FILE = 'node-server/storage/lmdb-import/take-over.ts'

export const TAKE_OVER_MUTANTS: readonly Mutant[] = [
  {
    name: 'a former store goes before the new manifest is durable',
    file: FILE,
    find: 'await disk.rename(join(importing, MANIFEST), join(store, MANIFEST))\n  await disk.syncDirectory(store)',
    replace: 'await disk.rename(join(importing, MANIFEST), join(store, MANIFEST))',
  },
  {
    name: 'a store that was taken over in part counts as taken over',
    file: FILE,
    find: 'if (names.includes(MANIFEST)) return undefined',
    replace: 'if (names.includes(MANIFEST) || names.includes(IMPORTING)) return undefined',
  },
  {
    name: 'rows of a former store that fill no commit of their own are left out',
    file: FILE,
    find: 'await writer.commit(pieces)\n',
    replace: '',
  },
  {
    name: 'a former store goes before its version is kept from starting',
    file: FILE,
    find: 'await beforeRemoval()\n  await removeNames(disk, store, (name) => name === IMPORTING || LMDB_NAME.test(name))',
    replace:
      'await removeNames(disk, store, (name) => name === IMPORTING || LMDB_NAME.test(name))\n  await beforeRemoval()',
  },
]
