/** The stores of the fake world's members: how full they are, what a compaction frees, and a quota that raises the alarm. */
import assert from 'node:assert/strict'
import type { AdminAlarm, AdminError, AdminStore, AdminUpkeep, UpkeepRequest } from '../../../lib/admin-api.ts'
import { unreachable } from '../../../lib/assert.ts'
import { err, ok, type Result } from '../../../lib/result.ts'

/** In MB of 10⁶ bytes. */
export interface FakeStore {
  size: number
  inUse: number
  /** Of what is in use: a compaction frees it. */
  history: number
  quota: number | undefined
  volume: number
  /** On the volume, beside the store. */
  others: number
  defragmentation: AdminStore['defragmentation']
  /** A defragmentation fails with these words. */
  problem: string | undefined
  /** One that has begun does not end. */
  isSlow: boolean
}

export const ROOMY: FakeStore = {
  size: 100,
  inUse: 100,
  history: 0,
  quota: undefined,
  volume: 10_000,
  others: 0,
  defragmentation: undefined,
  problem: undefined,
  isSlow: false,
}

const MB = 1_000_000

export class FakeStores {
  /** By member ID. Members that are not in it are of a version that does not tell. */
  readonly byMember = new Map<string, FakeStore>()
  alarms: readonly AdminAlarm[] = []
  revision = 1000
  compactedRevision = 0
  /** What was asked for, in order: "defragment 11". */
  readonly asked: string[] = []

  report(memberId: string): AdminStore | undefined {
    const store = this.byMember.get(memberId)
    if (store === undefined) return undefined
    const { size, inUse, quota, volume, others, defragmentation } = store
    return {
      sizeBytes: size * MB,
      inUseBytes: inUse * MB,
      compactedRevision: this.compactedRevision,
      ...(quota !== undefined && { quotaBytes: quota * MB }),
      volumeBytes: volume * MB,
      volumeFreeBytes: (volume - others - size) * MB,
      writableBytes: (volume - others - size) * MB,
      ...(defragmentation !== undefined && { defragmentation }),
    }
  }

  keepUp(memberId: string, request: UpkeepRequest): Result<AdminUpkeep, AdminError> {
    const { operationId } = request
    switch (request.kind) {
      case 'defragment': {
        assert.equal(request.memberId, memberId, 'a member is asked about its own store')
        const store = this.byMember.get(memberId)
        if (store === undefined) return err({ code: 'NotFound', message: 'there is no POST /admin/v1/upkeep' })
        if (store.defragmentation?.operationId === operationId) return ok({ operationId })
        this.asked.push(`defragment ${memberId}`)
        store.defragmentation = { operationId, state: 'running', message: '' }
        return ok({ operationId })
      }
      case 'compact': {
        if (request.revision > this.compactedRevision) this.asked.push(`compact ${request.revision}`)
        this.compactedRevision = Math.max(this.compactedRevision, request.revision)
        for (const store of this.byMember.values()) {
          store.inUse -= store.history
          store.history = 0
        }
        return ok({ operationId })
      }
      case 'disarm':
        this.asked.push(`disarm ${request.memberId}`)
        this.alarms = this.alarms.filter((alarm) => alarm.memberId !== request.memberId)
        return ok({ operationId })
      default:
        return unreachable(request)
    }
  }

  /** Time passes: what was begun ends, and whoever is full says so. */
  tick(): void {
    for (const [memberId, store] of this.byMember) {
      const { defragmentation: begun, problem, isSlow } = store
      if (begun?.state === 'running' && !isSlow) {
        store.defragmentation = { ...begun, state: problem === undefined ? 'done' : 'failed', message: problem ?? '' }
        if (problem === undefined) store.size = store.inUse
      }
      const isFull = store.size >= (store.quota ?? Infinity) || store.others + store.size >= store.volume
      const isRaised = this.alarms.some((alarm) => alarm.memberId === memberId)
      if (isFull && !isRaised) this.alarms = [...this.alarms, { memberId, type: 'NOSPACE' }]
    }
  }
}
