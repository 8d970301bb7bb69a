/**
 * One member of the cluster from its flags to its end: composition root, and beside main the only reader of `process`.
 *
 *   flags → data directory → admin API → (told or remembered) → member → caught up → etcd API
 *
 * Exit codes: 0 stopped as asked, 1 the environment or a bug ended it, 2 wrong flags.
 */
import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import type { AdminStatus } from '../lib/admin-api.ts'
import { sleep, type Clock } from '../lib/clock.ts'
import type { HttpHandler } from '../lib/http-exchange.ts'
import { NOBODY } from '../lib/ids.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { memberMetrics, type MemberMetrics } from './api/admin/metrics.ts'
import type { MetricsFacts } from './api/admin/readings.ts'
import { idleProbes } from './api/http/probes.ts'
import { openTokens } from './auth-tokens.ts'
import { prepareBothTls, tlsReport, type BothTls } from './both-tls.ts'
import { ClientServer } from './client-server.ts'
import type { Config } from './config/config.ts'
import { parseConfig } from './config/parse.ts'
import { APPLY_SLICE, FLOW, LEASES } from './limits.ts'
import { listenHttp } from './listen/http-listener.ts'
import { openLog } from './log.ts'
import { memberFacts } from './member-facts.ts'
import { Lifecycle } from './node/lifecycle/lifecycle.ts'
import { removedReason } from './node/lifecycle/open.ts'
import type { Tokens } from './node/auth/tokens.ts'
import type { NodePort } from './node/ports.ts'
import { permissionWarning } from './start-checks.ts'
import { planStart } from './static-start.ts'
import { StoreDamaged } from './mvcc/backend.ts'
import { readIdentity } from './storage/data-directory.ts'
import { lockDirectory, type DirectoryLock } from './storage/lock.ts'
import { UNSAFE_NO_FSYNC, withoutSync } from './storage/unsynced-disk.ts'
import type { Volume } from './storage/volume.ts'
import { checkWalDirectory } from './storage/wal-directory.ts'
import { notifyReady } from './systemd.ts'
import { secretsOf } from './tls/secrets.ts'
import { PeerSecrets } from './transport/peer-secrets.ts'
import { peerDialer } from './transport/query.ts'
import { Transport } from './transport/transport.ts'
import { VERSION } from '../lib/version.ts'
import { ETCD_API_VERSION } from './version.ts'
import { WarmStart } from './warm-up/warm-start.ts'

/** What the program runs on; others than the machine's own let a test choose how they fail. */
export interface Surroundings {
  readonly volume: Volume
  readonly clock: Clock
}

class Program {
  readonly #surroundings: Surroundings
  readonly #config: Config
  readonly #log: Logger
  readonly #lifecycle: Lifecycle
  readonly #metrics: MemberMetrics
  readonly #lock: DirectoryLock
  readonly #tls: BothTls
  readonly #tokens: Tokens
  readonly #peerSecrets: PeerSecrets | undefined
  /** Undefined: there is to be none. */
  readonly #warmStart: WarmStart | undefined
  readonly #admin: { close(graceMs: number): Promise<void> }[] = []
  #clients: ClientServer | undefined
  /** Whose clients are served. */
  #served: NodePort | undefined
  #isStopping = false
  #isReady = false

