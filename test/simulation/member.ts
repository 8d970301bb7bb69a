/**
 * One machine of the simulated cluster: a disk that stays, and one process after the other on it. A process is the real
 * member, with its API, on the simulated disk, network and clock.
 */
import { NOBODY } from '../../lib/ids.ts'
import type { Result } from '../../lib/result.ts'
import type { Store } from '../../node-server/mvcc/store.ts'
import { Lifecycle } from '../../node-server/node/lifecycle/lifecycle.ts'
import { lastIndex } from '../../node-server/raft/log.ts'
import { removedReason, type StartPlan } from '../../node-server/node/lifecycle/open.ts'
import { requestTimeoutMs } from '../../node-server/node/options.ts'
import type { Replica } from '../../node-server/node/replica/replica.ts'
import { getMember } from '../../node-server/mvcc/members.ts'
import type { NodePort } from '../../node-server/node/ports.ts'
import { memberPaths, readIdentity, type StoredIdentity } from '../../node-server/storage/data-directory.ts'
import type { VolumeSpace } from '../../node-server/storage/volume.ts'
import { MemoryDisk, type Choose } from '../../node-server/storage/testing/memory-disk.ts'
import type { TransportHandlers, PeerTransport } from '../../node-server/transport/transport.ts'
import { faultsOf } from './disk-faults.ts'
import { simulatedDisk } from './disk.ts'
import type { Life } from './life.ts'
import { ELECTION_MS, memberOptions } from './member-options.ts'
import type { Host } from './network.ts'
import { ProcessClock } from './process-clock.ts'
import { serve } from './serving.ts'
import { simulatedVolume, takenBytes } from './volume.ts'
import { CLUSTER, DATA_DIRECTORY } from './cluster-id.ts'
import type { World } from './world.ts'

const PATHS = memberPaths(DATA_DIRECTORY)
/** In every third life time passes between two slices: others act, and processes die. */
const SLOW_LIVES = 3
const SLOW_TURN_MS = 3
/** A commit that began may end in that time, and the entry in which it began. */
const CRASH_WITHIN_MS = 20
/** About as long as a snapshot that has come in takes to become the store. */
const DEFRAGMENT_WITHIN_MS = 5
/** For which a member looks for a leader before it serves without one, by a clock that is fast. */
const LEADERLESS_MS = 0.95 * requestTimeoutMs({ electionMs: ELECTION_MS })

/** `refused`: it will not start on this disk, for this reason. */
export type MemberState =
  | { readonly kind: 'down' }
  | { readonly kind: 'up'; readonly life: Life }
  | { readonly kind: 'refused'; readonly reason: string }

export class SimulatedMember {
  readonly name: string
  readonly #world: World
  disk = new MemoryDisk()
  /** Bytes on this disk were changed from outside: it may refuse them. */
  isDamaged = false
  /** Part of the cluster, or may be: its disk must not be emptied. */
  isInUse = false
  state: MemberState = { kind: 'down' }
  /** It was told to stop, which it may hear late. */
  isStopping = false
  lives = 0

  constructor(name: string, world: World) {
    this.name = name
    this.#world = world
  }

  get peerURL(): string {
    return `http://${this.name}:2380`
  }

  get life(): Life | undefined {
    return this.state.kind === 'up' ? this.state.life : undefined
  }

  /** Starts a process; with `plan`, as the first members of a cluster are started, when the disk is empty. */
  start(plan?: StartPlan): void {
    if (this.state.kind === 'up') return
    const life = this.#createLife()
    this.state = { kind: 'up', life }
    this.#world.log.add(this.name, `starts, life ${this.lives}`)
    life.clock.enter(() => void this.#boot(life, plan).catch((error: unknown) => this.#fatal(life, error)))
  }

  async #boot(life: Life, plan: StartPlan | undefined): Promise<void> {
    const identity = await readIdentity(this.disk, DATA_DIRECTORY)
    if (!identity.ok) return this.#refuse(life, identity.error)
    if (identity.value?.isRemoved === true) return this.#refuse(life, removedReason(DATA_DIRECTORY))
    let started: Result<void, string> = { ok: true, value: undefined }
    if (identity.value !== undefined) started = await life.lifecycle.run(identity.value)
    else if (plan !== undefined) started = await life.lifecycle.start(plan)
    else life.isWaiting = true
    if (!started.ok) this.#refuse(life, started.error)
  }

