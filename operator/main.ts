/**
 * The operator's composition root, and the only reader of `process`: flags, logs, connections, who is told of what, and
 * the order of starting and stopping.
 *
 * Start: probes → watches → stores synced → lease → work. Stop: take no more work → finish what is under way → events
 * → lease → exit 0. A lost lease, a failed assertion and RaftClusters that cannot be listed end the process with 1:
 * Kubernetes restarts it, and nothing is kept in it that matters.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Logger } from 'pino'
import { pino, stdSerializers } from 'pino'
import { HttpAdminClient } from './admin-client.ts'
import { type BackupController, createBackupController } from './backup-controller.ts'
import { reconcile } from './cluster/reconcile.ts'
import { FORMS } from './cluster/resources/forms.ts'
import { podAdminUrl, podClientUrl } from './cluster/resources/names.ts'
import type { Config } from './config.ts'
import { parseFlags } from './config.ts'
import type { ReconcileContext, ReconcileResult } from './controller/controller.ts'
import { Controller, waitForSync } from './controller/controller.ts'
import type { MutationPermit } from './controller/leader-election.ts'
import { LeaderElector } from './controller/leader-election.ts'
import { ClusterAccess } from './kube/cluster-access.ts'
import { KubeClient } from './kube/client.ts'
import { KubeConfigConnection } from './kube/connection.ts'
import type { ConfigLoader } from './kube/kube-config.ts'
import { configLoader } from './kube/kube-config.ts'
import { EventRecorder } from './kube/events.ts'
import type { ObjectName } from './kube/object.ts'
import { keyOf, parseKey } from './kube/object.ts'
import { Transport } from './kube/transport.ts'
import { leaseApi } from './lease-api.ts'
import { BACKUP_CONTROLLER, CONTROLLER, createMetrics } from './metrics.ts'
import type { OperatorMetrics } from './metrics.ts'
import { createPage, type Page } from './page/page.ts'
import { closeServer, listen, metricsApp, probesApp } from './probes.ts'
import type { Check } from './probes.ts'
import { EtcdUsersClient } from './users-client.ts'
import { sharingAdmin, sharingUsers } from './sharing.ts'
import { systemClock } from '../lib/system-clock.ts'
import { VERSION } from '../lib/version.ts'
import type { Watches } from './watches.ts'
import { createWatches } from './watches.ts'

const SYNC_TIMEOUT_MS = 120_000
/** One kind that cannot be listed does not keep the clusters without an operator for longer. */
const SYNC_ALL_TIMEOUT_MS = 10_000
const FLUSH_TIMEOUT_MS = 2000
const ALIVE_MS = 60_000
/** The event loop is stuck for the purpose of /healthz; garbage collection stays far below. */
const MAX_LOOP_LAG_MS = 10_000
/** A reconcile this much over its time limit does not listen to its signal. */
const STUCK_AFTER_LIMIT_MS = 60_000
/**
 * A look at a settled cluster asks the API server ten times (six more with TLS) and each member once, about 12 ms of a
 * processor in all. Up to 15 clusters are looked at every 5 s each, 100 every 33 s. Changes in Kubernetes do not wait for it.
 */
const LOOKS = { idleLooksPerSecond: 3, startLooksPerSecond: 50 }
/** Unique to this process: a restarted container has the same host name. */
const IDENTITY = `${hostname()}_${randomUUID()}`

const clock = systemClock

async function main(): Promise<void> {
  const parsed = parseFlags(process.argv.slice(2), process.env, VERSION)
  if (parsed.kind === 'exit') {
    ;(parsed.exitCode === 0 ? process.stdout : process.stderr).write(parsed.text)
    process.exitCode = parsed.exitCode
    return
  }
  const { config } = parsed
  const logger = createLogger(config)
  process.on('uncaughtException', (error) => die(logger, error, 'uncaught exception'))
  process.on('unhandledRejection', (error) => die(logger, error, 'unhandled rejection'))
  const stop = stopSignal(logger)
  try {
    await run(createOperator(config, await configLoader(process.env), logger), stop)
  } catch (error) {
    die(logger, error, 'cannot run')
  }
  process.exit(0)
}

interface Operator {
  readonly config: Config
  readonly logger: Logger
  readonly connection: KubeConfigConnection
  readonly metrics: OperatorMetrics
  readonly watches: Watches
  readonly controller: Controller
  readonly backups: BackupController
  readonly events: EventRecorder
  /** Undefined: there is none to look at. */
  readonly page: Page | undefined
  /** Undefined: this copy works without asking. */
  readonly elector: LeaderElector | undefined
}

