/** What following a cluster needs, and what it reports. */
import { backoffMs, type BackoffOptions } from '../../../lib/backoff.ts'
import { sleep, type Clock } from '../../../lib/clock.ts'
import type { LastSegment } from '../../../lib/follow-status.ts'
import type { Destination } from '../destination.ts'
import type { Full } from './chain.ts'
import type { ChangeSource } from './watched-member.ts'

/** After the bucket or a member has failed, and between full backups that did not help. */
const BACKOFF: BackoffOptions = { firstMs: 1000, factor: 2, maxMs: 60_000, jitter: 0.3 }

export interface FollowOptions {
  readonly destination: Destination
  /** Gives a member while `use` lasts. Rejects with {@link BackupFailed} when none can be reached. */
  readonly withSource: (use: (source: ChangeSource) => Promise<void>) => Promise<void>
  /** Of the cluster, those that are whole. */
  readonly listFulls: (clusterId: string) => Promise<readonly Full[]>
  /** Takes one; resolves once it counts. */
  readonly takeFull: () => Promise<void>
  readonly clock: Clock
  readonly random: () => number
  readonly intervalMs: number
  readonly report: (news: FollowNews) => void
  readonly signal: AbortSignal
}

export type FollowNews =
  /** All up to the revision. */
  | {
      readonly kind: 'kept'
      readonly clusterId: string
      readonly revision: number
      /** The cluster had no more then. Undefined while there is more to come. */
      readonly atMs: number | undefined
      /** Undefined where nothing was changed. */
      readonly segment: LastSegment | undefined
    }
  /** There is no backup and nothing that was kept: the first backup is taken. */
  | { readonly kind: 'first' }
  /** It is tried again. */
  | { readonly kind: 'failed'; readonly message: string }
  /** What comes cannot be joined to what there is. */
  | { readonly kind: 'gap'; readonly message: string }

/** They grow until something is kept again. */
export class Pauses {
  readonly #options: Pick<FollowOptions, 'clock' | 'random' | 'signal'>
  #attempts = 0

  constructor(options: Pick<FollowOptions, 'clock' | 'random' | 'signal'>) {
    this.#options = options
  }

  pause(): Promise<void> {
    const { clock, random, signal } = this.#options
    return sleep(clock, backoffMs(BACKOFF, this.#attempts++, random()), signal)
  }

  reset(): void {
    this.#attempts = 0
  }
}
