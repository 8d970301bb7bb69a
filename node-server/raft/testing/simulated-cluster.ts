/**
 * A whole cluster in one process and in virtual time, with a network and disks that misbehave as a seed says
 * (reliability.md, faults). Every check throws at once; `heal` then demands progress.
 */
import assert from 'node:assert/strict'
import { LogIndex, MemberId, Term } from '../../../lib/ids.ts'
import { EMPTY_CONFIGURATION } from '../membership.ts'
import type { ConfigChange, ConfigChangeStep, Message, SnapshotMeta } from '../message.ts'
import { propose, reportSnapshot, reportUnreachable, transferLeader } from '../raft.ts'
import { membersOf } from '../quorum.ts'
import { Checker } from './checker.ts'
import { seeded, type Random } from './random.ts'
import { Schedule } from './schedule.ts'
import { NO_STORE, SimulatedMember, type StoreState } from './simulated-member.ts'

const TICK = 10
const MAX_MEMBERS = 9
const GENESIS = { index: LogIndex(1), term: Term(1) }

export interface Faults {
  readonly drop: number
  readonly duplicate: number
  readonly delay: number
  /** The rest: per tick. */
  readonly crash: number
  readonly restart: number
  readonly partition: number
  readonly heal: number
  readonly change: number
  readonly transfer: number
  readonly compact: number
  /** A store is found damaged, one at a time. */
  readonly lose: number
  /** Per write: the disk takes long. */
  readonly stall: number
  /**
   * Changes may take any number of votes at once, the leader's too. With crashes that can end for good: the configuration
   * takes effect where it is applied, so a voter that has not heard of it may need the vote of one that is gone.
   */
  readonly radicalChanges: boolean
}

const NO_FAULTS: Faults = {
  drop: 0,
  duplicate: 0,
  delay: 0,
  crash: 0,
  restart: 1,
  partition: 0,
  heal: 1,
  change: 0,
  transfer: 0,
  compact: 0.05,
  lose: 0,
  stall: 0,
  radicalChanges: false,
}

export class SimulatedCluster {
  readonly random: Random
  readonly checker = new Checker(GENESIS)
  readonly #schedule = new Schedule()
  readonly #members = new Map<MemberId, SimulatedMember>()
  readonly #changes = new Map<number, ConfigChange>()
  /** Directed pairs that cannot talk. */
  readonly #cut = new Set<string>()
  #faults: Faults = NO_FAULTS
  #lastPayload = 0

  constructor(seed: number, size: number) {
    this.random = seeded(seed)
    const voters = Array.from({ length: size }, (_, i) => MemberId(BigInt(i + 1)))
    const genesis: StoreState = {
      applied: GENESIS.index,
      appliedTerm: GENESIS.term,
      digest: 0,
      configuration: { ...EMPTY_CONFIGURATION, voters },
      configIndex: GENESIS.index,
    }
    for (const id of voters) this.#addMember(id, genesis)
  }

  run(ticks: number, faults: Faults): void {
    this.#faults = faults
    for (let i = 0; i < ticks; i++) this.#tick()
  }

