/** Everything that a simulated cluster shares: time, chance, network, the oracle, and what has happened. */
import { AssertionError } from 'node:assert'
import { AssertionFailed } from '../../lib/assert.ts'
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import { Schedule } from '../../node-server/raft/testing/schedule.ts'
import type { Choose } from '../../node-server/storage/testing/memory-disk.ts'
import { CLUSTER } from './cluster-id.ts'
import { Coverage } from './coverage.ts'
import { EventLog } from './event-log.ts'
import { NO_FAULTS, type Faults } from './faults.ts'
import { SimulatedMember } from './member.ts'
import { settlePromises } from './microtasks.ts'
import type { Narrow } from './narrow.ts'
import { Network } from './network.ts'
import { Oracle, Violation } from './oracle.ts'
import { States } from './volume.ts'

export interface WorldOptions {
  readonly seed: number
  readonly snapshotCount: number
  readonly catchUpEntries: number
  readonly quotaBytes: number
  /** How much faster or slower a process's clock may run, as a share of its speed. */
  readonly drift: number
  readonly narrow: Narrow | undefined
  /** Of each member's disk; without it, it is full only when a fault says so, and without notice. */
  readonly diskBytes?: number
  /** Never a store that syncs as often as its commits are large. */
  readonly areCommitsOneSync?: boolean
}

export class World {
  readonly options: WorldOptions
  readonly schedule = new Schedule()
  readonly random: Random
  readonly coverage = new Coverage()
  readonly log = new EventLog(() => this.schedule.now)
  readonly states = new States()
  readonly oracle = new Oracle(this.coverage)
  /** In force now. */
  readonly faults: Faults = { ...NO_FAULTS }
  readonly network: Network
  readonly members: SimulatedMember[] = []
  readonly choose: Choose
  #violation: Error | undefined

  constructor(options: WorldOptions) {
    this.options = options
    this.random = seeded(options.seed)
    this.choose = (count) => this.random.below(count)
    this.network = new Network({
      schedule: this.schedule,
      random: this.random,
      coverage: this.coverage,
      faults: this.faults,
      narrow: options.narrow,
      onSent: (host, message) => {
        if (host.identity.clusterId !== CLUSTER) return
        const member = this.members.find(({ name }) => name === host.name)
        this.oracle.sent(message, member?.life?.durable, host.name)
      },
    })
  }

  /** In one of four worlds, of those whose disks are large. */
  get areStoresInRuns(): boolean {
    const { seed, diskBytes, areCommitsOneSync = false } = this.options
    return seed % 4 === 2 && diskBytes === undefined && !areCommitsOneSync
  }

  addMember(name: string): SimulatedMember {
    const member = new SimulatedMember(name, this)
    this.members.push(member)
    return member
  }

  clockRate(): number {
    const { drift } = this.options
    if (drift === 0) return 1
    this.coverage.note('clock drift')
    return 1 + (this.random.next() * 2 - 1) * drift
  }

  /** Of clients, the nemesis and whoever else lives outside of the processes. */
  after(delayMs: number, run: () => void): void {
    this.schedule.after(delayMs, () => {
      run()
      settlePromises()
    })
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve))
  }

  /** Runs on its own; what it throws is a violation. */
  begin(actor: () => Promise<void>): void {
    this.after(0, () => void actor().catch((error: unknown) => this.fail(error)))
  }

  /** Throws the first violation. */
  run(forMs: number): void {
    const end = this.schedule.now + forMs
    // In slices: a violation in a promise ends the run soon after, not at its end.
    while (this.schedule.now < end && this.#violation === undefined)
      this.schedule.runUntil(Math.min(end, this.schedule.now + 100))
    if (this.#violation !== undefined) throw this.#violation
  }

  fail(error: unknown): void {
    this.#violation ??= error instanceof Error ? error : new Error(String(error))
  }

  /** A process ended by itself: a disk that failed is reason enough, anything else is not. */
  onFatal(member: SimulatedMember, error: unknown): void {
    const isBug = error instanceof Violation || error instanceof AssertionFailed || error instanceof AssertionError
    const isDisk = isDiskFailure(error)
    if (isBug || !isDisk) this.fail(new Violation(`${member.name} ended: ${describe(error)}`, { cause: error }))
  }

  onRefused(member: SimulatedMember, reason: string): void {
    if (member.isDamaged || reason.includes('has removed')) return
    this.fail(new Violation(`11: ${member.name} does not start on a disk that was never damaged: ${reason}`))
  }

  /** What a member writes to its log. */
  noteLog(name: string, message: string, fields: object): void {
    const place = LOGGED[message]
    if (place !== undefined) this.coverage.note(place)
    this.log.add(name, `${message} ${JSON.stringify(fields)}`)
  }
}

const LOGGED: Readonly<Record<string, Parameters<Coverage['note']>[0]>> = {
  'cut the torn tail of the log: a write that was never answered': 'torn tail cut at a start',
  'a peer refused this member': 'removed member refused by its peers',
}

function isDiskFailure(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && (cause.code === 'EIO' || cause.code === 'ENOSPC')) return true
    if (/^(EIO|ENOSPC):/.test(cause.message)) return true // as the writer of a store tells it
  }
  return false
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error)
}
