/**
 * How full the members' stores are, in some of the runs: people overwrite keys for as long as there are faults, history grows until it is
 * compacted, and what was deleted stays as free space in each store until that is defragmented. As in node-server/node/maintenance.
 *
 * Chance here is apart from that of all else, so that a seed without it is what it was.
 */
import type { AdminAlarm, AdminError, AdminStatus, AdminUpkeep, UpkeepRequest } from '../../lib/admin-api.ts'
import { unreachable } from '../../lib/assert.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import type { Disk, MemberProcess } from './member-process.ts'
import type { World } from './world.ts'

/** Of all seeds, those whose remainder by 7 is 5. */
const EVERY = 7
const REMAINDER = 5
/** In units of a thousand bytes. */
const QUOTA = 1000
const LIVE = 300
/** In every new store. */
const FREE = 300
const MOST_WRITTEN = 30
const UNIT_BYTES = 1000
const VOLUME_BYTES = 1_000_000_000
export const ONLY_ABOVE_PERCENT = 20

type Defragmentation = NonNullable<NonNullable<AdminStatus['store']>['defragmentation']>

export class MemberStores {
  readonly isOn: boolean
  /** So that a time of the schedule comes while there are faults. */
  readonly startsLateMs: number
  readonly #world: World
  readonly #random: Random
  /** How often people compact, too: what it frees waits for its time. */
  readonly #compactionRate: number
  /** Units that the files of a disk take. */
  readonly #sizes = new WeakMap<Disk, number>()
  /** Forgotten with the process. */
  readonly #defragmentations = new WeakMap<MemberProcess, Defragmentation>()
  readonly #noSpace = new Set<string>()
  #history = 0
  #revision = 1
  #compactedRevision = 0

  constructor(world: World, seed: number) {
    this.#world = world
    this.#random = seeded(seed * 7919 + 1)
    this.isOn = seed % EVERY === REMAINDER
    this.startsLateMs = this.isOn ? 50_000 + this.#random.below(6_000) : 0
    this.#compactionRate = this.#random.chance(0.6) ? 0.05 : 0
  }

  /** Part of the RaftCluster's spec. */
  spec(): object {
    const defragmentation = { schedule: '* * * * *', onlyAbove: `${ONLY_ABOVE_PERCENT}%` }
    return this.isOn ? { maintenance: { defragmentation } } : {}
  }

  status(process: MemberProcess): Partial<AdminStatus> {
    if (!this.isOn || process.disk.clusterId === '') return {}
    const defragmentation = this.#defragmentations.get(process)
    const sizeBytes = this.#sizeOf(process.disk) * UNIT_BYTES
    return {
      revision: this.#revision,
      alarms: [...this.#noSpace].map((memberId): AdminAlarm => ({ memberId, type: 'NOSPACE' })),
      store: {
        sizeBytes,
        inUseBytes: this.#inUse() * UNIT_BYTES,
        compactedRevision: this.#compactedRevision,
        quotaBytes: QUOTA * UNIT_BYTES,
        volumeBytes: VOLUME_BYTES,
        volumeFreeBytes: VOLUME_BYTES - sizeBytes,
        writableBytes: VOLUME_BYTES - sizeBytes,
        ...(defragmentation !== undefined && { defragmentation }),
      },
    }
  }

  /** From a backup of better times. */
  restored(): void {
    this.#noSpace.clear()
    this.#history = 0
  }

  /** Somebody leads: people write, and whoever is full says so. */
  turn(): void {
    const { raft, schedule, faultsEndMs } = this.#world
    if (!this.isOn) return
    if (this.#noSpace.size === 0 && schedule.now < faultsEndMs) {
      this.#history += this.#random.below(MOST_WRITTEN)
      this.#revision += 1
    }
    if (schedule.now < faultsEndMs && this.#random.chance(this.#compactionRate)) this.#history = 0
    for (const { disk } of this.#running()) {
      this.#sizes.set(disk, Math.max(this.#sizeOf(disk), this.#inUse()))
      if (this.#sizeOf(disk) >= QUOTA && raft.configuration.voters.includes(disk.memberId))
        this.#noSpace.add(disk.memberId)
    }
  }

  /** `isLed`: what goes through the log can. */
  keepUp(process: MemberProcess, request: UpkeepRequest, isLed: boolean): Result<AdminUpkeep, AdminError> {
    const { operationId, expectedConfigIndex, kind } = request
    const { index } = process.disk.known
    if (expectedConfigIndex !== index) return refused('ConfigIndexStale', `the configuration in force is ${index}`)
    if (kind !== 'defragment' && !isLed) return refused('NoLeader', 'no leader is known')
    this.#world.coverage.note(`upkeep: ${kind}`)
    switch (kind) {
      case 'defragment':
        if (request.memberId !== process.disk.memberId) return refused('Conflict', 'another member')
        return this.#defragment(process, operationId)
      case 'compact':
        this.#history = 0
        this.#compactedRevision = Math.max(this.#compactedRevision, request.revision)
        return ok({ operationId })
      case 'disarm':
        this.#noSpace.delete(request.memberId)
        return ok({ operationId })
      default:
        return unreachable(request)
    }
  }

  /** What is left to do for the stores once people write no more; undefined: nothing. */
  missing(): string | undefined {
    if (!this.isOn) return undefined
    const [alarmed] = this.#noSpace
    if (alarmed !== undefined) return `the alarm of member ${alarmed} is in force`
    const wasteful = this.#running().find(
      ({ disk }) => (this.#sizeOf(disk) - this.#inUse()) * 100 > ONLY_ABOVE_PERCENT * this.#sizeOf(disk),
    )
    return wasteful && `${wasteful.name} has ${this.#sizeOf(wasteful.disk)} with ${this.#inUse()} in use`
  }

  #running(): readonly MemberProcess[] {
    const { kubelet, raft } = this.#world
    return kubelet.running.filter(
      ({ isUp, disk }) => isUp && disk.clusterId !== '' && disk.clusterId === raft.clusterId && !disk.isRemoved,
    )
  }

  #defragment(process: MemberProcess, operationId: string): Result<AdminUpkeep, AdminError> {
    const last = this.#defragmentations.get(process)
    if (last?.operationId === operationId) return ok({ operationId })
    if (last?.state === 'running') return refused('ChangeInFlight', `${last.operationId} is under way`)
    this.#defragmentations.set(process, { operationId, state: 'running', message: '' })
    this.#world.schedule.after(100 + this.#random.below(2500), () => {
      // A process that has ended meanwhile knows nothing of it, nor has its store.
      this.#defragmentations.delete(process)
      if (!process.isUp) return
      this.#sizes.set(process.disk, this.#inUse())
      this.#defragmentations.set(process, { operationId, state: 'done', message: '' })
    })
    return ok({ operationId })
  }

  #sizeOf(disk: Disk): number {
    return this.#sizes.get(disk) ?? this.#inUse() + FREE
  }

  #inUse(): number {
    return LIVE + this.#history
  }
}

function refused(code: AdminError['code'], message: string): { readonly ok: false; readonly error: AdminError } {
  return err({ code, message })
}
