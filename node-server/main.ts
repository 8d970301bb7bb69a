/**
 * One member of the cluster: composition root, and the only reader of `process`.
 *
 *   flags → data directory → admin API → (told or remembered) → member → etcd API
 *
 * Exit codes: 0 stopped as asked, 1 the environment or a bug ended it, 2 wrong flags.
 */
import { readFileSync } from 'node:fs'
import { pino, type Logger } from 'pino'
import { systemClock } from '../lib/system-clock.ts'
import { ok, type Result } from '../lib/result.ts'
import type { AdminStatus } from '../lib/admin-api.ts'
import { adminApp } from './api/admin/admin-app.ts'
import { memberMetrics, type AlarmFacts, type MemberMetrics, type MetricsFacts } from './api/admin/metrics.ts'
import { etcdServices } from './api/etcd/services.ts'
import { httpHandler } from './api/http/handler.ts'
import { parseConfig, type Config } from './config.ts'
import { serveGrpcJs, type GrpcServer } from './grpc/grpc-js.ts'
import type { Alarms } from './mvcc/alarms.ts'
import type { RpcObserver } from './grpc/service.ts'
import { listenHttp } from './listen/http-listener.ts'
import { Lifecycle } from './node/lifecycle.ts'
import { removedReason } from './node/open.ts'
import { DEFAULT_MAINTENANCE } from './node/options.ts'
import type { NodePort } from './node/ports.ts'
import { WatchHub } from './node/watch-hub.ts'
import { planStart } from './static-start.ts'
import { readIdentity } from './storage/data-directory.ts'
import { realDisk } from './storage/disk.ts'
import { lockDirectory, type DirectoryLock } from './storage/lock.ts'
import type { TlsOptions } from './tls/options.ts'
import { prepareTls } from './tls/prepare.ts'
import { peerDialer } from './transport/query.ts'
import { isTool } from './tools/names.ts'
import { ETCD_API_VERSION, VERSION } from './version.ts'

/** For calls in flight when the member is asked to stop. */
const STOP_GRACE_MS = 5000
/** Beside the request itself: what gRPC and the message around it take, as in etcd. */
const GRPC_OVERHEAD_BYTES = 512 * 1024

class Program {
  readonly #config: Config
  readonly #log: Logger
  readonly #lifecycle: Lifecycle
  readonly #metrics: MemberMetrics
  readonly #lock: DirectoryLock
  /** Ends the streams of the JSON gateway. */
  readonly #stopping = new AbortController()
  readonly #tls: BothTls
  #admin: { close(graceMs: number): Promise<void> } | undefined
  #grpc: GrpcServer | undefined
  #watchHub: WatchHub | undefined
  #isStopping = false

