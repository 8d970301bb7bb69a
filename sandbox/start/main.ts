/**
 * `npm start`: state directory → API server → controllers, kubelet → operator → a RaftCluster, told step by step; then
 * what to do with it, until a signal. With `--demo` the tour instead.
 *
 * Every process is a child that notices when this one is gone, and the next start ends what is left all the same.
 */
import { randomBytes } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { destination, pino, stdSerializers, type Logger } from 'pino'
import { parse as parseYaml } from 'yaml'
import { selfSignedFiles } from '../../node-server/tls/self-signed.ts'
import { startApiServer } from '../api-server/main.ts'
import type { ApiClient } from '../client/client.ts'
import { isRecord, type NewObject } from '../client/object.ts'
import { RESOURCES } from '../client/resource.ts'
import { checkoutImages } from '../kubelet/images.ts'
import { reserveAddresses } from '../kubelet/kubelet.ts'
import { replaceFile } from '../kubelet/replace-file.ts'
import type { Box } from './box.ts'
import { startBox } from './box.ts'
import { type ClientTls, writeClientFiles } from './client-files.ts'
import { runDemo } from './demo.ts'
import { EtcdJson } from './etcd-json.ts'
import { claimNetwork } from './network.ts'
import {
  OPERATOR_LEASE,
  OPERATOR_NAMESPACE,
  OPERATOR_POD,
  PAGE_PORT,
  SAMPLE,
  SAMPLE_PODS,
  kubeconfig,
  namespace,
  operator,
  operatorKubeconfig,
  sampleChange,
  sampleCluster,
} from './objects.ts'
import { HELP, parseOptions, type Options } from './options.ts'
import { createPrinter, type Printer } from './printer.ts'
import { explainWait, memberOf, printProgress, waitForCluster, type ClusterView } from './progress.ts'
import { openStateDirectory, type StateDirectory } from './state-directory.ts'
import { summaryText } from './summary.ts'

const STOP_GRACE_MS = 10_000
/** What keeps the cluster from being ready for so long is said. */
const EXPLAIN_EVERY_MS = 5000
const HOST = '127.0.0.1'
const CERTIFICATE_YEARS = 10

