/**
 * Unsynced watchers that read on together, from the same revision. It is gathered, reads, and parts again, each in steps: a
 * cohort is large, and nobody waits until it is through. Owned by the watchable store, which takes the steps.
 */
import type { Gathering, UnreadPage } from './gathering.ts'
import { WatcherGroup } from './watcher-group.ts'
import type { Watcher } from './watcher.ts'

export class SyncCohort {
  readonly watchers = new WatcherGroup<Watcher>()
  readonly candidates: Iterator<Watcher>
  phase: 'gathers' | 'reads' | 'parts' = 'gathers'
  /** Its members have been given everything below it; undefined while it has none. */
  nextRevision: number | undefined
  /** Left to look at, and to read: then others have their turn. */
  looks: number
  pages: number
  /** Of what is given to its members next. */
  gathering: Gathering | undefined
  /** Read and not gathered. */
  rest: UnreadPage | undefined

  constructor(candidates: Iterator<Watcher>, looks: number, pages: number) {
    this.candidates = candidates
    this.looks = looks
    this.pages = pages
  }

  /** Whether it may read on with the others: it does not wait for them longer than they take in a turn. */
  suits(watcher: Watcher, reachRevisions: number): boolean {
    const first = (this.nextRevision ??= watcher.nextRevision)
    return watcher.nextRevision >= first && watcher.nextRevision < first + reachRevisions
  }
}
