/**
 * What takes values of megabytes, or thousands of revisions a second, to be reached: members with their real bounds, each
 * scenario in a world of its own. Nobody may lose the lead meanwhile.
 */
import { CompactionRequest, PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { MAX_BUFFER_SIZE_BYTES } from '../../node-server/mvcc/store.ts'
import type { SimulatedMember } from './member.ts'
import { outsideOfMicrotasks } from './microtasks.ts'
import { NARROW, WIDE, type Narrow } from './narrow.ts'
import { lagOf, startTrio, type Trio } from './trio.ts'

const MIB = 1024 * 1024

/** What is wrong; undefined when all is well. */
type Scenario = (seed: number) => string | undefined

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'a follower that is far behind': farBehind,
  'large puts through a follower': forwarded,
  'a full write buffer': fullBuffer,
  'a store that takes nothing': stuck,
  'more than a member holds': tooMuch,
  'overwrites and compactions': compactions,
}

class Stage implements Trio {
  readonly world: Trio['world']
  readonly leader: SimulatedMember
  readonly follower: SimulatedMember
  readonly #term: number
  answered = 0
  readonly refused: string[] = []

  constructor(seed: number, narrow: Narrow = WIDE) {
    const trio = startTrio({ seed, narrow, areCommitsOneSync: true })
    this.world = trio.world
    this.leader = trio.leader
    this.follower = trio.follower
    this.#term = this.#termNow
  }

  get #termNow(): number {
    return Math.max(0, ...this.world.members.map(({ life }) => life?.port?.status().term ?? 0))
  }

  /** Asked of that member at once; with a key for each in turn. */
  put(member: SimulatedMember, count: number, sizeBytes: number): void {
    const value = Buffer.alloc(sizeBytes, 'x')
    const { life } = member
    life?.clock.enter(() => {
      for (let i = 0; i < count; i++) {
        const put = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from(`k${i % 8}`), value })).finish()
        void life.port?.propose('put', put).then((result) => {
          if (result.ok) this.answered += 1
          else this.refused.push(result.error)
        })
      }
    })
  }

  compact(revision: number): void {
    const { life } = this.leader
    const request = CompactionRequest.encode({ revision: BigInt(revision), physical: false }).finish()
    life?.clock.enter(() => void life.port?.propose('compact', request))
  }

  /** How long until it is so; undefined when it is not within that time. */
  timeTo(withinMs: number, isSo: () => boolean): number | undefined {
    const beganMs = this.world.schedule.now
    while (!isSo()) {
      if (this.world.schedule.now - beganMs >= withinMs) return undefined
      this.world.run(10)
    }
    return this.world.schedule.now - beganMs
  }

  get lostLead(): string | undefined {
    return this.#termNow === this.#term && this.leader.isLeader ? undefined : 'the leader lost the lead'
  }
}

/** Three times as much as may be under way to a peer, while more is written. */
function farBehind(seed: number): string | undefined {
  const stage = new Stage(seed)
  const { world, leader, follower } = stage
  follower.crash(world.choose)
  for (let i = 0; i < 6; i++) {
    stage.put(leader, 8, MIB)
    world.run(500)
  }
  if (stage.answered < 48) return `${stage.answered} of 48 puts are answered: ${stage.refused.join()}`
  follower.start()
  for (let i = 0; i < 10; i++) {
    stage.put(leader, 1, MIB)
    world.run(100)
  }
  const caughtUpMs = stage.timeTo(10_000, () => lagOf(leader) <= 1)
  if (caughtUpMs === undefined) return `${lagOf(leader)} entries behind after ten seconds`
  return stage.lostLead
}

function forwarded(seed: number): string | undefined {
  const stage = new Stage(seed)
  stage.put(stage.follower, 30, 1.4 * MIB)
  const isAnswered = (): boolean => stage.answered + stage.refused.length === 30
  if (stage.timeTo(30_000, isAnswered) === undefined) return `${stage.answered} of 30 puts are answered`
  if (stage.refused.length > 0) return `${stage.refused.length} of 30 puts are refused: ${stage.refused[0]}`
  return stage.lostLead
}

