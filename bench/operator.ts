/**
 * What the operator needs for many RaftClusters: `npm run bench:operator [-- sizes]`, by default 1 10 100 1000. The real
 * operator program over HTTP against the sandbox's API server; members, pods and volumes are simulated. For each size:
 *
 * - start: from the start of the program until every cluster is Ready by its word;
 * - memory: resident, the most seen while nothing changes, and the most ever;
 * - idle: processor time while nothing changes, of one core, over a whole resync period where clusters are many;
 * - edit: from a change of a RaftCluster until a watch shows it in its StatefulSet.
 *
 * With SILENT=N in the environment there is one size, measured twice, with a quarter of a minute of idleness each: with every member well, and then with
 * one member in each of the first N clusters that takes requests and never answers, while the others are edited. `start` is then the time until the
 * operator has said so of all N: `SILENT=100 npm run bench:operator -- 1000`.
 *
 * Linux only: it needs loopback addresses beyond 127.0.0.1, and /proc.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parse as parseYaml } from 'yaml'
import { systemClock } from '../lib/system-clock.ts'
import { selfSignedFiles } from '../node-server/tls/self-signed.ts'
import { startApiServer } from '../sandbox/api-server/main.ts'
import { connect, type ApiClient } from '../sandbox/client/client.ts'
import { Mirrors } from '../sandbox/client/mirrors.ts'
import { isRecord, keyOf, type StoredObject } from '../sandbox/client/object.ts'
import { RESOURCES } from '../sandbox/client/resource.ts'
import { claimNetwork } from '../sandbox/start/network.ts'
import { SimulatedMembers, REPLICAS } from './operator-scale/members.ts'
import { OperatorProcess } from './operator-scale/operator-process.ts'
import { endReadiness, simulatePods } from './operator-scale/pods.ts'

const ROOT = join(import.meta.dirname, '..')
/** Every list of the operator is of one namespace, and the API server looks at all that is in it. */
const CLUSTERS_PER_NAMESPACE = 20
const HOST = '127.0.0.1'
const TOKEN = 'bench'
/** More of Node's flags, for a profile. */
const NODE_FLAGS = (process.env['OPERATOR_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '')
const RESYNC_SECONDS = 300
/** By themselves, and with members that do not answer: what is asked of these is the reaction to edits. */
const [SHORT_IDLE_SECONDS, SILENT_IDLE_SECONDS] = [30, 15]
/** Clusters with a member that does not answer. */
const SILENT = Number(process.env['SILENT'] ?? 0)
const EDITS = Number(process.env['EDITS'] ?? 100)
const BETWEEN_EDITS_MS = 500
const GIVE_UP_MS = 600_000
const CREATE_AT_ONCE = 16

interface Row {
  readonly clusters: number
  readonly silent: number
  readonly startSeconds: number
  readonly rssMb: number
  readonly peakRssMb: number
  readonly idlePercent: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

interface World {
  readonly client: ApiClient
  readonly mirrors: Mirrors
  readonly members: SimulatedMembers
  /** With the kubeconfig. */
  readonly directory: string
  /** Receives every StatefulSet that changes. */
  onStatefulSet: (object: StoredObject) => void
}

async function main(): Promise<void> {
  const sizes = process.argv.slice(2).map(Number)
  if (SILENT > 0 && sizes.length !== 1) throw new Error('SILENT goes with one size')
  const directory = mkdtempSync(join(tmpdir(), 'bench-operator-'))
  const network = await claimNetwork(join(directory, 'network.json'))
  if (!network.ok) throw new Error(network.error)
  const { certFile, keyFile } = await selfSignedFiles(join(directory, 'tls'), [HOST], 1)
  const tls = { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') }
  const server = await startApiServer({ listen: { host: HOST, port: 0 }, adminToken: TOKEN, tls })
  const connection = connect({ url: server.url, token: TOKEN, ca: tls.cert })
  writeKubeconfig(directory, server.url, tls.cert)
  const world = createWorld(connection.client, new SimulatedMembers(network.value.network), directory)
  try {
    await installCrds(world.client)
    const rows: Row[] = []
    for (const size of sizes.length === 0 ? [1, 10, 100, 1000] : sizes) {
      await grow(world, size)
      await measure(world, size, (row) => {
        rows.push(row)
        console.log(lineOf(row))
      })
    }
    console.table(rows)
  } finally {
    await world.mirrors.stop()
    await connection.close()
    await world.members.close()
    await server.close()
    network.value.server.close()
    rmSync(directory, { recursive: true })
  }
}

function writeKubeconfig(directory: string, server: string, ca: string): void {
  const cluster = { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') }
  const config = {
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user: { token: TOKEN } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  }
  writeFileSync(join(directory, 'kubeconfig'), JSON.stringify(config))
}

function createWorld(client: ApiClient, members: SimulatedMembers, directory: string): World {
  const mirrors = new Mirrors({ client, clock: systemClock, onProblem: (problem) => console.error(problem) })
  const world: World = { client, mirrors, members, directory, onStatefulSet: () => undefined }
  simulatePods({ client, mirrors, members, onStatefulSet: (object) => world.onStatefulSet(object) })
  return world
}

async function installCrds(client: ApiClient): Promise<void> {
  for (const plural of ['scheduledraftbackups', 'raftbackups', 'raftclusters']) await installCrd(client, plural)
  await until('the CRDs are served', async () => client.list(RESOURCES.raftClusters).then(() => true, () => false)) // prettier-ignore
}

async function installCrd(client: ApiClient, plural: string): Promise<void> {
  const crd: unknown = parseYaml(readFileSync(join(ROOT, 'crds', `${plural}.raftkv.dev.yaml`), 'utf8'))
  if (!isRecord(crd) || !isRecord(crd['metadata'])) throw new Error('the CRD is none')
  const { name } = crd['metadata']
  await client.apply(RESOURCES.crds, {
    ...crd,
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: String(name) },
  })
}

function refOf(index: number): { readonly namespace: string; readonly name: string } {
  const namespace = `bench-${Math.floor(index / CLUSTERS_PER_NAMESPACE)}`
  return { namespace, name: `cluster-${String(index).padStart(4, '0')}` }
}

/** Makes RaftClusters up to `size`, as ones that an operator has formed before. */
async function grow({ client, members, mirrors }: World, size: number): Promise<void> {
  const clusters = mirrors.of(RESOURCES.raftClusters)
  await clusters.synced
  const refs = Array.from({ length: size }, (_, index) => refOf(index))
  for (const name of new Set(refs.map(({ namespace }) => namespace))) {
    const { apiVersion, kind } = RESOURCES.namespaces
    await client.createIfMissing(RESOURCES.namespaces, { apiVersion, kind, metadata: { name } })
  }
  const missing = refs.filter(({ namespace, name }) => clusters.get(`${namespace}/${name}`) === undefined)
  // The members here have no TLS.
  const plain = { mode: 'Disabled' }
  const spec = { replicas: REPLICAS, tls: { peer: plain, client: plain }, networkPolicy: { enabled: false } }
  const create = async (): Promise<void> => {
    for (let ref = missing.pop(); ref !== undefined; ref = missing.pop()) {
      const clusterID = await members.add(ref.name)
      const { apiVersion, kind } = RESOURCES.raftClusters
      await client.create(RESOURCES.raftClusters, { apiVersion, kind, metadata: ref, spec })
      await client.patch(RESOURCES.raftClusters, ref, { status: { clusterID } }, { subresource: 'status' })
    }
  }
  await Promise.all(Array.from({ length: CREATE_AT_ONCE }, create))
}

async function measure(world: World, size: number, onRow: (row: Row) => void): Promise<void> {
  const startedMs = performance.now()
  const operator = new OperatorProcess(world.directory, NODE_FLAGS, [`--resync-period=${RESYNC_SECONDS}s`])
  try {
    await untilReadyAre(world, operator, size)
    const idleSeconds = SILENT > 0 ? SILENT_IDLE_SECONDS : size > 100 ? RESYNC_SECONDS : SHORT_IDLE_SECONDS
    onRow(await rowOf(world, operator, { size, silent: 0, startedMs, idleSeconds }))
    const silent = Math.min(SILENT, size - 1)
    if (silent === 0) return
    const silencedMs = performance.now()
    for (let index = 0; index < silent; index++) await silence(world, index)
    await untilReadyAre(world, operator, size - silent)
    onRow(await rowOf(world, operator, { size, silent, startedMs: silencedMs, idleSeconds }))
  } catch (error) {
    throw new Error(`the operator's last lines:\n${operator.tail}`, { cause: error })
  } finally {
    await operator.stop()
  }
}

interface Measurement {
  readonly size: number
  readonly silent: number
  readonly startedMs: number
  readonly idleSeconds: number
}

async function rowOf(world: World, operator: OperatorProcess, measurement: Measurement): Promise<Row> {
  const { size, silent, startedMs, idleSeconds } = measurement
  const startSeconds = (performance.now() - startedMs) / 1000
  const idle = await watchIdle(operator, idleSeconds)
  const latenciesMs = (await edit(world, silent, size)).toSorted((a, b) => a - b)
  const at = (share: number): number => latenciesMs[Math.ceil(share * latenciesMs.length) - 1] ?? Number.NaN
  return {
    clusters: size,
    silent,
    startSeconds: round(startSeconds, 1),
    rssMb: round(idle.rssBytes / 1e6, 0),
    peakRssMb: round(operator.usage().peakRssBytes / 1e6, 0),
    idlePercent: round(idle.percent, 1),
    p50Ms: round(at(0.5), 0),
    p99Ms: round(at(0.99), 0),
    maxMs: round(at(1), 0),
  }
}

/** As a member that hangs: its pod stops being ready, and who asks it waits. */
async function silence({ client, members }: World, index: number): Promise<void> {
  const { namespace, name } = refOf(index)
  await endReadiness(client, { namespace, name: members.silence(name) })
}

async function untilReadyAre(world: World, operator: OperatorProcess, count: number): Promise<void> {
  await until(`${count} clusters are Ready`, async () => {
    operator.usage() // fails once it has ended
    return countReady(world) === count
  })
}

function countReady({ mirrors }: World): number {
  return [...mirrors.of(RESOURCES.raftClusters).values()].filter(isReady).length
}

function isReady(cluster: StoredObject): boolean {
  const status = isRecord(cluster['status']) ? cluster['status'] : {}
  const conditions: readonly unknown[] = Array.isArray(status['conditions']) ? status['conditions'] : []
  return conditions.some((each) => isRecord(each) && each['type'] === 'Ready' && each['status'] === 'True')
}

async function watchIdle(
  operator: OperatorProcess,
  seconds: number,
): Promise<{ readonly percent: number; readonly rssBytes: number }> {
  const before = operator.usage()
  const startedMs = performance.now()
  let rssBytes = 0
  while (performance.now() - startedMs < seconds * 1000) {
    await delay(1000)
    rssBytes = Math.max(rssBytes, operator.usage().rssBytes)
  }
  const spentSeconds = operator.usage().cpuSeconds - before.cpuSeconds
  return { percent: (spentSeconds / ((performance.now() - startedMs) / 1000)) * 100, rssBytes }
}

/** One cluster after the other gets a new pod template; what follows of it (a rollout) is not waited for. */
async function edit(world: World, from: number, to: number): Promise<readonly number[]> {
  const latenciesMs: number[] = []
  for (let count = 0; count < EDITS; count++) {
    const ref = refOf(from + Math.floor(Math.random() * (to - from)))
    const mark = `${process.pid}-${Date.now()}-${count}`
    const reached = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`an edit of ${ref.name} did not reach its StatefulSet`)), 60_000)
      world.onStatefulSet = (object) => {
        if (keyOf(object) !== `${ref.namespace}/${ref.name}` || !JSON.stringify(object['spec']).includes(mark)) return
        clearTimeout(timer)
        resolve()
      }
    })
    const startedMs = performance.now()
    const patch = { spec: { podTemplate: { nodeSelector: { mark } } } }
    await world.client.patch(RESOURCES.raftClusters, ref, patch)
    await reached
    latenciesMs.push(performance.now() - startedMs)
    await delay(BETWEEN_EDITS_MS)
  }
  return latenciesMs
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  for (const startedMs = performance.now(); !(await isTrue()); await delay(100)) {
    if (performance.now() - startedMs > GIVE_UP_MS) throw new Error(`not within ${GIVE_UP_MS} ms: ${what}`)
  }
}

function lineOf(row: Row): string {
  const { clusters, silent, startSeconds, rssMb, peakRssMb, idlePercent, p50Ms, p99Ms, maxMs } = row
  return (
    `${clusters} clusters, ${silent} of them with a member that does not answer: ${silent === 0 ? 'ready' : 'said of all of them'} after ${startSeconds} s; ${rssMb} MB resident while nothing changes, ${peakRssMb} MB at ` +
    `most; ${idlePercent} % of a core; an edit reaches its StatefulSet in ${p50Ms} ms (p50), ${p99Ms} ms (p99), ${maxMs} ms (max)`
  )
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}

await main()
