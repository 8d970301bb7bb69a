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
import type { Logger } from 'pino'
import { systemClock } from '../lib/system-clock.ts'
import type { AdminStatus } from '../lib/admin-api.ts'
import { adminApp } from './api/admin/admin-app.ts'
import { memberMetrics, type MemberMetrics, type MetricsFacts } from './api/admin/metrics.ts'
import { etcdServices } from './api/etcd/services.ts'
import { parseConfig, type Config } from './config.ts'
import { serveGrpcJs, type GrpcServer } from './grpc/grpc-js.ts'
import { DEFAULT_LIMITS } from './listen/limits.ts'
import { openLog } from './log.ts'
import { Lifecycle } from './node/lifecycle.ts'
import { removedReason } from './node/open.ts'
import type { NodePort } from './node/ports.ts'
import { WatchHub } from './node/watch-hub.ts'
import type { RpcObserver } from './grpc/service.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { permissionWarning } from './start-checks.ts'
import { planStart } from './static-start.ts'
import { readIdentity } from './storage/data-directory.ts'
import { realDisk } from './storage/disk.ts'
import { lockDirectory, type DirectoryLock } from './storage/lock.ts'
import { notifyReady } from './systemd.ts'
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
  #isReady = false

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
        catchUpEntries: config.snapshotCatchUpEntries,
        maxLearners: config.maxLearners,
        slowApplyMs: config.warningApplyMs,
        quotaBytes: config.quotaBackendBytes,
        maxRequestBytes: config.maxRequestBytes,
        clock: systemClock,
        observer: { ...this.#metrics.node, leaderChanged: () => this.#leaderChanged() },
        log,
        random: Math.random,
      },
      onFatal: (error) => this.fatal(error),
      onRunning: (member) => this.#serveClients(member),
      onRemoved: () => void this.#stopServingClients(),
    })
  }

  async start(): Promise<void> {
    const { dataDir, start, isNewClusterForced } = this.#config
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
      const run = await this.#lifecycle.run(identity.value, isNewClusterForced)
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
    const { listenClientURLs, clientLimits, maxTxnOps, maxRequestBytes, electionTimeoutMs } = this.#config
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
      limits: { ...DEFAULT_LIMITS, ...clientLimits },
      observer: this.#rpcObserver(),
    })
    this.#log.info({ urls: listenClientURLs }, 'serving clients')
    const removeListener = member.onApplied(() => {
      this.#checkReady()
      if (this.#isReady) removeListener()
    })
    this.#checkReady()
  }

  #rpcObserver(): RpcObserver {
    const { rpc } = this.#metrics
    const { warningUnaryRequestMs } = this.#config
    return {
      ...rpc,
      method: (path, kind) => {
        const observer = rpc.method(path, kind)
        if (kind !== 'unary') return observer
        return {
          started: () => observer.started(),
          handled: (code, seconds) => {
            observer.handled(code, seconds)
            if (seconds * 1000 > warningUnaryRequestMs) this.#log.warn({ path, code, seconds }, 'a call took long')
          },
        }
      },
      failed: (path, error) => {
        this.#log.error({ err: error, path }, 'a call failed')
        if (error instanceof Error && error.name === 'AssertionFailed') this.fatal(error)
      },
    }
  }

  #leaderChanged(): void {
    this.#metrics.node.leaderChanged()
    this.#checkReady()
  }

  /** Scripts and systemd wait for it: a leader is known, clients are served. Told once in a process's life. */
  #checkReady(): void {
    if (this.#isReady || this.#grpc === undefined || this.#lifecycle.notReadyReason() !== undefined) return
    this.#isReady = true
    this.#log.info({ urls: this.#config.listenClientURLs }, 'ready to serve client requests')
    if (process.env['NOTIFY_SOCKET'] === undefined) return
    notifyReady(process.pid).catch((error: unknown) =>
      this.#log.warn({ err: error }, 'systemd could not be told that this member is ready'),
    )
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

function readText(path: string): Result<string, string> {
  try {
    return ok(readFileSync(path, 'utf8'))
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

async function main(): Promise<void> {
  const [, , ...args] = process.argv
  if (isTool(args[0])) {
    const { runTool } = await import('./tools/tools.ts')
    const command = [process.execPath, ...process.execArgv, import.meta.filename]
    process.exitCode = await runTool(args, { stdout: process.stdout, stderr: process.stderr, command })
    return
  }
  const parsed = parseConfig(args, process.env, readText)
  if (parsed.kind === 'help') return void process.stdout.write(parsed.text)
  if (parsed.kind === 'version') return void process.stdout.write(versionText())
  if (parsed.kind === 'refused') {
    for (const problem of parsed.problems) process.stderr.write(`raftkv: ${problem}\n`)
    process.stderr.write('raftkv: --help lists every flag\n')
    process.exit(2)
  }
  const { config, warnings } = parsed
  const log = openLog(config.log, config.name)
  for (const warning of warnings) log.warn({}, warning)
  const permissions = await permissionWarning(config.dataDir)
  if (permissions !== undefined) log.warn({}, permissions)
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