  constructor(config: Config, log: Logger, lock: DirectoryLock, tls: BothTls) {
    this.#tls = tls
    this.#config = config
    this.#log = log
    this.#lock = lock
    const source = {
      status: (): AdminStatus => this.#lifecycle.status(),
      facts: (): MetricsFacts | undefined => this.#facts(),
    }
    this.#metrics = memberMetrics(source)
    this.#lifecycle = new Lifecycle({
      disk: realDisk,
      dataDirectory: config.dataDir,
      listenPeerUrls: config.listenPeerURLs,
      peerURLs: config.initialAdvertisePeerURLs,
      peerTls: tls.peer,
      version: VERSION,
      etcdVersion: ETCD_API_VERSION,
      node: {
        name: config.name,
        clientURLs: config.advertiseClientURLs,
        heartbeatMs: config.heartbeatIntervalMs,
        electionMs: config.electionTimeoutMs,
        snapshotCount: config.snapshotCount,
        quotaBytes: config.quotaBackendBytes,
        maintenance: DEFAULT_MAINTENANCE,
        maxRequestBytes: config.maxRequestBytes,
        clock: systemClock,
        observer: this.#metrics.node,
        log,
        random: Math.random,
      },
      onFatal: (error) => this.fatal(error),
      onRunning: (member) => this.#serveClients(member),
      onRemoved: () => void this.#stopServingClients(),
    })
  }

  async start(): Promise<void> {
    const { dataDir, start } = this.#config
    const identity = await readIdentity(realDisk, dataDir)
    if (!identity.ok) return this.refuse(identity.error)
    if (identity.value?.isRemoved === true) return this.refuse(removedReason(dataDir))
    if (identity.value !== undefined) {
      if (identity.value.name !== this.#config.name) {
        this.#log.warn(
          { stored: identity.value.name, given: this.#config.name },
          'the data directory was made under another name',
        )
      }
      const run = await this.#lifecycle.run(identity.value)
      // Only now: a member that has data must never be seen waiting, or the operator takes its volume for lost.
      if (run.ok) return this.#serveAdmin()
      return this.refuse(run.error)
    }
    await this.#serveAdmin()
    if (start.kind === 'wait') return this.#log.info({}, 'waiting to be told to bootstrap or to join')
    const plan = await planStart(this.#config, start, peerDialer(this.#tls.peer, this.#log))
    if (!plan.ok) return this.refuse(plan.error)
    const started = await this.#lifecycle.start(plan.value)
    if (!started.ok) this.refuse(started.error)
  }

  /** Hands leadership on, finishes what is in flight, writes what is in memory. */
  async stop(signal: string): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    this.#log.info({ signal }, 'stopping')
    await this.#stopServingClients()
    await this.#lifecycle.stop()
    await this.#admin?.close(0)
    await this.#lock.release()
    this.#log.info({}, 'stopped')
    process.exit(0)
  }

  /** Nothing in memory can be trusted any more; what was promised is on the disk. */
  fatal(error: unknown): void {
    this.#log.fatal({ err: error }, 'this member cannot go on')
    process.exit(1)
  }

  refuse(reason: string): void {
    this.#log.fatal({}, reason)
    process.exit(1)
  }

  async #serveClients(member: NodePort): Promise<void> {
    const { listenClientURLs, maxTxnOps, maxRequestBytes, electionTimeoutMs } = this.#config
    const hub = new WatchHub(member, systemClock)
    this.#watchHub = hub
    const services = etcdServices(member, {
      maxTxnOps,
      clock: systemClock,
      watch: { hub, maxRequestBytes, electionMs: electionTimeoutMs },
    })
    const maxReceiveBytes = maxRequestBytes + GRPC_OVERHEAD_BYTES
    const observer: RpcObserver = {
      ...this.#metrics.rpc,
      failed: (path, error) => {
        this.#log.error({ err: error, path }, 'a call failed')
        if (error instanceof Error && error.name === 'AssertionFailed') this.fatal(error)
      },
    }
    this.#grpc = await serveGrpcJs({
      listenURLs: listenClientURLs,
      tls: this.#tls.client,
      services,
      maxReceiveBytes,
      observer,
      log: this.#log,
      handleRequest: httpHandler(member, services, {
        corsOrigins: [],
        hostWhitelist: [],
        isGatewayEnabled: true,
        maxReceiveBytes,
        observer,
        stopping: this.#stopping.signal,
        health: { alarms: () => raisedAlarms(member.store.alarms), observer: this.#metrics.health },
        metrics: this.#metricsText(),
        log: this.#log,
      }),
    })
    this.#log.info({ urls: listenClientURLs }, 'serving clients')
  }

  async #stopServingClients(): Promise<void> {
    this.#stopping.abort()
    const grpc = this.#grpc
    this.#grpc = undefined
    await grpc?.stop(STOP_GRACE_MS)
  }

  async #serveAdmin(): Promise<void> {
    const { adminTokenFile, listenAdminURLs, listenMetricsURLs } = this.#config
    const app = adminApp({
      member: this.#lifecycle,
      readToken: () => (adminTokenFile === undefined ? undefined : readFileSync(adminTokenFile, 'utf8').trim()),
      metrics: this.#metricsText(),
      log: this.#log,
    })
    const urls = [...new Set([...listenAdminURLs, ...listenMetricsURLs])]
    this.#admin = await listenHttp({ urls, tls: this.#tls.client, handle: app, log: this.#log })
    if (listenAdminURLs.length > 0) this.#log.info({ urls: listenAdminURLs }, 'serving the admin API')
  }

  #metricsText(): { readonly contentType: string; text(): Promise<string> } {
    const { registry } = this.#metrics
    return { contentType: registry.contentType, text: () => registry.metrics() }
  }

  #facts(): MetricsFacts | undefined {
    const running = this.#lifecycle.running
    if (running === undefined) return undefined
    const { node, transport } = running
    const peers = node.members().filter(({ id }) => id !== node.memberId)
    return {
      pendingProposals: node.pendingProposals,
      quotaBytes: node.quota.limitBytes,
      isDefragmenting: node.files.isDefragmenting,
      alarms: alarmFacts(node.store.alarms),
      dbSizeInUseBytes: node.store.size().inUseBytes,
      watch: this.#watchHub?.counts,
      peers: peers.map(({ id }) => {
        const { sentBytes, receivedBytes, sendFailures, roundTripMs } = transport.stats(id)
        const roundTripSeconds = roundTripMs === undefined ? undefined : roundTripMs / 1000
        return { id: id.toString(16), sentBytes, receivedBytes, sendFailures, roundTripSeconds }
      }),
    }
  }
}

