/** Breaks things, ten times a second, as the mixture of the run says; and afterwards ends all of it. */
import { MemberId, type ClusterId } from '../../lib/ids.ts'
import type { StartPlan } from '../../node-server/node/lifecycle/open.ts'
import { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import type { Administrator } from './administrator.ts'
import { DATA_DIRECTORY, OTHER_CLUSTER } from './cluster-id.ts'
import { NO_FAULTS, type Mixture, type Nemesis } from './faults.ts'
import { ELECTION_MS } from './member-options.ts'
import type { SimulatedMember } from './member.ts'
import type { World } from './world.ts'

const STEP_MS = 100
/** In which the others write more than they keep of the log for a member that is away. */
const LEFT_BEHIND_MS = 5000

export class Disturber {
  readonly #world: World
  readonly #rates: Nemesis
  readonly #administrators: readonly Administrator[]
  #isOver = false
  /** Cut off until then, whatever is mended meanwhile. */
  #leftBehind: { readonly member: SimulatedMember; readonly untilMs: number } | undefined

  constructor(world: World, { faults, nemesis }: Mixture, administrators: readonly Administrator[]) {
    this.#world = world
    this.#rates = nemesis
    this.#administrators = administrators
    Object.assign(world.faults, faults)
    this.#step()
  }

  /** Everything runs and talks again. */
  end(): void {
    this.#isOver = true
    Object.assign(this.#world.faults, NO_FAULTS)
    this.#world.network.mend()
  }

  #step(): void {
    this.#world.after(STEP_MS, () => {
      if (this.#isOver) return
      this.#disturb()
      this.#step()
    })
  }

  #disturb(): void {
    const rates = this.#rates
    const { random, members, coverage, network } = this.#world
    const strikes = (rate: number): boolean => rate > 0 && random.chance(rate)
    for (const member of members) if (member.state.kind === 'down' && strikes(rates.restart)) member.start()
    if (strikes(rates.crash)) this.#crash(random.pick(members), 'crash of one member')
    if (strikes(rates.crashAll)) {
      coverage.note('crash of all members')
      for (const member of members) this.#crash(member)
    }
    if (strikes(rates.restartLoop)) void this.#restartLoop(random.pick(members))
    if (strikes(rates.stop)) void random.pick(members)?.stop()
    if (strikes(rates.pause)) this.#pause(random.pick(members), ELECTION_MS * (1 + 3 * random.next()))
    if (strikes(rates.stall)) this.#pause(random.pick(members), 20 + 300 * random.next())
    if (strikes(rates.jump)) this.#jump(random.pick(members))
    if (strikes(rates.partition)) this.#partition()
    if (strikes(rates.clog)) this.#clog()
    if (strikes(rates.mend)) network.mend()
    if (strikes(rates.flipBit)) this.#flipBit()
    if (strikes(rates.wrongVolume)) this.#wrongVolume()
    if (strikes(rates.emptyVolume)) this.#emptyVolume()
    if (strikes(rates.transfer)) void this.#administrators[0]?.transfer()
    if (strikes(rates.change)) this.#change()
    if (strikes(rates.rivalChange)) this.#rivalChange()
    if (strikes(rates.isolateLeader)) this.#isolateLeader()
    if (strikes(rates.leaveBehind)) this.#leaveBehind()
    this.#keepBehind()
    if (strikes(rates.defragment)) random.pick(members)?.defragment()
    if (strikes(rates.damageStore)) this.#damageStore()
    this.replaceLost()
  }

  /** Whoever has lost its data gets an empty volume and joins again. */
  replaceLost(): void {
    const [administrator] = this.#administrators
    const lost = this.#lost()[0]
    if (administrator === undefined || administrator.isBusy || lost === undefined) return
    this.#world.begin(async () => void (await administrator.replace(lost)))
  }

  get hasLost(): boolean {
    return this.#lost().length > 0
  }

  #lost(): SimulatedMember[] {
    return this.#world.members.filter(({ isDamaged }) => isDamaged)
  }

  #crash(member: SimulatedMember | undefined, note?: 'crash of one member'): void {
    if (member?.life === undefined) return
    if (note !== undefined) this.#world.coverage.note(note)
    this.#world.log.add(member.name, 'crashes')
    member.crash(this.#world.choose)
  }

  async #restartLoop(member: SimulatedMember | undefined): Promise<void> {
    const { random, coverage } = this.#world
    coverage.note('crash in a restart loop')
    for (let i = 0; i < 8 && !this.#isOver; i++) {
      this.#crash(member)
      await this.#world.sleep(random.next() * 50)
      if (member?.state.kind === 'down') member.start()
      await this.#world.sleep(random.next() * 20)
    }
  }

  #pause(member: SimulatedMember | undefined, forMs: number): void {
    if (member?.life === undefined) return
    const isLong = forMs >= ELECTION_MS
    this.#world.coverage.note(isLong ? 'pause longer than an election' : 'stall of the event loop')
    this.#world.log.add(member.name, `stands still for ${forMs.toFixed(0)} ms`)
    member.life.clock.pause(forMs)
  }

  #jump(member: SimulatedMember | undefined): void {
    if (member?.life === undefined) return
    this.#world.coverage.note('wall clock jump')
    member.life.clock.jump((this.#world.random.next() * 2 - 1) * 3_600_000)
  }

  #partition(): void {
    const { random, members, network, coverage, log } = this.#world
    network.mend()
    const isOneWay = random.chance(0.3)
    const side = new Set(members.filter(() => random.chance(0.4)))
    for (const a of members) {
      for (const b of members) {
        if (side.has(a) === side.has(b)) continue
        if (!isOneWay || side.has(a)) network.cut(a.name, b.name)
      }
    }
    coverage.note(isOneWay ? 'one-way partition' : 'partition')
    log.add('network', `${isOneWay ? 'nobody hears' : 'parted'}: ${[...side].map(({ name }) => name).join(' ')}`)
  }

  #leaveBehind(): void {
    const { random, schedule, members, coverage, log } = this.#world
    const followers = members.filter(
      ({ isLeader, life }) => !isLeader && (life?.watchableStore?.counts.watchers ?? 0) > 0,
    )
    const member = random.pick(followers)
    if (this.#leftBehind !== undefined || member === undefined) return
    coverage.note('member left behind')
    log.add('network', `is left behind: ${member.name}`)
    this.#leftBehind = { member, untilMs: schedule.now + LEFT_BEHIND_MS * (1 + random.next()) }
  }

  #keepBehind(): void {
    const { schedule, members, network } = this.#world
    const { member, untilMs = 0 } = this.#leftBehind ?? {}
    if (member === undefined) return
    if (schedule.now >= untilMs) {
      this.#leftBehind = undefined
      return network.mend()
    }
    for (const { name } of members) {
      if (name === member.name) continue
      network.cut(member.name, name)
      network.cut(name, member.name)
    }
  }

  /** Others elect a leader while this one still takes itself for theirs. */
  #isolateLeader(): void {
    const { random, members, network, coverage, log } = this.#world
    const leader = members.find(({ isLeader }) => isLeader)
    if (leader === undefined) return
    network.mend()
    for (const { name } of members) {
      if (name === leader.name) continue
      network.cut(leader.name, name)
      network.cut(name, leader.name)
    }
    coverage.note('leader cut off from all others')
    log.add('network', `the leader is alone: ${leader.name}`)
    if (random.chance(0.7)) this.#pause(leader, ELECTION_MS * (1 + 2 * random.next()))
  }

  #clog(): void {
    const { random, members, network, coverage } = this.#world
    const [from, to] = [random.pick(members), random.pick(members)]
    if (from === undefined || to === undefined || from === to) return
    coverage.note('clogged link')
    network.clog(from.name, to.name, random.next() * 3000)
  }

  /** Only one member's data at a time: what a cluster of three can lose for good is one copy. */
  #victim(): SimulatedMember | undefined {
    const { random, members } = this.#world
    const [administrator] = this.#administrators
    if (administrator === undefined || administrator.isBusy || this.hasLost) return undefined
    if (members.some(({ isWithoutStore }) => isWithoutStore)) return undefined
    const voters = members.filter(({ life }) => life?.lifecycle.status().role !== 'learner')
    const status = voters.flatMap(({ life }) => (life?.port === undefined ? [] : [life.lifecycle.status()]))
    const leader = status.find(({ role }) => role === 'leader')
    if (leader === undefined || leader.voters.length < 3 || leader.learners.length > 0) return undefined
    const isWhole = leader.peers.every(({ isActive, lag }) => isActive && lag < 50)
    if (!isWhole) return undefined
    const names = leader.members.map(({ name }) => name)
    return random.pick(members.filter(({ name, life }) => life !== undefined && names.includes(name)))
  }

  #flipBit(): void {
    const { random, coverage, log } = this.#world
    const member = this.#victim()
    if (member === undefined) return
    this.#crash(member)
    const folder = `${DATA_DIRECTORY}/member/${random.chance(0.5) ? 'wal' : 'db'}`
    void firstFile(member.disk, folder).then((path) => {
      if (path === undefined) return
      // The end of the log cannot be told from a write that was torn: nothing can, short of asking the others.
      member.disk.damage(path, (bytes) => {
        if (bytes.length === 0) return bytes
        const at = random.below(folder.endsWith('wal') ? Math.min(bytes.length, 64) : bytes.length)
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8))
        return bytes
      })
      member.isDamaged = true
      coverage.note('flipped bit on a stopped disk')
      log.add(member.name, `a bit of ${path} was flipped`)
      member.start()
    })
  }

  #emptyVolume(): void {
    const member = this.#victim()
    if (member === undefined) return
    this.#crash(member)
    member.disk = new MemoryDisk()
    member.isDamaged = true
    this.#world.coverage.note('empty volume under a known name')
    this.#world.log.add(member.name, 'has an empty volume')
    member.start()
  }

  /** Of one member at a time, in a cluster that can do without it: without its store it cannot lead. */
  #damageStore(): void {
    this.#victim()?.damageStore()
  }

  /** The volume of a cluster that has the same names. */
  #wrongVolume(): void {
    const { members, coverage, log } = this.#world
    const member = this.#victim()
    if (member === undefined) return
    this.#crash(member)
    member.disk = new MemoryDisk()
    member.isDamaged = true
    coverage.note('volume of another member')
    log.add(member.name, 'has the volume of another cluster')
    member.start(firstMembers(members, member, OTHER_CLUSTER))
  }

  #change(): void {
    const administrator = this.#world.random.pick(this.#administrators)
    if (administrator !== undefined && !this.hasLost) this.#world.begin(() => administrator.change())
  }

  #rivalChange(): void {
    const administrator = this.#world.random.pick(this.#administrators)
    if (administrator !== undefined && !this.hasLost) this.#world.begin(() => administrator.rivals())
  }
}

/** How `member` is started as one of the first of a cluster. */
export function firstMembers(
  members: readonly SimulatedMember[],
  member: SimulatedMember,
  clusterId: ClusterId,
): StartPlan {
  const all = members.map(({ name, peerURL }, i) => ({
    id: MemberId(BigInt(i + 1)),
    name,
    peerURLs: [peerURL],
    clientURLs: [],
    isLearner: false,
  }))
  const memberId = MemberId(BigInt(members.indexOf(member) + 1))
  return { kind: 'bootstrap', clusterId, memberId, name: member.name, members: all, operationId: '' }
}

/** Of a folder, or of a folder in it. */
async function firstFile(disk: MemoryDisk, path: string): Promise<string | undefined> {
  if (disk.peek(path) !== undefined) return path
  const [first] = await disk.list(path)
  return first === undefined ? undefined : firstFile(disk, `${path}/${first}`)
}