  constructor(surroundings: Surroundings, config: Config, log: Logger, lock: DirectoryLock, secrets: Secrets) {
    const { clock } = surroundings
    const volume = config.isFsyncSkipped
      ? { ...surroundings.volume, disk: withoutSync(surroundings.volume.disk) }
      : surroundings.volume
    this.#surroundings = { ...surroundings, volume }
    const { tls, tokens, peerSecrets } = secrets
    this.#peerSecrets = peerSecrets
    this.#tls = tls
    this.#tokens = tokens
    this.#config = config
    this.#log = log
    this.#lock = lock
    this.#warmStart = config.isWarmedUp ? new WarmStart(clock, log) : undefined
    const source = {
      status: (): AdminStatus => this.#lifecycle.status(),
      facts: (): MetricsFacts | undefined => memberFacts(this.#lifecycle, this.#clients?.watchableStore),
    }
    this.#metrics = memberMetrics(source)
    this.#lifecycle = new Lifecycle({
      volume,
      dataDirectory: config.dataDir,
      walDirectory: config.walDir,
      peerURLs: config.initialAdvertisePeerURLs,
      connect: ({ clusterId, memberId }, handlers) =>
        Transport.listen(
          {
            listenUrls: config.listenPeerURLs,
            tls: tls.peer,
            secrets: peerSecrets,
            log,
            clusterId,
            memberId,
            clock,
            onRoundTrip: this.#metrics.roundTrip,
          },
          handlers,
        ),
      version: VERSION,
      etcdVersion: ETCD_API_VERSION,
      tls: (known) => tlsReport(tls, config, known),
      node: {
        name: config.name,
        clientURLs: config.advertiseClientURLs,
        // Who was told by the operator to join is started anew, not told anew, when its URLs change.
        peerURLs: config.start.kind === 'wait' ? config.initialAdvertisePeerURLs : undefined,
        heartbeatMs: config.heartbeatIntervalMs,
        electionMs: config.electionTimeoutMs,
        snapshotCount: config.snapshotCount,
        catchUpEntries: config.snapshotCatchUpEntries,
        maxLearners: config.maxLearners,
        isReconfigStrict: config.isReconfigStrict,
        slowApplyMs: config.warningApplyMs,
        quotaBytes: config.quotaBackendBytes,
        maintenance: config.maintenance,
        maxRequestBytes: config.maxRequestBytes,
        flow: FLOW,
        leases: LEASES,
        applySlice: APPLY_SLICE,
        clock,
        observer: { ...this.#metrics.node, leaderChanged: () => this.#leaderChanged() },
        log,
        random: Math.random,
      },
      onFatal: (error) => this.fatal(error),
      onRunning: (member) => this.#prepareClients(member),
      onAdmitted: (member) => this.#serveClients(member),
      onRemoved: () => void this.#leave(),
      onPaused: () => this.#stopServingClients(),
    })
  }