  #createLife(): Life {
    const world = this.#world
    this.lives += 1
    const turnMs = this.lives % SLOW_LIVES === 0 ? SLOW_TURN_MS : 0
    const clock = new ProcessClock(world.schedule, world.clockRate(), turnMs, () => this.#afterStep(life))
    const { disk, durable, found } = simulatedDisk(
      this.disk,
      clock,
      faultsOf(world, this.name, {
        life: () => life,
        isFull: () => this.#space().freeBytes <= 0,
        crash: () => this.#crashIn(life),
      }),
    )
    const newIncarnation = (): bigint => BigInt(Math.floor(world.random.next() * 2 ** 53))
    const lifecycle: Lifecycle = new Lifecycle({
      volume: simulatedVolume(this.disk, disk, world.states, newIncarnation, {
        isInRuns: world.areStoresInRuns,
        space: () => this.#space(),
        onOpened: (store) => (life.backend = store),
      }),
      dataDirectory: DATA_DIRECTORY,
      peerURLs: [this.peerURL],
      version: '0',
      etcdVersion: '0',
      node: memberOptions(this.name, world, clock),
      connect: async (self, handlers) => this.#connect(life, self, handlers),
      onFatal: (error) => this.#fatal(life, error),
      onRunning: (port) => this.#runs(life, port),
      onAdmitted: async (port) => this.#serve(life, port),
      onPaused: async () => stopServing(life),
      onRemoved: () => {
        stopServing(life)
        world.log.add(this.name, 'was removed')
      },
    })
    const life: Life = {
      clock,
      durable,
      found,
      lifecycle,
      host: undefined,
      backend: undefined,
      isWaiting: false,
      port: undefined,
      beganMs: 0,
      services: undefined,
      watchableStore: undefined,
      seen: undefined,
      streams: new Set(),
      onEnd: new Set(),
    }
    return life
  }