interface RaisedAlarm {
  readonly memberId: bigint
  readonly kind: AlarmFacts['type']
}

function raisedAlarms({ noSpace, corrupt }: Alarms): readonly RaisedAlarm[] {
  const of = (ids: ReadonlySet<bigint>, kind: RaisedAlarm['kind']): RaisedAlarm[] =>
    [...ids].map((memberId) => ({ memberId, kind }))
  return [...of(noSpace, 'NOSPACE'), ...of(corrupt, 'CORRUPT')]
}

function alarmFacts(alarms: Alarms): readonly AlarmFacts[] {
  return raisedAlarms(alarms).map(({ memberId, kind }) => ({ memberId: memberId.toString(16), type: kind }))
}

interface BothTls {
  readonly client: TlsOptions | undefined
  readonly peer: TlsOptions | undefined
}

async function prepareBothTls(config: Config, log: Logger): Promise<Result<BothTls, string>> {
  const { dataDir: dataDirectory, clientTls, peerTls, listenClientURLs, listenPeerURLs } = config
  const sides = { dataDirectory, log }
  const client = await prepareTls({ ...sides, side: 'client', tls: clientTls, listenURLs: listenClientURLs })
  if (!client.ok) return client
  const peer = await prepareTls({ ...sides, side: 'peer', tls: peerTls, listenURLs: listenPeerURLs })
  return peer.ok ? ok({ client: client.value, peer: peer.value }) : peer
}

async function main(): Promise<void> {
  const [, , ...args] = process.argv
  if (isTool(args[0])) {
    const { runTool } = await import('./tools/tools.ts')
    const { stdout, stderr, execPath, execArgv } = process
    process.exitCode = await runTool(args, { stdout, stderr, node: [execPath, ...execArgv] })
    return
  }
  const parsed = parseConfig(process.argv.slice(2), process.env)
  if (parsed.kind === 'help') return void process.stdout.write(parsed.text)
  if (parsed.kind === 'version')
    return void process.stdout.write(`raftkv Version: ${VERSION}\netcd API: ${ETCD_API_VERSION}\n`)
  if (parsed.kind === 'refused') {
    for (const problem of parsed.problems) process.stderr.write(`raftkv: ${problem}\n`)
    process.stderr.write('raftkv: --help lists every flag\n')
    process.exit(2)
  }
  const { config, warnings } = parsed
  const log = pino(
    { level: config.logLevel, base: { name: config.name }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ sync: true }),
  )
  for (const warning of warnings) log.warn({}, warning)
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
  const program = new Program(config, log, lock.value, tls.value)
  process.on('uncaughtException', (error) => program.fatal(error))
  process.on('unhandledRejection', (error) => program.fatal(error))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void program.stop(signal))
  await program.start().catch((error: unknown) => program.fatal(error))
}

await main()