async function run(operator: Operator, stop: AbortSignal): Promise<void> {
  const { config, logger, watches, controller, backups, elector } = operator
  logger.info({ config, identity: IDENTITY, version: VERSION }, 'starting')
  const sources = [...watches.sources, ...backups.watches.sources]
  const unsynced = new Set(sources.map((source) => source.name))
  for (const { name, synced } of sources) void synced.then(() => unsynced.delete(name))
  const stores = (): string | undefined => (unsynced.size === 0 ? undefined : `not synced: ${[...unsynced].join(', ')}`)
  const live = { loop: loopCheck(), workers: workersCheck(operator) }
  const health = config.healthAddress && (await listen(probesApp(live, { ...live, stores }), config.healthAddress))
  const metrics = config.metricsAddress && (await listen(metricsApp(operator.metrics.registry), config.metricsAddress))
  const page = operator.page && config.pageAddress && (await operator.page.listen(config.pageAddress))

  // Timers alone do not keep a process alive, and without probes there may be nothing else while the API server is away.
  const alive = setInterval(() => undefined, ALIVE_MS)
  const ending = new AbortController()
  const watching = Promise.all([watches.run(ending.signal), backups.watches.run(ending.signal)])
  await Promise.race([waitForSync(sources, clock, SYNC_ALL_TIMEOUT_MS), aborted(stop)])
  await Promise.race([waitForSync(watches.required, clock, SYNC_TIMEOUT_MS), aborted(stop)])
  const isBlind = watches.required.some(({ name }) => unsynced.has(name))
  if (!stop.aborted && isBlind) throw new Error(`after ${SYNC_TIMEOUT_MS} ms ${stores()}`)
  if (!stop.aborted && unsynced.size > 0) logger.warn({ stores: stores() }, 'works without being told of some changes')
  if (!stop.aborted) logger.info({ clusters: [...watches.clusters()].length }, 'stores synced')

  if (elector === undefined || (await elector.acquire(stop))) await work(operator, stop, ending.signal)
  const isUnderWay = controller.underWay + backups.controller.underWay > 0
  logger.info(isUnderWay ? 'stopped with a reconcile that did not end' : 'stopped')
  ending.abort()
  await watching
  clearInterval(alive)
  closeServer(health)
  closeServer(metrics)
  closeServer(page)
  await operator.connection.close()
}

/** From the moment this copy may work until it has finished. */
async function work(operator: Operator, stop: AbortSignal, ending: AbortSignal): Promise<void> {
  const { config, logger, events, elector } = operator
  const controllers = [operator.controller, operator.backups.controller]
  logger.info('working')
  for (const controller of controllers) controller.start()
  const renewing = new AbortController()
  void elector?.hold(AbortSignal.any([renewing.signal, ending])).then((end) => {
    if (end === 'lost') die(logger, new Error('the lease was lost'), 'another copy may work now')
  })
  await aborted(stop)
  logger.info({ underWay: controllers.reduce((sum, { underWay }) => sum + underWay, 0) }, 'draining')
  const drained = await Promise.all(controllers.map((controller) => controller.drain(config.shutdownTimeoutMs)))
  await events.flush(FLUSH_TIMEOUT_MS)
  renewing.abort()
  // What did not end might still change something: the next copy then waits until the lease runs out.
  if (drained.every(Boolean)) await elector?.release()
}