  /** Faults end; everybody must soon agree on a leader, on the log and on a simple configuration. */
  heal(withinTicks: number): void {
    this.#cut.clear()
    this.#faults = NO_FAULTS
    for (let i = 0; i < withinTicks; i++) this.#tick(i < withinTicks / 4)
    const leaders = this.#all().filter(({ raft }) => raft?.role.kind === 'leader')
    const leader = leaders.toSorted((a, b) => (b.raft?.term ?? 0) - (a.raft?.term ?? 0))[0]
    assert.ok(leader?.raft !== undefined, 'no leader after the faults ended')
    const before = this.checker.highestCommit
    assert.ok(propose(leader.raft, [{ kind: 'normal', data: this.#payload() }]).ok, 'the leader takes no proposals')
    leader.pump()
    for (let i = 0; i < 20; i++) this.#tick(false)
    assert.ok(this.checker.highestCommit > before, 'no commit after the faults ended')
    const { configuration } = leader.raft
    assert.deepEqual(configuration.votersOutgoing, [], 'the joint configuration was not left')
    for (const id of membersOf(configuration)) {
      const member = this.#members.get(id)
      assert.ok(member?.isUpToDate === true, `member ${id} has not caught up`)
      assert.equal(member.store.digest, leader.store.digest, `member ${id} has another state`)
    }
  }

  #all(): SimulatedMember[] {
    return [...this.#members.values()]
  }

  #addMember(id: MemberId, store: StoreState): void {
    const member = new SimulatedMember(id, this.#world, store)
    this.#members.set(id, member)
  }

  readonly #world = {
    schedule: this.#schedule,
    checker: this.checker,
    random: {
      next: () => this.random.next(),
      below: (n: number) => this.random.below(n),
      chance: (p: number) => this.random.chance(p),
      pick: <I>(items: readonly I[]) => this.random.pick(items),
    },
    send: (messages: readonly Message[], from: SimulatedMember) => {
      for (const message of messages) this.#send(message, from)
    },
    writeDelay: () => (this.random.chance(this.#faults.stall) ? this.random.below(4 * TICK) : this.random.below(4)),
    changeOf: (payload: number): ConfigChange => this.#changes.get(payload) ?? { kind: 'none' },
  }

  #tick(withLoad = true): void {
    const { random } = this
    for (const member of this.#members.values())
      if (random.chance(0.95)) this.#schedule.after(random.below(TICK), () => member.tick())
    if (withLoad) this.#load()
    this.#breakThings()
    this.#schedule.runUntil(this.#schedule.now + TICK)
  }

  #load(): void {
    const { random } = this
    for (let i = 0; i < 2; i++) {
      const member = random.pick(this.#all())
      if (member?.raft === undefined) continue
      if (random.chance(0.5)) member.read()
      const count = 1 + random.below(4)
      propose(
        member.raft,
        Array.from({ length: count }, () => ({ kind: 'normal', data: this.#payload() })),
      )
      member.pump()
    }
  }

  #payload(): Buffer {
    this.#lastPayload += 1
    const bytes = Buffer.alloc(8)
    bytes.writeUInt32BE(this.#lastPayload)
    return bytes
  }

  #breakThings(): void {
    const { random } = this
    const faults = this.#faults
    for (const member of this.#members.values()) {
      if (member.raft === undefined) {
        if (random.chance(faults.restart)) member.start()
      } else if (random.chance(faults.crash)) member.crash()
      if (random.chance(faults.compact)) member.commitStore(random.below(8))
    }
    if (random.chance(faults.lose)) this.#loseStore()
    if (random.chance(faults.partition)) this.#partition()
    if (random.chance(faults.heal)) this.#cut.clear()
    if (random.chance(faults.change)) this.#change()
    if (random.chance(faults.transfer)) this.#transfer()
  }

  /** Of one member at a time, and of none that the others could not do without: restarted, it cannot lead. */
  #loseStore(): void {
    if (this.#all().some(({ isLost }) => isLost)) return
    const member = this.random.pick(this.#all())
    if ((member?.raft?.configuration.voters.length ?? 0) > 2) member?.loseStore()
  }

  /** Two sides, or one member that is heard and does not hear. */
  #partition(): void {
    const { random } = this
    this.#cut.clear()
    const isOneWay = random.chance(0.3)
    const side = new Set([...this.#members.keys()].filter(() => random.chance(0.4)))
    for (const a of this.#members.keys()) {
      for (const b of this.#members.keys()) {
        if (side.has(a) === side.has(b)) continue
        if (!isOneWay || side.has(a)) this.#cut.add(`${a}>${b}`)
      }
    }
  }

  #leader(): SimulatedMember | undefined {
    return this.random.pick(this.#all().filter(({ raft }) => raft?.role.kind === 'leader'))
  }

  #transfer(): void {
    const leader = this.#leader()
    const target = this.random.pick(leader?.raft?.configuration.voters ?? [])
    if (leader?.raft === undefined || target === undefined) return
    if (transferLeader(leader.raft, target).ok) this.checker.transfers += 1
    leader.pump()
  }

  #change(): void {
    const { random } = this
    const leader = this.#leader()
    if (leader?.raft === undefined) return
    const count = random.chance(0.6) ? 1 : 1 + random.below(4)
    const steps = Array.from({ length: count }, (_, i) => this.#step(leader, i === 0))
    const [first] = steps
    if (first === undefined) return
    const change: ConfigChange = count === 1 ? { kind: 'simple', step: first } : { kind: 'joint', steps }
    const data = this.#payload()
    this.#changes.set(this.#lastPayload, change)
    propose(leader.raft, [{ kind: 'config', data }])
    leader.pump()
  }

  #step(leader: SimulatedMember, isFirst: boolean): ConfigChangeStep {
    const { random } = this
    const configuration = leader.raft?.configuration ?? EMPTY_CONFIGURATION
    const known = membersOf(configuration)
    const isNew = this.#members.size < MAX_MEMBERS && random.chance(0.4)
    const memberId = isNew ? MemberId(BigInt(this.#members.size + 1)) : (random.pick(known) ?? leader.id)
    if (isNew) this.#addMember(memberId, NO_STORE)
    const mayLoseVote =
      this.#faults.radicalChanges || (isFirst && memberId !== leader.id && configuration.voters.length > 2)
    const kind = isNew
      ? random.pick(['add-voter', 'add-learner'] as const)
      : random.pick(['add-voter', 'add-voter', 'add-learner', 'remove'] as const)
    return { kind: isNew || mayLoseVote ? (kind ?? 'add-voter') : 'add-voter', memberId }
  }

  #send(message: Message, from: SimulatedMember): void {
    this.checker.sent(message)
    if (message.kind === 'snapshot-request') {
      this.#sendSnapshot(message, from)
      return
    }
    const { random } = this
    const faults = this.#faults
    const copies = random.chance(faults.drop) ? 0 : random.chance(faults.duplicate) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const delay = 1 + random.below(random.chance(faults.delay) ? 20 * TICK : 4)
      this.#schedule.after(delay, () => {
        if (this.#isCut(message)) {
          if (from.raft !== undefined && random.chance(0.2)) reportUnreachable(from.raft, message.to)
        } else this.#members.get(message.to)?.receive(message)
      })
    }
  }

  #isCut(message: Message): boolean {
    return this.#cut.has(`${message.from}>${message.to}`)
  }

  /** The sender's store travels whole, on a way of its own, and its end is reported like a stream's. */
  #sendSnapshot(message: Extract<Message, { kind: 'snapshot-request' }>, from: SimulatedMember): void {
    const { random } = this
    const { store, incarnation } = from
    const snapshot: SnapshotMeta = {
      index: store.applied,
      term: store.appliedTerm,
      configuration: store.configuration,
      configIndex: store.configIndex,
    }
    this.#schedule.after(1 + random.below(3 * TICK), () => {
      const to = this.#members.get(message.to)
      const isWhole = !from.isLost && snapshot.index >= (to?.isLost === true ? to.store.applied : 0)
      const isDelivered =
        isWhole && to?.raft !== undefined && !this.#isCut(message) && !random.chance(this.#faults.drop)
      if (isDelivered) {
        to.received.set(snapshot.index, store)
        to.receive({ ...message, snapshot })
      }
      if (from.raft === undefined || from.incarnation !== incarnation) return
      reportSnapshot(from.raft, message.to, isDelivered)
      from.pump()
    })
  }
}
