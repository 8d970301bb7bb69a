/**
 * A store that has outgrown its quota, or its disk, raises NOSPACE through the log. Writes of this member's own clients are checked
 * before they are proposed, those of others when they are applied, so that a member without clients raises it, too.
 */
import type { MemberId } from '../../../lib/ids.ts'
import type { Store } from '../../mvcc/store.ts'
import type { NodeLog } from '../options.ts'
import type { Quota } from './quota.ts'

export interface SpaceAlarmParts {
  readonly memberId: MemberId
  readonly quota: Quota
  readonly log: NodeLog
  readonly currentStore: () => Store
  /** Resolves once the alarm is in force here, or could not be raised. */
  readonly raise: () => Promise<void>
}

export class SpaceAlarm {
  readonly #parts: SpaceAlarmParts
  #raising: Promise<void> | undefined
  /** Revision of the store when its size was last compared with the quota. */
  #weighedRevision: number

  constructor(parts: SpaceAlarmParts) {
    this.#parts = parts
    this.#weighedRevision = parts.currentStore().revision
  }

  /** After each batch that was applied. */
  weigh(): void {
    const { revision } = this.#parts.currentStore()
    if (revision === this.#weighedRevision) return
    this.#weighedRevision = revision
    if (!this.#parts.quota.hasRoomFor(1)) void this.raise()
  }

  /** Resolves once it is in force here, or could not be raised. One at a time. */
  raise(): Promise<void> {
    const { memberId, quota, log, currentStore, raise } = this.#parts
    const store = currentStore()
    if (store.alarms.noSpace.has(memberId)) return Promise.resolve()
    if (this.#raising === undefined) {
      const fields = { quotaBytes: quota.limitBytes, size: store.size() }
      log.warn(fields, quota.isDiskFull ? 'the disk is nearly full' : 'the store has outgrown its quota')
      this.#raising = raise().finally(() => (this.#raising = undefined))
    }
    return this.#raising
  }
}