/** Answers the exit code. */
export async function main(args: readonly string[], root: string, compileCache: string): Promise<number> {
  const parsed = parseOptions(args, join(root, '.cache', 'sandbox'))
  if (!parsed.ok) return refuse(`${parsed.error}\n\n${HELP}`, 2)
  if (parsed.value === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  const options = { ...parsed.value, directory: resolve(parsed.value.directory) }
  const printer = createPrinter(
    (text) => process.stdout.write(text),
    () => performance.now(),
  )
  const state = await openStateDirectory(options.directory, options.isFresh)
  if (!state.ok) return refuse(state.error, 1)
  const stop = stopSignal(printer)
  try {
    return await run({ options, state: state.value, printer, root, compileCache, stop })
  } finally {
    await state.value.lock.release()
  }
}

interface Run {
  readonly options: Options
  readonly state: StateDirectory
  readonly printer: Printer
  readonly root: string
  readonly compileCache: string
  readonly stop: AbortSignal
}

async function run(run: Run): Promise<number> {
  const { options, state, printer, root, compileCache, stop } = run
  printer.line('RaftKV with a stand-in for Kubernetes on this machine: for trying out, not for data you need.')
  if (state.leftovers > 0) printer.step('sandbox', `ended ${state.leftovers} processes that an earlier run had left`)
  const network = await claimNetwork(state.network)
  if (!network.ok) return refuse(network.error, 1)
  const logger = openLogger(state.log)
  const token = adminToken(state.path)
  const tls = await certificate(state.tls)
  const server = await startApiServer({
    directory: state.apiServer,
    listen: { host: HOST, port: options.port },
    adminToken: token,
    tls,
    onBug: (error) => logger.error({ err: error }, 'a bug in the API server'),
  }).catch((error: unknown) => explainStart(error, options.port))
  if (typeof server === 'string') {
    network.value.server.close()
    return refuse(server, 1)
  }
  const config = kubeconfig(server.url, token, tls.cert)
  replaceFile(state.kubeconfig, config)
  printer.step('API server', `${server.url}   KUBECONFIG=${state.kubeconfig}`)
  const fatal = (error: Error): never => {
    logger.fatal({ err: error }, 'a bug')
    throw error
  }
  // Clients come by address here: the members' certificates are for those of all pods that there may be.
  const addresses = reserveAddresses(state.kubelet, network.value.network, SAMPLE_PODS)
  const box = await startBox({
    url: server.url,
    token,
    ca: tls.cert,
    logger,
    network: network.value,
    images: checkoutImages(root),
    volumesDirectory: state.volumes,
    kubeletDirectory: state.kubelet,
    variables: { NODE_COMPILE_CACHE: compileCache },
    stopFirst: OPERATOR_NAMESPACE,
    onFatal: fatal,
  })
  printer.step('controllers', 'StatefulSets, volumes, disruption budgets, garbage; kubelet on node sandbox')
  try {
    return await live(run, box, { config, addresses })
  } catch (error) {
    if (!stop.aborted) throw error
    return 0
  } finally {
    printer.step('sandbox', 'stopping')
    await box.stop(STOP_GRACE_MS)
    await server.close()
    printer.step('sandbox', 'stopped: no process is left')
  }
}

interface Installed {
  /** The kubeconfig that the operator has. */
  readonly config: string
  /** Of the sample cluster's pods. */
  readonly addresses: readonly string[]
}

async function live(
  { options, state, printer, root, stop }: Run,
  box: Box,
  { config, addresses }: Installed,
): Promise<number> {
  const startedAtMs = Date.now()
  printProgress(box.mirrors, printer, startedAtMs)
  const sample = sampleCluster(options.isPlain ? undefined : addresses)
  await install(box, root, { config, sample }, startedAtMs - performance.now())
  await certify(box.client, addresses)
  printer.step('operator', `pod in ${OPERATOR_NAMESPACE}; a RaftCluster demo in default`)
  const explaining = setInterval(explainWait(box.mirrors, printer), EXPLAIN_EVERY_MS)
  const view = await waitForCluster(box.mirrors, ({ isReady }) => isReady, stop).finally(() =>
    clearInterval(explaining),
  )
  printer.step('demo', `Ready: ${view.members.length} members, ${view.leader} leads`)
  printer.line()
  const tls = await writeClientFiles(box.client, state.client)
  if (options.isDemo) {
    const etcd = new EtcdJson(tls)
    try {
      return await runDemo(box, etcd, printer, stop)
    } finally {
      await etcd.close()
    }
  }
  printer.line(summaryText(summaryOf(view, state, tls, addressOf(box))))
  printer.line()
  await new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve(), { once: true }))
  return 0
}

/** What is there already stays as the user left it; the operator's own objects are brought up to date. */
async function install(
  { client }: Box,
  root: string,
  { config, sample }: { readonly config: string; readonly sample: NewObject },
  startedAtMs: number,
): Promise<void> {
  for (const plural of ['raftclusters', 'raftbackups', 'scheduledraftbackups']) {
    const crd: unknown = parseYaml(readFileSync(join(root, 'crds', `${plural}.raftkv.dev.yaml`), 'utf8'))
    await client.apply(RESOURCES.crds, decodeManifest(crd))
  }
  await client.createIfMissing(RESOURCES.namespaces, namespace())
  await connectOperator(client, config)
  await freeLease(client, startedAtMs)
  await client.apply(RESOURCES.statefulSets, operator(versionOf(root)))
  await waitUntilServed(async () => client.list(RESOURCES.raftClusters))
  await client.createIfMissing(RESOURCES.raftClusters, sample)
}

/**
 * The API server may have another address than at the last start. The operator reads its kubeconfig once, so its pod is recreated; a change
 * of its StatefulSet would wait forever for the one that does not become ready.
 */
async function connectOperator(client: ApiClient, config: string): Promise<void> {
  const secret = operatorKubeconfig(config)
  const ref = { namespace: OPERATOR_NAMESPACE, name: secret.metadata.name ?? '' }
  const before = await client.get(RESOURCES.secrets, ref)
  await client.apply(RESOURCES.secrets, secret)
  if (before === undefined || isDeepStrictEqual(before['data'], secret['data'])) return
  await client.delete(RESOURCES.pods, { namespace: OPERATOR_NAMESPACE, name: OPERATOR_POD })
}

async function certify(client: ApiClient, addresses: readonly string[]): Promise<void> {
  const sample = await client.get(RESOURCES.raftClusters, SAMPLE)
  const change = sample && sampleChange(sample, addresses)
  if (change !== undefined) await client.patch(RESOURCES.raftClusters, SAMPLE, change)
}