function createOperator(config: Config, load: ConfigLoader, root: Logger): Operator {
  const logger = root.child({ logger: 'operator' })
  const connection = new KubeConfigConnection(clock, load)
  const lease = { name: config.leaseName, namespace: config.leaseNamespace ?? connection.defaultNamespace }
  const metrics = createMetrics({
    clock,
    controllers: [
      { name: CONTROLLER, of: () => controller },
      { name: BACKUP_CONTROLLER, of: () => backups.controller },
    ].map(({ name, of }) => ({
      name,
      maxConcurrentReconciles: config.maxConcurrentReconciles,
      activeWorkers: () => of().activeWorkers,
      queue: () => of().queue,
    })),
    clusters: () => watches.clusters(),
    lease: { name: lease.name, isLeader: () => permit().isAllowed },
  })
  const transport = new Transport({ connection, clock, onRequest: metrics.request })
  const unguarded = new KubeClient(transport)
  const events = new EventRecorder({
    client: unguarded,
    clock,
    logger: root.child({ logger: 'events' }),
    controller: 'raftkv.dev/raftcluster-operator',
    instance: IDENTITY,
    newSuffix: () => randomBytes(8).toString('hex'),
  })
  const page =
    config.pageAddress &&
    createPage({
      clock,
      version: VERSION,
      clusters: () => watches.clusters(),
      isWorking: () => permit().isAllowed,
    })
  const elector = config.isLeaderElected ? createElector(unguarded, lease, logger, page) : undefined
  const permit = (): MutationPermit => elector?.permit() ?? { isAllowed: true, withinMs: Infinity }
  const watches = createWatches({
    client: unguarded,
    clock,
    random: Math.random,
    logger: root.child({ logger: 'reflector' }),
    observer: (kind) => metrics.reflector(kind),
    namespaces: config.namespaces,
    enqueue: (key) => controller.enqueue(key),
  })
  const client = new KubeClient(transport, permit)
  const controller = new Controller({
    name: CONTROLLER,
    reconcile: createReconcile(config, client, new HttpAdminClient(permit), new EtcdUsersClient(permit), {
      events: page?.alsoShowing(events) ?? events,
      onLook: page?.looked,
    }),
    clock,
    logger: root.child({ logger: 'controller', controller: CONTROLLER }),
    logFields: (key) => ({ RaftCluster: parseKey(key) }),
    newId: randomUUID,
    observer: metrics.controller(CONTROLLER),
    onBug: () => metrics.bug(CONTROLLER),
    maxConcurrent: config.maxConcurrentReconciles,
    reconcileTimeoutMs: config.reconcileTimeoutMs,
    resyncPeriodMs: config.resyncPeriodMs,
    keys: () => [...watches.clusters()].map(keyOf),
    pace: { ...LOOKS, random: Math.random },
  })
  const shared = { config, client, unguarded, events, metrics, clock, random: Math.random, logger: root }
  const backups = createBackupController(shared)
  return { config, logger, connection, metrics, watches, controller, backups, events, page, elector }
}

function createElector(client: KubeClient, lease: ObjectName, logger: Logger, page: Page | undefined): LeaderElector {
  return new LeaderElector({
    identity: IDENTITY,
    api: leaseApi(client, lease),
    clock,
    random: Math.random,
    onLeaderSeen: (leader) => {
      logger.info({ lease, leader, isUs: leader === IDENTITY }, 'leader seen')
      page?.leaderSeen(leader)
    },
    onError: (error) => logger.warn({ lease, error }, 'leader election'),
  })
}

function createReconcile(
  config: Config,
  client: KubeClient,
  admin: HttpAdminClient,
  users: EtcdUsersClient,
  told: Pick<Parameters<typeof reconcile>[0], 'events' | 'onLook'>,
): (key: string, context: ReconcileContext) => Promise<ReconcileResult> {
  return async (key, context) => {
    const { signal } = context
    const access = new ClusterAccess(client.withSignal(signal))
    const deps = {
      reader: access,
      writer: access,
      ...told,
      admin: sharingAdmin(admin, context),
      adminUrl: podAdminUrl,
      users: sharingUsers(users, context),
      clientUrl: podClientUrl,
      nowMs: () => clock.wallMs(),
      randomBytes: (count: number) => randomBytes(count),
      crypto: globalThis.crypto,
      defaultImage: config.memberImage,
      operatorPods: config.operatorPods,
      forms: FORMS,
      signal,
    }
    return reconcile(deps, parseKey(key))
  }
}

function createLogger(config: Config): Logger {
  return pino({
    level: config.logLevel,
    base: null,
    timestamp: () => `,"ts":"${new Date().toISOString()}"`,
    formatters: { level: (level) => ({ level }) },
    serializers: { error: stdSerializers.err },
  })
}

function loopCheck(): Check {
  const delay = monitorEventLoopDelay({ resolution: 100 })
  delay.enable()
  return () => {
    const worstMs = delay.max / 1e6
    delay.reset()
    return worstMs > MAX_LOOP_LAG_MS ? `the event loop stood still for ${Math.round(worstMs)} ms` : undefined
  }
}

function workersCheck({ controller, backups, config }: Operator): Check {
  return () => {
    const limitMs = config.reconcileTimeoutMs + STUCK_AFTER_LIMIT_MS
    const nowMs = clock.monotonicMs()
    const processing = [...controller.queue.processing, ...backups.controller.queue.processing]
    const stuck = processing.filter(([, sinceMs]) => nowMs - sinceMs > limitMs)
    return stuck.length === 0 ? undefined : `stuck: ${stuck.map(([key]) => key).join(', ')}`
  }
}

/** Aborts at SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(logger: Logger): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) die(logger, new Error(`a second ${name}`), 'stopping at once')
      logger.info({ signal: name }, 'asked to stop')
      stop.abort()
    })
  }
  return stop.signal
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

function die(logger: Logger, error: unknown, message: string): never {
  logger.fatal({ error }, message)
  process.exit(1)
}

await main()
