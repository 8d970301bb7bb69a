/** Bugs in what a member keeps free on its disk. test/simulation/full-disk.ts must notice each. */
import type { Mutant } from './plant.ts'

const MAINTENANCE = 'node-server/node/maintenance'

export const FULL_DISK_MUTANTS: readonly Mutant[] = [
  {
    name: 'writes go on until the disk is full',
    file: `${MAINTENANCE}/quota.ts`,
    find: 'return costBytes === 0 || (!this.isDiskFull && ',
    replace: 'return costBytes === 0 || (',
  },
  {
    name: 'the disk counts as it was at the last commit',
    file: `${MAINTENANCE}/quota.ts`,
    find: 'return sizeBytes + Math.max(0, sizeBytes - waitingBytes) > writableBytes',
    replace: 'return writableBytes < 0',
  },
  {
    name: 'a copy is begun whatever room there is',
    file: `${MAINTENANCE}/disk-room.ts`,
    find: 'if (sizeBytes > roomBytes)',
    replace: 'if (sizeBytes > Infinity)',
  },
]
