/**
 * One member of the cluster: composition root, and the only reader of `process`.
 *
 *   flags → data directory → admin API → (told or remembered) → member → etcd API
 *
 * Exit codes: 0 stopped as asked, 1 the environment or a bug ended it, 2 wrong flags.
 */
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { Express } from 'express'
import { pino, type Logger } from 'pino'
import { systemClock } from '../lib/system-clock.ts'
import type { AdminStatus } from '../lib/admin-api.ts'
import { adminApp } from './api/admin/admin-app.ts'
import { memberMetrics, type MemberMetrics, type MetricsFacts } from './api/admin/metrics.ts'
import { etcdServices } from './api/etcd/services.ts'
import { parseConfig, type Config } from './config.ts'
import { serveGrpcJs, type GrpcServer } from './grpc/grpc-js.ts'
import { Lifecycle } from './node/lifecycle.ts'
import { removedReason } from './node/open.ts'
import type { NodePort } from './node/ports.ts'
import { WatchHub } from './node/watch-hub.ts'
import { planStart } from './static-start.ts'
import { readIdentity } from './storage/data-directory.ts'
import { realDisk } from './storage/disk.ts'
import { lockDirectory, type DirectoryLock } from './storage/lock.ts'
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
  readonly #servers: Server[] = []
  readonly #lock: DirectoryLock
  #grpc: GrpcServer | undefined
  #watchHub: WatchHub | undefined
  #isStopping = false

  constructor(config: Config, log: Logger, lock: DirectoryLock) {
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
      version: VERSION,
      etcdVersion: ETCD_API_VERSION,
      node: {
        name: config.name,
        clientURLs: config.advertiseClientURLs,
        heartbeatMs: config.heartbeatIntervalMs,
        electionMs: config.electionTimeoutMs,
        snapshotCount: config.snapshotCount,
        quotaBytes: config.quotaBackendBytes,
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
    const plan = await planStart(this.#config, start)
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
    for (const server of this.#servers) server.close()
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
    this.#grpc = await serveGrpcJs({
      listenURLs: listenClientURLs,
      services: etcdServices(member, {
        maxTxnOps,
        clock: systemClock,
        watch: { hub, maxRequestBytes, electionMs: electionTimeoutMs },
      }),
      maxReceiveBytes: maxRequestBytes + GRPC_OVERHEAD_BYTES,
      log: this.#log,
      observer: {
        ...this.#metrics.rpc,
        failed: (path, error) => {
          this.#log.error({ err: error, path }, 'a call failed')
          if (error instanceof Error && error.name === 'AssertionFailed') this.fatal(error)
        },
      },
    })
    this.#log.info({ urls: listenClientURLs }, 'serving clients')
  }

  async #stopServingClients(): Promise<void> {
    const grpc = this.#grpc
    this.#grpc = undefined
    await grpc?.stop(STOP_GRACE_MS)
  }

  async #serveAdmin(): Promise<void> {
    const { adminTokenFile, listenAdminURLs, listenMetricsURLs } = this.#config
    const { registry } = this.#metrics
    const app = adminApp({
      member: this.#lifecycle,
      readToken: () => (adminTokenFile === undefined ? undefined : readFileSync(adminTokenFile, 'utf8').trim()),
      metrics: { contentType: registry.contentType, text: () => registry.metrics() },
      log: this.#log,
    })
    for (const url of new Set([...listenAdminURLs, ...listenMetricsURLs])) this.#servers.push(await listen(app, url))
    if (listenAdminURLs.length > 0) this.#log.info({ urls: listenAdminURLs }, 'serving the admin API')
  }

  #facts(): MetricsFacts | undefined {
    const running = this.#lifecycle.running
    if (running === undefined) return undefined
    const { node, transport } = running
    const peers = node.members().filter(({ id }) => id !== node.memberId)
    return {
      pendingProposals: node.pendingProposals,
      quotaBytes: this.#config.quotaBackendBytes,
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

async function listen(app: Express, url: string): Promise<Server> {
  const { hostname, port } = new URL(url)
  const server = createServer(app)
  server.listen(Number(port), hostname.replaceAll(/^\[|\]$/g, ''))
  await once(server, 'listening')
  return server
}

async function main(): Promise<void> {
  const [, , ...args] = process.argv
  if (isTool(args[0])) {
    const { runTool } = await import('./tools/tools.ts')
    const command = [process.execPath, ...process.execArgv, import.meta.filename]
    process.exitCode = await runTool(args, { stdout: process.stdout, stderr: process.stderr, command })
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
  const program = new Program(config, log, lock.value)
  process.on('uncaughtException', (error) => program.fatal(error))
  process.on('unhandledRejection', (error) => program.fatal(error))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void program.stop(signal))
  await program.start().catch((error: unknown) => program.fatal(error))
}

await main()
