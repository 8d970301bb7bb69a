/**
 * One member of a simulated cluster: the Raft core, a disk that forgets what was not synced, a store that is a digest of
 * what was applied, and a lane for each of the two, whose steps are apart in time, so that messages and crashes fall in
 * between.
 */
import assert from 'node:assert/strict'
import { LogIndex, NOBODY, Term, type MemberId } from '../../../lib/ids.ts'
import { lastIndex, termAt } from '../log.ts'
import { EMPTY_CONFIGURATION } from '../membership.ts'
import type { ConfigChange, Configuration, Entry, HardState, Message } from '../message.ts'
import {
  appended,
  applied,
  applyConfigChange,
  compact,
  createRaft,
  hasReady,
  readIndex,
  ready,
  step,
  storeLost,
  tick,
  type Append,
  type Raft,
} from '../raft.ts'
import { isOnMajorities, payloadOf, type Checker } from './checker.ts'
import type { Random } from './random.ts'
import type { Schedule } from './schedule.ts'

/** The state machine: equal digests mean equal histories. */
export interface StoreState {
  readonly applied: LogIndex
  readonly appliedTerm: Term
  readonly digest: number
  readonly configuration: Configuration
  readonly configIndex: LogIndex
}

export interface World {
  readonly schedule: Schedule
  readonly random: Random
  readonly checker: Checker
  readonly send: (messages: readonly Message[], from: SimulatedMember) => void
  readonly writeDelay: () => number
  /** What the config entry with this payload says. */
  readonly changeOf: (payload: number) => ConfigChange
}

const ELECTION_TICKS = 5

