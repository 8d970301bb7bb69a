/**
 * One process of the operator, wired as operator/main.ts wires it: watches with their stores, work queue and controller,
 * leader election, reconcile. Its clock stands still while it is paused and ends with it; a lost lease, a failed assertion
 * and an order to stop end it as they do there.
 */
import { pino } from 'pino'
import { AssertionFailed } from '../../lib/assert.ts'
import { reconcile } from '../../operator/cluster/reconcile.ts'
import { podAdminUrl, podClientUrl } from '../../operator/cluster/resources/names.ts'
import { FakeUsers } from '../../operator/cluster/testing/fake-users.ts'
import {
  Controller,
  type ReconcileContext,
  type ReconcileResult,
  waitForSync,
} from '../../operator/controller/controller.ts'
import { LeaderElector, type MutationPermit } from '../../operator/controller/leader-election.ts'
import { KubeError } from '../../operator/cluster/ports.ts'
import { KubeClient } from '../../operator/kube/client.ts'
import { ClusterAccess } from '../../operator/kube/cluster-access.ts'
import { keyOf, parseKey } from '../../operator/kube/object.ts'
import { leaseApi } from '../../operator/lease-api.ts'
import { sharingAdmin } from '../../operator/sharing.ts'
import { createWatches } from '../../operator/watches.ts'
import { ProcessClock } from '../simulation/process-clock.ts'
import { SimulatedTransport, type Stream } from './api-transport.ts'
import { NAMESPACE } from './api-server.ts'
import type { Build } from './builds.ts'
import { memberClient } from './member-client.ts'
import { SYNCHRONOUS_CRYPTO } from './synchronous-crypto.ts'
import type { World } from './world.ts'

const SILENT = pino({ level: 'silent' })
const SYNC_TIMEOUT_MS = 120_000
const SYNC_ALL_TIMEOUT_MS = 10_000
const DRAIN_MS = 20_000
const RESYNC_MS = 120_000
const RECONCILE_TIMEOUT_MS = 60_000
const NO_METRICS = {
  synced: () => undefined,
  relisted: () => undefined,
  watchFailed: () => undefined,
  missed: () => undefined,
}

export class OperatorProcess {
  readonly name: string
  readonly identity: string
  readonly clock: ProcessClock
  readonly #build: Build
  /** Watches that it holds open. */
  readonly streams = new Set<Stream>()
  readonly #world: World
  readonly #elector: LeaderElector
  readonly #controller: Controller
  readonly #stop = new AbortController()
  readonly #watches: ReturnType<typeof createWatches>
  #ids = 0

