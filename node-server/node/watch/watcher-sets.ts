/** The sets of watchers by state. */
import { unreachable } from '../../../lib/assert.ts'
import type { SyncCohort } from './sync-cohort.ts'
import { WatcherGroup } from './watcher-group.ts'
import type { Watcher, WatchOutlet } from './watcher.ts'

export class WatcherSets {
  readonly syncedWatchers = new WatcherGroup<Watcher>()
  /** In the order in which they get their turn; the cohort, whose turn it is, has its own. */
  readonly unsyncedWatchers = new Set<Watcher>()
  readonly victims = new Map<WatchOutlet, Set<Watcher>>()
  cohort: SyncCohort | undefined

  /** Puts one that stands nowhere where its next revision says: from `cursor` on it is given what the synced are given. */
  place(watcher: Watcher, cursor: number): void {
    if (watcher.nextRevision >= cursor) {
      watcher.state = 'synced'
      this.syncedWatchers.add(watcher)
    } else if (watcher.outlet.hasRoom) {
      watcher.state = 'unsynced'
      this.unsyncedWatchers.add(watcher)
    } else {
      watcher.state = 'victim'
      const others = this.victims.get(watcher.outlet)
      if (others === undefined) this.victims.set(watcher.outlet, new Set([watcher]))
      else others.add(watcher)
    }
  }

  displace(watcher: Watcher): void {
    switch (watcher.state) {
      case 'synced':
        return this.syncedWatchers.delete(watcher)
      case 'unsynced':
        if (!this.unsyncedWatchers.delete(watcher)) this.cohort?.watchers.delete(watcher)
        return undefined
      case 'victim': {
        const others = this.victims.get(watcher.outlet)
        others?.delete(watcher)
        if (others?.size === 0) this.victims.delete(watcher.outlet)
        return undefined
      }
      case 'ended':
        return undefined
      default:
        return unreachable(watcher.state)
    }
  }
}