  async start(): Promise<void> {
    const { dataDir, walDir, start, isNewClusterForced, isFsyncSkipped } = this.#config
    if (isFsyncSkipped) this.#log.warn({}, UNSAFE_NO_FSYNC)
    const identity = await readIdentity(this.#surroundings.volume.disk, dataDir)
    if (!identity.ok) return this.refuse(identity.error)
    if (identity.value?.isRemoved === true) return this.refuse(removedReason(dataDir))
    const wal =
      walDir === undefined ? ok(undefined) : await checkWalDirectory(walDir, dataDir, identity.value !== undefined)
    if (!wal.ok) return this.refuse(wal.error)
    if (identity.value !== undefined) {
      if (identity.value.name !== this.#config.name) {
        this.#log.warn(
          { stored: identity.value.name, given: this.#config.name },
          'the data directory was made under another name',
        )
      }
      const run = await this.#lifecycle.run(identity.value, isNewClusterForced)
      if (!run.ok) return this.refuse(run.error)
      const isLed = (): boolean => this.#lifecycle.running?.replica.leader !== NOBODY
      void this.#warmStart?.beginUnlessLed(isLed, this.#config.heartbeatIntervalMs)
      // Only now: a member that has data must never be seen waiting, or the operator takes its volume for lost.
      return this.#serveAdmin()
    }
    void this.#warmStart?.begin()
    await this.#serveAdmin()
    if (start.kind === 'wait') return this.#log.info({}, 'waiting to be told to bootstrap or to join')
    const plan = await planStart(this.#config, start, peerDialer(this.#tls.peer, this.#log, this.#peerSecrets))
    if (!plan.ok) return this.refuse(plan.error)
    const started = await this.#lifecycle.start(plan.value)
    if (!started.ok) this.refuse(started.error)
  }

  /** Hands leadership on, finishes what is in flight, writes what is in memory. */
  async stop(signal: string): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    this.#log.info({ signal }, 'stopping')
    this.#warmStart?.stop()
    // Who is led here by what does not know yet that it stops is served all the same.
    if (this.#served !== undefined) await sleep(this.#surroundings.clock, this.#config.shutdownDelayMs)
    await this.#stopServingClients()
    await this.#lifecycle.stop()
    await Promise.all(this.#admin.map((server) => server.close(0)))
    await this.#lock.release()
    this.#log.info({}, 'stopped')
    process.exit(0)
  }

  /** Nothing in memory can be trusted any more; what was promised is on the disk. */
  fatal(error: unknown): void {
    this.#log.fatal({ err: error }, 'this member cannot go on')
    process.exit(1)
  }

  /** Whoever reads a damaged store may be anywhere; the lifecycle has heard of it from the store itself. */
  uncaught(error: unknown): void {
    if (error instanceof StoreDamaged) this.#log.warn({ where: error.where }, 'a read met the damaged store')
    else this.fatal(error)
  }

  refuse(reason: string): void {
    this.#log.fatal({}, reason)
    process.exit(1)
  }

  /** Who has started a static member waits for its end, as for etcd's. One that waited to be told stays, to tell that it is of no more use. */
  async #leave(): Promise<void> {
    if (this.#config.start.kind === 'wait') await this.#stopServingClients()
    else await this.stop('removed from the cluster')
  }

  #prepareClients(member: NodePort): void {
    this.#clients = new ClientServer(member, {
      config: this.#config,
      log: this.#log,
      metrics: this.#metrics,
      tls: this.#tls.client,
      tokens: this.#tokens,
      clock: this.#surroundings.clock,
      onFatal: (error) => this.fatal(error),
    })
  }

  async #serveClients(member: NodePort): Promise<void> {
    const serve = async (): Promise<void> => {
      if (this.#isStopping) return
      await this.#clients?.listen()
      this.#served = member
      this.#checkReady()
    }
    const { leader } = member.status()
    if (this.#warmStart === undefined) await serve()
    else await this.#warmStart.beforeOrBeside(leader !== NOBODY && leader !== member.memberId, serve)
  }

  #leaderChanged(): void {
    this.#metrics.node.leaderChanged()
    this.#checkReady()
  }

  /** Scripts and systemd wait for it: a leader is known, clients are served. Told once in a process's life. */
  #checkReady(): void {
    if (this.#isReady || this.#served === undefined || this.#served.status().leader === NOBODY) return
    this.#isReady = true
    this.#log.info({ urls: this.#config.listenClientURLs }, 'ready to serve client requests')
    if (process.env['NOTIFY_SOCKET'] === undefined) return
    notifyReady(process.pid).catch((error: unknown) =>
      this.#log.warn({ err: error }, 'systemd could not be told that this member is ready'),
    )
  }