  constructor(world: World, name: string) {
    this.#world = world
    this.name = name
    this.#build = world.build
    this.identity = `${name}-${world.nextId()}`
    const clock = new ProcessClock(world.schedule, 1, 0, () => undefined)
    this.clock = clock
    const transport = new SimulatedTransport(world, this, clock)
    const unguarded = new KubeClient(transport)
    this.#elector = new LeaderElector({
      identity: this.identity,
      api: leaseApi(unguarded, { namespace: NAMESPACE, name: 'operator' }),
      clock,
      random: world.random.next,
      onLeaderSeen: () => undefined,
      onError: () => undefined,
    })
    const permit = (): MutationPermit => {
      const given = this.#elector.permit()
      if (!given.isAllowed) world.coverage.note('stale operator woke up and asked to change something')
      return given
    }
    this.#watches = createWatches({
      client: unguarded,
      clock,
      random: world.random.next,
      logger: SILENT,
      observer: () => NO_METRICS,
      namespaces: [],
      enqueue: (key) => this.#controller.enqueue(key),
    })
    this.#controller = new Controller({
      name: 'raftcluster',
      reconcile: this.#reconcileWith(new KubeClient(transport, permit), permit),
      clock,
      logger: SILENT,
      logFields: () => ({}),
      newId: () => String(++this.#ids),
      observer: { taken: () => undefined, finished: () => undefined },
      onBug: (_, error) => world.fail(error instanceof Error ? error : new Error(String(error))),
      maxConcurrent: 2,
      reconcileTimeoutMs: RECONCILE_TIMEOUT_MS,
      resyncPeriodMs: RESYNC_MS,
      keys: () => [...this.#watches.clusters()].map(keyOf),
    })
  }

  get isDead(): boolean {
    return this.clock.isDead
  }

  get isLeader(): boolean {
    return !this.isDead && this.#elector.isLeader()
  }

  start(): void {
    this.clock.enter(() => void this.#run())
  }

  /** What comes from outside: not to the dead, later to the paused. */
  enter(run: () => void): void {
    this.clock.enter(run)
  }

  after(delayMs: number, run: () => void): void {
    this.clock.after(delayMs, run)
  }

  sleep(delayMs: number): Promise<void> {
    return this.clock.sleep(delayMs)
  }

  /** SIGTERM. */
  stop(): void {
    this.clock.enter(() => this.#stop.abort())
  }

  crash(why: string): void {
    if (this.isDead) return
    this.#world.log.add(this.name, `ends: ${why}`)
    this.clock.kill()
    for (const stream of this.streams) stream.end()
    this.#world.operatorEnded(this)
  }

  /** A mutating call is about to leave: the process may end here. */
  beforeCall(): void {
    const { random, faults, coverage } = this.#world
    const isPlanned = this.#world.isCrashPoint('before')
    if (this.isDead || (!isPlanned && !random.chance(faults.crashAtCall))) return
    coverage.note('operator crash right before a call')
    this.crash('crash right before a call')
  }

  pause(forMs: number): void {
    this.#world.log.add(this.name, `paused for ${forMs} ms`)
    this.clock.pause(forMs)
  }

  /** A mutating call has had its effect: the process may end without ever knowing, or learn of it much later. */
  afterCall(): void {
    const pauseMs = this.#world.pauseAfterNextCallMs
    if (pauseMs > 0) {
      this.#world.pauseAfterNextCallMs = 0
      this.pause(pauseMs)
    }
    const { random, faults, coverage } = this.#world
    const isPlanned = this.#world.isCrashPoint('after')
    if (this.isDead || (!isPlanned && !random.chance(faults.crashAtCall))) return
    coverage.note('operator crash right after a call')
    this.crash('crash right after a call')
  }

  async #run(): Promise<void> {
    const ending = new AbortController()
    const stop = this.#stop.signal
    void this.#watches.run(ending.signal)
    await waitForSync(this.#watches.sources, this.clock, SYNC_ALL_TIMEOUT_MS)
    const missing = await waitForSync(this.#watches.required, this.clock, SYNC_TIMEOUT_MS)
    if (missing.length > 0) return this.crash('stores did not sync')
    if (!(await this.#elector.acquire(stop))) return this.crash('stopped before it led')
    this.#world.log.add(this.name, 'leads')
    this.#controller.start()
    const renewing = new AbortController()
    void this.#elector.hold(renewing.signal).then((end) => {
      if (end === 'lost') this.crash('the lease was lost')
    })
    if (!stop.aborted)
      await new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve(), { once: true }))
    const isDrained = await this.#controller.drain(DRAIN_MS)
    renewing.abort()
    if (isDrained) await this.#elector.release()
    ending.abort()
    this.crash('stopped in order')
  }

  #reconcileWith(
    client: KubeClient,
    permit: () => MutationPermit,
  ): (key: string, context: ReconcileContext) => Promise<ReconcileResult> {
    const world = this.#world
    const admin = memberClient(world, this, permit)
    const events = {
      emit: (_: unknown, type: string, reason: string, __: string, message: string): void => {
        world.coverage.note(`event ${reason}`)
        world.log.add(this.name, `event ${type} ${reason}: ${message.slice(0, 120)}`)
      },
    }
    return async (key, context) => {
      const { signal } = context
      const access = new ClusterAccess(client.withSignal(signal))
      const deps = {
        reader: access,
        writer: access,
        events,
        admin: sharingAdmin(admin, context),
        adminUrl: podAdminUrl,
        users: new FakeUsers(),
        clientUrl: podClientUrl,
        nowMs: () => this.clock.wallMs(),
        randomBytes: (count: number) => Buffer.from(Array.from({ length: count }, () => world.random.below(256))),
        crypto: SYNCHRONOUS_CRYPTO,
        operatorPods: undefined,
        ...this.#build,
        signal,
      }
      world.reconciles += 1
      return judged(world, () => reconcile(deps, parseKey(key)))
    }
  }
}

/** Only the API server's refusals are expected; anything else that is thrown is a bug. */
async function judged(world: World, run: () => Promise<ReconcileResult>): Promise<ReconcileResult> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof KubeError) && !(error instanceof AssertionFailed))
      world.fail(new Error(`the reconcile threw: ${String(error)}`, { cause: error }))
    throw error
  }
}