export class SimulatedMember {
  readonly id: MemberId
  readonly #world: World
  /** What survives a crash. */
  readonly #disk: {
    hardState: HardState
    base: StoreState
    entries: Entry[]
    store: StoreState
    isStoreDamaged: boolean
  }
  /** Written without a sync: a crash keeps a part of them. */
  #unsynced: HardState[] = []
  /** Snapshots that arrived, by index. */
  readonly received = new Map<LogIndex, StoreState>()
  raft: Raft | undefined
  store: StoreState
  /** The store is damaged: nothing is read of it. */
  isLost = false
  incarnation = 0
  #checkedCommit = 0
  /** What a crash may find on the disk although nobody was told. */
  #underWay: (() => void) | undefined
  /** Entries are on their way into the store; told when they are in it. */
  #applying: (() => void)[] | undefined
  #nextRead = 0
  #reads = new Map<number, number>()

  constructor(id: MemberId, world: World, store: StoreState) {
    this.id = id
    this.#world = world
    this.store = store
    const hardState = { term: store.appliedTerm, vote: NOBODY, commit: store.applied }
    this.#disk = { hardState, base: store, entries: [], store, isStoreDamaged: false }
    this.start()
  }

  start(): void {
    const disk = this.#disk
    this.incarnation += 1
    this.isLost = disk.isStoreDamaged
    // Who finds its store damaged at the start knows no configuration, and goes on from its log alone.
    this.store = this.isLost ? { ...NO_STORE, applied: disk.base.applied } : disk.store
    this.#underWay = undefined
    this.#applying = undefined
    this.#reads = new Map()
    this.#nextRead = 0
    this.received.clear()
    const commit = LogIndex(Math.max(disk.hardState.commit, this.store.applied))
    this.raft = createRaft(
      {
        id: this.id,
        electionTicks: ELECTION_TICKS,
        heartbeatTicks: 1,
        maxMessageSizeBytes: 48,
        maxInflightMessages: 4,
        maxInflightSizeBytes: 128,
        maxUncommittedSizeBytes: 400,
        maxCommittedSizeBytesPerReady: 64,
        random: this.#world.random.next,
      },
      {
        hardState: { ...disk.hardState, commit },
        base: { index: disk.base.applied, term: disk.base.appliedTerm },
        configuration: this.store.configuration,
        configIndex: this.store.configIndex,
        entries: disk.entries,
        applied: this.store.applied,
      },
    )
    if (this.isLost) storeLost(this.raft)
    this.#checkedCommit = disk.base.applied
    this.pump()
  }

  loseStore(): void {
    if (this.raft === undefined) return
    this.isLost = true
    this.#disk.isStoreDamaged = true
    this.#world.checker.lostStores += 1
    storeLost(this.raft)
    this.pump()
  }

  /** Memory is gone, and so is what was written without a sync; of a write under way anything may have arrived. */
  crash(): void {
    if (this.raft === undefined) return
    const { random } = this.#world
    if (random.chance(0.5)) this.#underWay?.()
    const kept = this.#unsynced[random.below(this.#unsynced.length + 1) - 1]
    if (kept !== undefined) this.#disk.hardState = kept
    this.#unsynced = []
    this.raft = undefined
    this.incarnation += 1
  }

  tick(): void {
    if (this.raft === undefined) return
    tick(this.raft)
    this.pump()
  }

  receive(message: Message): void {
    if (this.raft === undefined) return
    step(this.raft, message)
    this.pump()
  }

  /** The store's background commit, and the compaction of the log that it allows. */
  commitStore(keepEntries: number): void {
    if (this.raft === undefined || this.isLost) return
    const disk = this.#disk
    disk.store = this.store
    const index = LogIndex(Math.max(0, disk.store.applied - keepEntries))
    const term = termAt(this.raft.log, index)
    if (index <= this.raft.log.base.index || term === undefined || index > this.raft.log.applied) return
    compact(this.raft, index)
    if (disk.base.applied >= index) return
    disk.entries = disk.entries.filter((entry) => entry.index > index)
    disk.base = { ...disk.base, applied: index, appliedTerm: term }
  }

  read(): void {
    if (this.raft === undefined) return
    this.#nextRead += 1
    this.#reads.set(this.#nextRead, this.#world.checker.highestCommit)
    readIndex(this.raft, this.#nextRead)
    this.pump()
  }

  /** Hands out what there is to do; call it after everything that touches the core. */
  pump(): void {
    const { raft } = this
    if (raft === undefined) return
    this.#check(raft)
    while (hasReady(raft)) {
      const { messages, append, committed, readStates } = ready(raft)
      this.#world.send(messages, this)
      if (append !== undefined) this.#append(raft, append)
      if (committed.length > 0) this.#applyLater(raft, committed)
      for (const { requestId, index } of readStates)
        this.#world.checker.read(index, this.#readStart(requestId), this.id)
    }
  }

  #append(raft: Raft, append: Append): void {
    this.#world.checker.handedOut(raft, append.entries)
    const write = (): void => {
      this.#underWay = () => this.#persist(append)
      this.#later(() => {
        this.#persist(append)
        this.#underWay = undefined
        if (append.snapshot !== undefined) {
          this.store = this.#disk.store
          this.isLost = false
        }
        this.#world.send(append.promises, this)
        appended(raft, append)
        this.pump()
      })
    }
    if (append.snapshot === undefined || this.#applying === undefined) write()
    else this.#applying.push(write)
  }

  #applyLater(raft: Raft, committed: readonly Entry[]): void {
    const waiting: (() => void)[] = []
    this.#applying = waiting
    this.#later(() => {
      const isLost = this.isLost
      if (!isLost) for (const entry of committed) this.#apply(raft, entry)
      this.#applying = undefined
      applied(raft, isLost ? [] : committed)
      for (const write of waiting) write()
      this.pump()
    })
  }

  #check(raft: Raft): void {
    const { checker } = this.#world
    const { role, log, configuration } = raft
    if (role.kind === 'leader' && log.committed > this.#checkedCommit) {
      const has = (id: MemberId): boolean => (role.progress.get(id)?.match ?? 0) >= log.committed
      assert.ok(isOnMajorities(configuration, has), `entry ${log.committed} is committed without a quorum`)
    }
    checker.committedTo(raft, this.#checkedCommit)
    this.#checkedCommit = raft.log.committed
    if (raft.role.kind === 'leader') checker.leads(raft, `member ${this.id}, life ${this.incarnation}`)
  }

  #later(run: () => void): void {
    const { incarnation } = this
    const { schedule, writeDelay } = this.#world
    schedule.after(writeDelay(), () => {
      if (this.incarnation === incarnation) run()
    })
  }

  #readStart(requestId: number): number {
    const start = this.#reads.get(requestId)
    assert.ok(start !== undefined, `read ${requestId} was never asked for`)
    this.#reads.delete(requestId)
    return start
  }

  #persist(work: Append): void {
    const disk = this.#disk
    if (work.snapshot !== undefined) this.#installSnapshot(work.snapshot.index)
    const first = work.entries[0]
    if (first !== undefined) {
      const kept = disk.entries.filter((entry) => entry.index < first.index)
      assert.equal(first.index, disk.base.applied + kept.length + 1, 'entries are written without gaps')
      disk.entries = [...kept, ...work.entries]
    }
    if (work.hardState !== undefined) {
      this.#world.checker.persisted(this.#unsynced.at(-1) ?? disk.hardState, work.hardState)
      this.#unsynced.push(work.hardState)
    }
    if (!work.mustSync && work.snapshot === undefined) return
    disk.hardState = this.#unsynced.at(-1) ?? disk.hardState
    this.#unsynced = []
  }

  #installSnapshot(index: LogIndex): void {
    const store = this.received.get(index)
    assert.ok(store !== undefined, `snapshot ${index} was never received`)
    const disk = this.#disk
    const isInLog =
      index === disk.base.applied ||
      disk.entries.some((entry) => entry.index === index && entry.term === store.appliedTerm)
    disk.entries = isInLog ? disk.entries.filter((entry) => entry.index > index) : []
    disk.base = store
    disk.store = store
    disk.isStoreDamaged = false
    this.#world.checker.snapshots += 1
  }

  #apply(raft: Raft, entry: Entry): void {
    if (entry.index <= this.store.applied) return // a snapshot overtook it
    assert.equal(entry.index, this.store.applied + 1, 'entries are applied in order, each once')
    const payload = payloadOf(entry)
    const digest = Math.imul(this.store.digest ^ payload, 0x01000193) >>> 0
    this.store = { ...this.store, applied: entry.index, appliedTerm: entry.term, digest }
    this.#world.checker.applied(entry.index, digest)
    if (entry.kind !== 'config') return
    const change: ConfigChange = payload === 0 ? { kind: 'leave-joint' } : this.#world.changeOf(payload)
    const isOvertaken = entry.index <= raft.log.applied
    const changed = applyConfigChange(raft, entry.index, change)
    if (!changed.ok || isOvertaken) return
    this.#world.checker.changes += 1
    if (change.kind === 'leave-joint') this.#world.checker.joints += 1
    this.store = { ...this.store, configuration: changed.value, configIndex: entry.index }
    this.#check(raft)
  }

  get isUpToDate(): boolean {
    return this.raft !== undefined && this.store.applied === lastIndex(this.raft.log)
  }
}

export const NO_STORE: StoreState = {
  applied: LogIndex(0),
  appliedTerm: Term(0),
  digest: 0,
  configuration: EMPTY_CONFIGURATION,
  configIndex: LogIndex(0),
}
