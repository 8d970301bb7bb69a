/**
 * Members whose disks are small and are filled by their own cluster, log and copies included: writes are refused while there
 * is still room for those on their way, a copy that would not fit is not begun, and after a compaction everything goes on.
 */
import {
  AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmType,
  CompactionRequest,
  PutRequest,
} from '../../node-server/proto/generated/etcd/rpc.ts'
import { CLUSTER } from './cluster-id.ts'
import type { SimulatedMember } from './member.ts'
import { findFirst, type Found } from './find-first.ts'
import { firstMembers } from './nemesis.ts'
import { World } from './world.ts'

const DISK_BYTES = 512 * 1024
const VALUE = Buffer.alloc(1024, 'v')
const KEYS = 8
/** A commit's worth of them is less than what is kept free for writes on their way. */
const WRITE_MS = 20
/** More than fills the disk, refused writes included. */
const FILLING_MS = 10_000
const CLEANING_MS = 5000

class Stage {
  readonly world: World
  readonly members: readonly SimulatedMember[]
  #written = 0
  /** Of the last write. */
  problem: string | undefined

  constructor(seed: number) {
    const bounds = { snapshotCount: 40, catchUpEntries: 20, quotaBytes: -1, drift: 0, narrow: undefined }
    this.world = new World({ seed, diskBytes: DISK_BYTES, ...bounds })
    this.members = ['m1', 'm2', 'm3'].map((name) => this.world.addMember(name))
    for (const member of this.members) member.start(firstMembers(this.members, member, CLUSTER))
    this.world.run(3000)
  }

  get leader(): SimulatedMember | undefined {
    return this.members.find(({ isLeader }) => isLeader)
  }

  /** One that ended was not started again. */
  ended(): string | undefined {
    const ended = this.members.filter(({ state }) => state.kind !== 'up').map(({ name }) => name)
    return ended.length === 0 ? undefined : `${ended.join(', ')} ended on a disk that its own cluster has filled`
  }

  fill(forMs: number): void {
    const end = this.world.schedule.now + forMs
    const write = (): void => {
      if (this.world.schedule.now >= end) return
      this.put()
      this.world.after(WRITE_MS, write)
    }
    write()
    this.world.run(forMs)
  }

  put(): void {
    const key = Buffer.from(`k${this.#written++ % KEYS}`)
    const life = this.leader?.life
    const request = PutRequest.encode(PutRequest.fromPartial({ key, value: VALUE })).finish()
    life?.clock.enter(() => {
      void life.port?.propose('put', request).then((answer) => {
        this.problem = answer.ok ? (answer.value.ok ? undefined : answer.value.error.kind) : answer.error
      })
    })
  }

  /** etcd's way back: compact, defragment, disarm. */
  clean(): void {
    const life = this.leader?.life
    const revision = BigInt(life?.port?.store.revision ?? 0)
    const compaction = CompactionRequest.encode({ revision, physical: true }).finish()
    life?.clock.enter(() => void life.port?.propose('compact', compaction))
    this.world.run(CLEANING_MS)
    for (const member of this.members) member.defragment()
    this.world.run(CLEANING_MS)
    for (const { life: own } of this.members) {
      const memberID = BigInt(own?.port?.memberId ?? 0n)
      const disarm = { action: AlarmRequest_AlarmAction.DEACTIVATE, alarm: AlarmType.NOSPACE, memberID }
      life?.clock.enter(() => void life.port?.propose('alarm', AlarmRequest.encode(disarm).finish()))
    }
    this.world.run(CLEANING_MS)
  }
}

/** What is wrong; undefined when all is well. */
function filled(seed: number): string | undefined {
  const stage = new Stage(seed)
  stage.fill(FILLING_MS)
  const ended = stage.ended()
  if (ended !== undefined) return ended
  if (stage.problem !== 'no-space') return `a write to a full disk is told ${stage.problem ?? 'nothing'}`
  stage.clean()
  stage.put()
  stage.world.run(CLEANING_MS)
  return stage.ended() ?? (stage.problem === undefined ? undefined : `not written after a compaction: ${stage.problem}`)
}

/** A client pins copies of the leader's store, more than there is room for, while it is still written to. */
function copied(seed: number): string | undefined {
  const stage = new Stage(seed)
  stage.fill(FILLING_MS)
  const life = stage.leader?.life
  const told: string[] = []
  for (let i = 0; i < 4; i++)
    life?.clock.enter(() => {
      void life.port?.pinStore().then(
        (copy) => told.push(copy.ok ? 'a copy' : copy.error),
        (error: unknown) => told.push(String(error)),
      )
    })
  stage.world.run(CLEANING_MS)
  const ended = stage.ended()
  if (ended !== undefined) return ended
  return told.every((each) => each === 'no-room') ? undefined : `without room for one: ${told.join(', ')}`
}

/** Runs both with some seeds until one goes wrong. */
export const findWrong = (seeds: number): Promise<Found> => findFirst(seeds, (seed) => filled(seed) ?? copied(seed))