/** The store commits more slowly than puts come. */
function fullBuffer(seed: number): string | undefined {
  const stage = new Stage(seed)
  const { world, leader } = stage
  world.faults.commitMs = 3000
  let most = 0
  const isWritten = (): boolean => {
    const store = leader.life?.port?.store
    most = Math.max(most, store?.buffer.sizeBytes ?? 0)
    return stage.answered >= 80
  }
  for (let i = 0; i < 10; i++) {
    stage.put(leader, 8, MIB)
    stage.timeTo(100, isWritten)
  }
  if (stage.timeTo(30_000, isWritten) === undefined)
    return `${stage.answered} of 80 puts are answered: ${stage.refused.join()}`
  if (most < MAX_BUFFER_SIZE_BYTES) return `the write buffer was never full: ${most} bytes`
  if (most > MAX_BUFFER_SIZE_BYTES + 2 * MIB) return `${most} bytes in the write buffer`
  return stage.lostLead
}

/** Only of what was proposed may nobody know whether it is carried out. */
function stuck(seed: number): string | undefined {
  const stage = new Stage(seed)
  const { world, leader } = stage
  world.faults.commitMs = 60_000
  for (let i = 0; i < 16; i++) {
    stage.put(leader, 8, MIB)
    world.run(100)
  }
  const isAnswered = (): boolean => stage.answered + stage.refused.length === 128
  if (stage.timeTo(10_000, isAnswered) === undefined)
    return `${stage.answered} answers, ${stage.refused.length} refusals`
  const unknown = stage.refused.filter((reason) => reason !== 'too-many-requests').length
  if (unknown * MIB > WIDE.flow.proposedSizeBytes) return `${unknown} puts have an unknown outcome`
  return stage.lostLead
}

/** Whoever asks for more than there is room for is refused at once; all else is carried out. */
function tooMuch(seed: number): string | undefined {
  const stage = new Stage(seed, NARROW)
  const { follower } = stage
  stage.put(follower, 100, NARROW.maxRequestBytes / 2)
  stage.world.run(1)
  const refused = stage.refused.length
  if (stage.refused.some((reason) => reason !== 'too-many-requests')) return `refused: ${stage.refused.join()}`
  const heldBytes = (100 - refused) * (NARROW.maxRequestBytes / 2)
  if (heldBytes > NARROW.flow.heldSizeBytes) return `a member holds ${heldBytes} bytes of requests`
  const isAnswered = (): boolean => stage.answered + refused === 100
  if (stage.timeTo(10_000, isAnswered) === undefined) return `${stage.answered} of ${100 - refused} puts are answered`
  return stage.lostLead
}

/** What is compacted goes about as fast as it comes. */
function compactions(seed: number): string | undefined {
  const stage = new Stage(seed)
  const { world, leader } = stage
  const store = leader.life?.port?.store
  if (store === undefined) return 'the leader does not serve'
  for (let i = 1; i <= 200; i++) {
    stage.put(leader, 50, 8)
    world.run(10)
    if (i % 10 === 0) stage.compact(store.revision)
    const { compactedRevision, purgedRevision } = store.meta
    const behind = compactedRevision - purgedRevision
    if (behind > 1500) return `a compaction is ${behind} revisions behind`
  }
  if (stage.timeTo(1000, () => store.meta.purgedRevision === store.compactedRevision) === undefined)
    return 'a compaction is not done a second after the writes'
  return stage.lostLead
}

/** Runs all of them with some seeds until one goes wrong. */
export async function findWrong(
  seeds: number,
): Promise<{ readonly tried: number; readonly wrong: string | undefined }> {
  for (let seed = 1; seed <= seeds; seed++) {
    for (const [name, scenario] of Object.entries(SCENARIOS)) {
      const wrong = await outsideOfMicrotasks(() => scenario(seed)).catch(String)
      if (wrong !== undefined) return { tried: seed, wrong: `${name}: ${wrong}` }
    }
  }
  return { tried: seeds, wrong: undefined }
}