  #space(): VolumeSpace {
    const { states, options } = this.#world
    const { diskBytes: totalBytes = Infinity } = options
    if (totalBytes === Infinity) return { freeBytes: Infinity, totalBytes }
    const taken = [PATHS.wal, PATHS.db, PATHS.snapshots].map((folder) => takenBytes(this.disk, states, folder))
    return { freeBytes: taken.reduce((free, bytes) => free - bytes, totalBytes), totalBytes }
  }

  #connect(life: Life, identity: StoredIdentity, handlers: TransportHandlers): PeerTransport {
    const host: Host = {
      name: this.name,
      clock: life.clock,
      identity,
      handlers,
      onIncoming: () => {
        const { random, faults } = this.#world
        if (faults.defragmentAtSnapshot > 0 && random.chance(faults.defragmentAtSnapshot))
          this.defragment(random.next() * DEFRAGMENT_WITHIN_MS)
      },
    }
    life.host = host
    return this.#world.network.attach(host)
  }

  #runs(life: Life, port: NodePort): void {
    const node = life.lifecycle.running?.replica
    if (node === undefined) return
    life.port = port
    life.beganMs = this.#world.schedule.now
    if (port.status().damage !== undefined) this.#world.coverage.note('member goes on without its damaged store')
    if (node.clusterId === CLUSTER) this.#watch(life, node)
  }

  #serve(life: Life, port: NodePort): void {
    const world = this.#world
    const { clock, seen } = life
    // Without its store it serves nobody yet, and tells who asks.
    if (seen !== undefined && port.status().damage === undefined) {
      const isAlone = port.status().leader === NOBODY
      if (isAlone) world.coverage.note('restarted member serves without a leader')
      const hasWaited = world.schedule.now - life.beganMs >= LEADERLESS_MS
      world.oracle.serves(port.store, seen, isAlone && hasWaited && isKnownToClients(port))
    }
    const { watchableStore, services } = serve(port, clock, world)
    life.watchableStore = watchableStore
    life.services = services
  }

  #watch(life: Life, node: Replica): void {
    const world = this.#world
    const seen = world.oracle.started(
      node.raft,
      node.store,
      life.durable,
      this.name,
      `${this.name}, life ${this.lives}`,
    )
    life.seen = seen
    // Recovery has read it from the disk.
    const { log, term, vote } = node.raft
    life.found({ lastIndex: lastIndex(log), term, vote })
    node.onApplied(() => world.oracle.applied(node.store, seen))
  }

  #afterStep(life: Life): void {
    const node = life.lifecycle.running?.replica
    if (node === undefined || life.seen === undefined) return
    this.#world.oracle.look(node.raft, life.seen)
    const { random, faults } = this.#world
    if (node.store.buffer.hasDraft && faults.crashInEntry > 0 && random.chance(faults.crashInEntry))
      this.#crashInEntry(life, node.store)
  }

  /** At once, or after a commit that began in the middle of the entry. */
  #crashInEntry(life: Life, store: Store): void {
    const { random } = this.#world
    const crash = (): void => this.#crashIn(life)
    const isCommitted = random.chance(0.5)
    if (isCommitted) store.commit().catch(crash)
    this.#world.after(isCommitted ? random.next() * CRASH_WITHIN_MS : 0, crash)
  }

  /** Power off: what was not synced survives as `choose` says. */
  crash(choose: Choose): void {
    const { life } = this
    if (life === undefined) return
    const wasDirty = this.disk.hasUnsynced(PATHS.wal)
    if (life.lifecycle.running?.replica.store.buffer.hasDraft === true)
      this.#world.coverage.note('crash in the middle of an entry')
    this.#end(life)
    this.disk = this.disk.crash(choose)
    if (wasDirty) this.#world.coverage.note('unsynced write lost or torn at a crash')
    this.state = { kind: 'down' }
  }

  /** Unless it is over already. */
  #crashIn(life: Life): void {
    if (this.life === life) this.crash(this.#world.choose)
  }

  /** As at SIGTERM; gives up after a while, as a kubelet does. */
  async stop(): Promise<void> {
    const { life } = this
    if (life === undefined) return
    const { schedule } = this.#world
    this.isStopping = true
    const end = (): void => this.#crashIn(life)
    await new Promise<void>((resolve) => {
      life.onEnd.add(resolve)
      life.clock.after(0, () => {
        stopServing(life)
        life.lifecycle.stop().then(end, end)
      })
      schedule.after(5000, end)
    })
  }

  defragment(afterMs = 0): void {
    const { life } = this
    if (life?.port === undefined) return
    const { port, clock } = life
    this.#world.coverage.note('defragmentation')
    clock.after(afterMs, () => void port.defragment().catch(() => undefined))
  }

  /** Bytes of the live store change behind the member's back. */
  damageStore(): void {
    const { life } = this
    if (life?.port === undefined || life.backend === undefined) return
    this.#world.coverage.note('store damaged while it is used')
    this.#world.log.add(this.name, 'its store is damaged')
    life.backend.damage()
  }

  /** It has no store that it could serve from. */
  get isWithoutStore(): boolean {
    return this.life?.lifecycle.running?.replica.status().damage !== undefined
  }

  #end(life: Life): void {
    life.clock.kill()
    if (life.host !== undefined) this.#world.network.detach(life.host)
    this.isStopping = false
    stopServing(life)
    for (const tell of life.onEnd) tell()
    life.onEnd.clear()
  }

  #refuse(life: Life, reason: string): void {
    if (life.clock.isDead) return
    this.#end(life)
    this.state = { kind: 'refused', reason }
    this.#world.coverage.note('directory refused at a start')
    this.#world.log.add(this.name, `refuses to start: ${reason}`)
    this.#world.onRefused(this, reason)
  }

  #fatal(life: Life, error: unknown): void {
    if (life.clock.isDead) return
    this.#world.log.add(this.name, `ends: ${String(error)}`)
    this.crash(this.#world.choose)
    this.#world.onFatal(this, error)
  }

  get isLeader(): boolean {
    const node = this.life?.lifecycle.running?.replica
    return node !== undefined && node.leader !== NOBODY && node.leader === node.memberId
  }
}

/** It has told the cluster where it serves, as its own store says: all that was before it had then, whether it was asked or not. */
function isKnownToClients({ store, memberId }: NodePort): boolean {
  return (getMember(store, memberId)?.clientURLs.length ?? 0) > 0
}

function stopServing(life: Life): void {
  life.port = life.services = undefined
  for (const end of life.streams) end()
  life.streams.clear()
}