  async #stopServingClients(): Promise<void> {
    const clients = this.#clients
    this.#clients = undefined
    this.#served = undefined
    await clients?.stop()
  }

  async #serveAdmin(): Promise<void> {
    const { listenAdminURLs, listenMetricsURLs } = this.#config
    if (listenMetricsURLs.length > 0) this.#admin.push(await this.#listenForProbes(listenMetricsURLs))
    if (listenAdminURLs.length === 0) return
    const { adminTokenFile } = this.#config
    const { adminApp } = await import('./api/admin/admin-app.ts') // with express, which others do without
    const app = adminApp({
      member: this.#lifecycle,
      readTokens: () => (adminTokenFile === undefined ? undefined : secretsOf(readFileSync(adminTokenFile, 'utf8'))),
      metrics: this.#metrics.page,
      log: this.#log,
    })
    const shared = { tls: this.#tls.client, log: this.#log, endpoint: 'admin' } as const
    this.#admin.push(await listenHttp({ urls: listenAdminURLs, handle: app, ...shared }))
    this.#log.info({ urls: listenAdminURLs }, 'serving the admin API')
  }

  /** Undefined while nobody is to send clients here. */
  get #probes(): HttpHandler | undefined {
    return this.#served === undefined || this.#isStopping ? undefined : this.#clients?.handleProbe
  }

  /** As etcd answers them, for as long as clients are served. */
  #listenForProbes(urls: readonly string[]): ReturnType<typeof listenHttp> {
    const notReadyReason = (): string | undefined => (this.#isStopping ? 'stopping' : this.#lifecycle.notReadyReason())
    const idle = idleProbes({ notReadyReason, metrics: this.#metrics.page, log: this.#log })
    return listenHttp({
      urls,
      tls: this.#tls.client,
      log: this.#log,
      handle: (request, response) => (this.#probes ?? idle)(request, response),
    })
  }
}

interface Secrets {
  readonly tls: BothTls
  readonly tokens: Tokens
  readonly peerSecrets: PeerSecrets | undefined
}

function readText(path: string): Result<string, string> {
  try {
    return ok(readFileSync(path, 'utf8'))
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error))
  }
}

function tryOpenLog(config: Config): Result<Logger, string> {
  try {
    return ok(openLog(config.log, config.name))
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error))
  }
}

/** Scripts take the first line for etcd's. */
function versionText(): string {
  const { version, platform, arch } = process
  return [
    `etcd Version: ${ETCD_API_VERSION}`,
    `raftkv Version: ${VERSION}`,
    `Node Version: ${version}`,
    `Node OS/Arch: ${platform}/${arch}`,
    '',
  ].join('\n')
}

/** Ends the process itself. */
export async function runMember(args: readonly string[], surroundings: Surroundings): Promise<void> {
  const parsed = parseConfig(args, process.env, readText)
  if (parsed.kind === 'help') return void process.stdout.write(parsed.text)
  if (parsed.kind === 'version') return void process.stdout.write(versionText())
  if (parsed.kind === 'refused') {
    for (const problem of parsed.problems) process.stderr.write(`raftkv: ${problem}\n`)
    process.stderr.write('raftkv: --help lists every flag\n')
    process.exit(2)
  }
  const { config, warnings } = parsed
  const opened = tryOpenLog(config)
  if (!opened.ok) {
    process.stderr.write(`raftkv: --log-outputs: ${opened.error}\n`)
    process.exit(1)
  }
  const log = opened.value
  for (const warning of warnings) log.warn({}, warning)
  const permissions = await permissionWarning(config.dataDir)
  if (permissions !== undefined) log.warn({}, permissions)
  const lock = await lockDirectory(config.dataDir)
  if (!lock.ok) {
    log.fatal({}, lock.error)
    process.exit(1)
  }
  const tls = await prepareBothTls(config, log)
  if (!tls.ok) {
    log.fatal({}, tls.error)
    process.exit(1)
  }
  const tokens = openTokens(config.authToken, surroundings.clock, readText)
  if (!tokens.ok) {
    log.fatal({}, tokens.error)
    process.exit(1)
  }
  const { peerSecret } = config
  const peerSecrets = peerSecret === undefined ? ok(undefined) : PeerSecrets.open(peerSecret, log, surroundings.clock)
  if (!peerSecrets.ok) {
    log.fatal({}, peerSecrets.error)
    process.exit(1)
  }
  const secrets = { tls: tls.value, tokens: tokens.value, peerSecrets: peerSecrets.value }
  const program = new Program(surroundings, config, log, lock.value, secrets)
  process.on('uncaughtException', (error) => program.uncaught(error))
  process.on('unhandledRejection', (error) => program.uncaught(error))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void program.stop(signal))
  await program.start().catch((error: unknown) => program.fatal(error))
}
