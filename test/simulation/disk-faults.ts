/** What happens to a disk while a process runs on it, and what is noted of it. */
import { memberPaths } from '../../node-server/storage/data-directory.ts'
import { DATA_DIRECTORY } from './cluster-id.ts'
import type { DiskFaults } from './disk.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

const PATHS = memberPaths(DATA_DIRECTORY)

interface FaultyProcess {
  readonly life: () => Life
  readonly isFull: () => boolean
  /** Of this process alone: nothing once it is over. */
  readonly crash: () => void
}

export function faultsOf(world: World, name: string, own: FaultyProcess): DiskFaults {
  const { random, faults, coverage } = world
  const strikes = (chance: number, fault: Parameters<typeof coverage.note>[0]): boolean => {
    if (chance === 0 || !random.chance(chance)) return false
    coverage.note(fault)
    world.log.add(name, fault)
    return true
  }
  return {
    syncMs: (path) =>
      (strikes(faults.slowSync, 'slow sync') ? 50 + random.next() * 600 : 0.2 + random.next()) +
      (path.startsWith(`${PATHS.db}/`) ? faults.commitMs : 0),
    failsSync: () => strikes(faults.syncError, 'sync fails (EIO)'),
    isFull: () => own.isFull() || strikes(faults.diskFull, 'disk full (ENOSPC, half a write)'),
    onName: ({ kind, path, to = '' }) => {
      if (kind === 'remove' && path.startsWith(`${PATHS.wal}/`)) coverage.note('log segment released')
      if (path.includes('received-') && to.startsWith(PATHS.db)) {
        const { port, lifecycle } = own.life()
        coverage.note(port === undefined ? 'snapshot installed at a start' : 'snapshot installed')
        if (port?.status().damage !== undefined) coverage.note('damaged store replaced by a snapshot')
        if (lifecycle.running?.replica.files.isDefragmenting === true)
          coverage.note('snapshot installed beside a defragmentation')
        if ((own.life().watchableStore?.counts.watchers ?? 0) > 0) coverage.note('snapshot installed under watches')
      }
      if (!strikes(faults.crashAtName, 'crash while names change')) return
      world.after(random.next() * 3, own.crash)
    },
  }
}
