/**
 * A follower comes back so far behind that it needs a snapshot, while writes go on that cut the log again and again. One
 * snapshot must do, however long it is on its way; and where there is no room for it, few are made in vain.
 */
import { COMMIT_DELAY_MS } from '../../node-server/mvcc/committer.ts'
import { PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import type { Place } from './coverage.ts'
import type { SimulatedMember } from './member.ts'
import { findFirst, type Found } from './find-first.ts'
import { lagOf, startTrio } from './trio.ts'
import type { World } from './world.ts'

const AWAY_MS = 4000
/** On their way at any moment. */
const MAX_LAG = 10

/** The log is cut at every commit of the store; the snapshot takes several of them. */
const BUSY_WRITE_MS = 4
const SLOW_SNAPSHOT_MS = 3500
const CATCHING_UP_MS = 1500
const STAYING_MS = 3000
/** What comes in between two cuts, twice. */
const MAX_KEPT = 2 * (COMMIT_DELAY_MS / BUSY_WRITE_MS)

const QUIET_WRITE_MS = 40
const WITHOUT_ROOM_MS = 20_000
/** At 0, 1, 3, 7 and 15 seconds, and somewhat sooner. */
const MAX_IN_VAIN = 6
const LONGEST_PAUSE_MS = 30_000

class Stage {
  readonly world: World
  readonly leader: SimulatedMember
  readonly #follower: SimulatedMember

  constructor(seed: number) {
    const { world, leader, follower } = startTrio({ seed, snapshotCount: 40, catchUpEntries: 20 })
    this.world = world
    this.leader = leader
    this.#follower = follower
  }

  /** The follower is away while the writes begin. */
  begin(writeMs: number): void {
    this.#write(writeMs)
    this.#follower.crash(this.world.choose)
    this.world.run(AWAY_MS)
    this.#follower.start()
  }

  get lag(): number {
    return lagOf(this.leader)
  }

  get keptEntries(): number {
    const log = this.leader.life?.lifecycle.running?.replica.raft.log
    return log === undefined ? 0 : log.committed - log.base.index
  }

  count(place: Place): number {
    return this.world.coverage.counts.get(place) ?? 0
  }

  #write(everyMs: number): void {
    const put = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from('a') })).finish()
    const { life } = this.leader
    life?.clock.enter(() => void life.port?.propose('put', put))
    this.world.after(everyMs, () => this.#write(everyMs))
  }
}

/** What is wrong; undefined when all is well. */
function slowSnapshot(seed: number): string | undefined {
  const stage = new Stage(seed)
  stage.world.faults.snapshotMs = SLOW_SNAPSHOT_MS
  stage.begin(BUSY_WRITE_MS)
  stage.world.run(SLOW_SNAPSHOT_MS + CATCHING_UP_MS)
  if (stage.lag > MAX_LAG) return `${stage.lag} entries behind when it should have caught up`
  stage.world.run(STAYING_MS)
  const sent = stage.count('snapshot sent to a follower')
  if (sent !== 1) return `${sent} snapshots for one follower`
  return stage.keptEntries > MAX_KEPT ? `${stage.keptEntries} entries of the log are kept for nobody` : undefined
}

function noRoom(seed: number): string | undefined {
  const stage = new Stage(seed)
  stage.world.faults.noRoom = 1
  stage.begin(QUIET_WRITE_MS)
  stage.world.run(WITHOUT_ROOM_MS)
  const inVain = stage.count('no room for a snapshot')
  if (inVain < 2 || inVain > MAX_IN_VAIN) return `${inVain} snapshots in vain in ${WITHOUT_ROOM_MS / 1000} s`
  stage.world.faults.noRoom = 0
  stage.world.run(LONGEST_PAUSE_MS)
  return stage.lag > MAX_LAG ? `${stage.lag} entries behind since there is room` : undefined
}

/** Runs both with some seeds until one goes wrong. */
export const findWrong = (seeds: number): Promise<Found> =>
  findFirst(seeds, (seed) => slowSnapshot(seed) ?? noRoom(seed))
