/** One process of member 1 on a disk that may strike, and what it promised to others until its end. */
import { MemberId, type ClusterId } from '../../lib/ids.ts'
import type { Result } from '../../lib/result.ts'
import { APPLY_SLICE, FLOW, LEASES } from '../../node-server/limits.ts'
import { UNOBSERVED } from '../../node-server/node/observer.ts'
import { Lifecycle } from '../../node-server/node/lifecycle/lifecycle.ts'
import type { Running } from '../../node-server/node/lifecycle/state.ts'
import type { Replica } from '../../node-server/node/replica/replica.ts'
import { DEFAULT_MAINTENANCE, type NodeOptions } from '../../node-server/node/options.ts'
import { settled, VirtualClock } from '../../node-server/node/testing/virtual-clock.ts'
import type { Message } from '../../node-server/raft/message.ts'
import { memberPaths } from '../../node-server/storage/data-directory.ts'
import type { MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import type { Volume } from '../../node-server/storage/volume.ts'
import type { WalSizes } from '../../node-server/storage/wal.ts'
import type { PeerTransport, TransportHandlers } from '../../node-server/transport/transport.ts'
import type { Damageable } from '../simulation/stores-in-runs.ts'
import { simulatedVolume, type States } from '../simulation/volume.ts'
import { KillableDisk, type Gate, type Strike } from './killable-disk.ts'
import { noteMessages, type Promised } from './promises.ts'

export const DATA = '/data'
export const PATHS = memberPaths(DATA)
export const OWN = MemberId(1n)

export interface Machine {
  readonly disk: MemoryDisk
  readonly states: States
}

/** How this process differs from others. */
export interface ProcessOptions {
  readonly strike?: Strike | undefined
  readonly gate?: Gate | undefined
  readonly walSizes?: WalSizes | undefined
  readonly node?: Partial<NodeOptions> | undefined
}

/** Thrown in a script whose process has ended by itself. */
export class Ended extends Error {
  override readonly name = 'Ended'
}

const NO_STATS = {
  sentBytes: 0,
  sendFailures: 0,
  connectedSinceMs: undefined,
  receivedBytes: 0,
}
const MAX_ROUNDS = 60

export class MemberProcess {
  readonly disk: KillableDisk
  readonly states: States
  readonly clock = new VirtualClock()
  readonly volume: Volume
  readonly lifecycle: Lifecycle
  readonly promised: Promised
  /** Said by the member itself: it must end. */
  fatal: unknown
  readonly sent: Message[] = []
  /** The store that was opened last. */
  backend: Damageable | undefined
  readonly #end = Promise.withResolvers<void>()
  #handlers: TransportHandlers | undefined
  #running: Running | undefined

  constructor(machine: Machine, promised: Promised, options: ProcessOptions = {}) {
    this.promised = promised
    this.states = machine.states
    this.disk = new KillableDisk(machine.disk, options.strike, options.gate)
    let incarnation = 100n
    const onOpened = (store: Damageable): void => void (this.backend = store)
    const volume = simulatedVolume(machine.disk, this.disk, machine.states, () => incarnation++, { onOpened })
    this.volume = { ...volume, walSizes: options.walSizes ?? volume.walSizes }
    this.lifecycle = new Lifecycle({
      volume: this.volume,
      dataDirectory: DATA,
      peerURLs: ['http://m1:2380'],
      version: '0',
      etcdVersion: '0',
      node: { ...nodeOptions(this.clock), ...options.node },
      connect: async (_, handlers) => this.#connect(handlers),
      onFatal: (error) => {
        this.fatal ??= error
        this.#end.resolve()
      },
      onAdmitted: async () => undefined,
      onRemoved: () => {
        if (!this.disk.isDead) this.promised.isRemoved = true
      },
    })
  }

  /** Resolves when the process is dead or has said that it must end. */
  get ended(): Promise<void> {
    return Promise.race([this.#end.promise, this.disk.died])
  }

  get node(): Replica {
    return this.running.replica
  }

  /** Also when it has been stopped since. */
  get running(): Running {
    this.#running = this.lifecycle.running ?? this.#running
    if (this.#running === undefined) throw new Ended('there is no member')
    return this.#running
  }

  get handlers(): TransportHandlers {
    if (this.#handlers === undefined) throw new Ended('there is no member')
    return this.#handlers
  }

  #connect(handlers: TransportHandlers): PeerTransport {
    this.#handlers = handlers
    return {
      setPeers: () => undefined,
      send: (messages) => {
        if (this.disk.isDead) return
        this.sent.push(...messages)
        noteMessages(this.promised, messages)
      },
      takesProposals: () => true,
      request: async (): Promise<Result<Buffer, string>> => ({ ok: false, error: 'nobody is there' }),
      sendSnapshot: async (): Promise<Result<void, string>> => ({ ok: true, value: undefined }),
      stats: () => NO_STATS,
      close: async () => undefined,
    }
  }

  /** Until it holds; throws {@link Ended} when the process ends before. */
  async until(what: string, holds: () => boolean): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (this.fatal !== undefined) throw new Ended(what, { cause: this.fatal })
      if (this.disk.isDead) return new Promise(() => {})
      if (holds()) return
      await settled()
    }
    throw new Error(`nothing comes of it: ${what}`)
  }
}

export function bootstrapPlan(clusterId: ClusterId): Parameters<Lifecycle['start']>[0] {
  const members = [1n, 2n, 3n].map((id) => {
    return { id: MemberId(id), name: `m${id}`, peerURLs: [`http://m${id}:2380`], clientURLs: [], isLearner: false }
  })
  return { kind: 'bootstrap', clusterId, memberId: OWN, name: 'm1', members, operationId: '' }
}

let lives = 0

export function nodeOptions(clock: VirtualClock): NodeOptions {
  const life = ++lives
  const nothing = (): void => undefined
  return {
    name: 'm1',
    clientURLs: ['http://m1:2379'],
    heartbeatMs: 100,
    electionMs: 100_000,
    snapshotCount: 10_000,
    catchUpEntries: 5000,
    maxLearners: 1,
    isReconfigStrict: true,
    slowApplyMs: 1e9,
    quotaBytes: 2 ** 31,
    maintenance: DEFAULT_MAINTENANCE,
    maxRequestBytes: 2 ** 20,
    flow: FLOW,
    leases: LEASES,
    applySlice: APPLY_SLICE,
    clock,
    observer: UNOBSERVED,
    log: { info: nothing, warn: nothing, error: nothing },
    // Requests begin at a place of their own in each process: what is applied again after a restart is no answer to a new one.
    random: () => 0.5 + life / 2 ** 40,
  }
}