/** Of an operator that was killed with an earlier sandbox: it holds its lease no more, and nobody need wait for that. */
async function freeLease(client: ApiClient, startedAtMs: number): Promise<void> {
  const ref = { namespace: OPERATOR_NAMESPACE, name: OPERATOR_LEASE }
  const lease = await client.get(RESOURCES.leases, ref)
  const spec = isRecord(lease?.['spec']) ? lease['spec'] : {}
  const { holderIdentity: holder, renewTime } = spec
  const isOurs = typeof holder === 'string' && holder.startsWith(`${OPERATOR_POD}_`)
  const isOld = typeof renewTime === 'string' && Date.parse(renewTime) < startedAtMs
  if (lease === undefined || !isOurs || !isOld) return
  await client.delete(RESOURCES.leases, ref, { uid: lease.metadata.uid })
}

const SERVED_WITHIN_MS = 10_000

/** A definition is served a moment after it was written. */
async function waitUntilServed(list: () => Promise<unknown>): Promise<void> {
  for (const startedMs = performance.now(); ;) {
    try {
      await list()
      return
    } catch (error) {
      if (performance.now() - startedMs > SERVED_WITHIN_MS) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

function decodeManifest(value: unknown): NewObject {
  if (!isRecord(value) || typeof value['apiVersion'] !== 'string' || typeof value['kind'] !== 'string') {
    throw new Error('a manifest that is none')
  }
  const metadata = isRecord(value['metadata']) ? value['metadata'] : {}
  return { ...value, apiVersion: value['apiVersion'], kind: value['kind'], metadata }
}

function summaryOf(
  view: ClusterView,
  state: StateDirectory,
  tls: ClientTls | undefined,
  operatorAddress: string,
): Parameters<typeof summaryText>[0] {
  const members = view.members.map(({ name, address }) => ({ name, address, isLeader: name === view.leader }))
  return {
    kubeconfig: state.kubeconfig,
    page: `http://${operatorAddress}:${PAGE_PORT}`,
    members,
    tls: tls?.files,
    installed: new Set(['kubectl', 'etcdctl'].filter(isInstalled)),
  }
}

/** The operator's. */
function addressOf({ mirrors }: Box): string {
  const pod = mirrors.of(RESOURCES.pods).get(`${OPERATOR_NAMESPACE}/${OPERATOR_POD}`)
  return pod === undefined ? '' : memberOf(pod).address
}

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Made at the first start: kubectl sends its token over TLS alone, and other users of this machine must not be let in. */
async function certificate(directory: string): Promise<{ readonly key: string; readonly cert: string }> {
  const { certFile, keyFile } = await selfSignedFiles(directory, [HOST, 'localhost'], CERTIFICATE_YEARS)
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}

function adminToken(directory: string): string {
  const path = join(directory, 'admin-token')
  if (existsSync(path)) return readFileSync(path, 'utf8').trim()
  const token = randomBytes(24).toString('base64url')
  replaceFile(path, token)
  return token
}

function versionOf(root: string): string {
  const value: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return isRecord(value) && typeof value['version'] === 'string' ? value['version'] : 'latest'
}

function openLogger(path: string): Logger {
  const serializers = { error: stdSerializers.err, err: stdSerializers.err }
  return pino({ level: 'info', serializers }, destination({ dest: path, append: true, mode: 0o600 }))
}

/** For the user; what is no expected failure is thrown. */
function explainStart(error: unknown, port: number): string {
  const reason = error instanceof Error ? (error.cause ?? error) : error
  const code = reason instanceof Error && 'code' in reason ? reason.code : undefined
  if (code === 'EADDRINUSE') {
    return `port ${port} of ${HOST} is taken by another program: choose another with npm start -- --port NUMBER (0: any)`
  }
  if (code === 'EACCES') return `port ${port} may not be used without more rights: choose one above 1023 with --port`
  throw error
}

/** Aborts at the first signal; the second ends the process at once, and its children notice. */
function stopSignal(printer: Printer): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(1)
      printer.line()
      stop.abort(new Error(name))
    })
  }
  return stop.signal
}

function refuse(message: string, exitCode: number): number {
  process.stderr.write(`npm start: ${message}\n`)
  return exitCode
}
