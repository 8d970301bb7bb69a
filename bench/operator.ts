/**
 * What the operator needs for many RaftClusters: `npm run bench:operator [-- sizes]`, by default 1 10 100 1000. The real
 * operator program over HTTP against the sandbox's API server; members, pods and volumes are simulated. For each size:
 *
 * - start: from the start of the program until every cluster is Ready by its word;
 * - memory: resident, the most seen while nothing changes, and the most ever;
 * - idle: processor time while nothing changes, of one core, over a whole resync period where clusters are many;
 * - edit: from a change of a RaftCluster until a watch shows it in its StatefulSet.
 *
 * With SILENT=N in the environment one member of each of the first N clusters takes requests and never answers; the others are edited, and
 * idle is measured for half a minute only: `SILENT=100 npm run bench:operator -- 1000`.
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
import { simulatePods } from './operator-scale/pods.ts'

const ROOT = join(import.meta.dirname, '..')
const NAMESPACE = 'default'
const HOST = '127.0.0.1'
const TOKEN = 'bench'
/** More of Node's flags, for a profile. */
const NODE_FLAGS = (process.env['OPERATOR_NODE_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '')
const RESYNC_SECONDS = 300
const SHORT_IDLE_SECONDS = 30
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
      const row = await measure(world, size)
      rows.push(row)
      console.log(lineOf(row))
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
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: NAMESPACE } }],
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

const nameOf = (index: number): string => `cluster-${String(index).padStart(4, '0')}`

/** Makes RaftClusters up to `size`, as ones that an operator has formed before. */
async function grow({ client, members, mirrors }: World, size: number): Promise<void> {
  const clusters = mirrors.of(RESOURCES.raftClusters)
  await clusters.synced
  const missing = Array.from({ length: size }, (_, index) => nameOf(index)).filter(
    (name) => clusters.get(`${NAMESPACE}/${name}`) === undefined,
  )
  const create = async (): Promise<void> => {
    for (let name = missing.pop(); name !== undefined; name = missing.pop()) {
      const clusterID = await members.add(name)
      await client.create(RESOURCES.raftClusters, {
        apiVersion: RESOURCES.raftClusters.apiVersion,
        kind: RESOURCES.raftClusters.kind,
        metadata: { namespace: NAMESPACE, name },
        spec: { replicas: REPLICAS },
      })
      await client.patch(RESOURCES.raftClusters, { namespace: NAMESPACE, name }, { status: { clusterID } }, { subresource: 'status' }) // prettier-ignore
    }
  }
  await Promise.all(Array.from({ length: CREATE_AT_ONCE }, create))
}

async function measure(world: World, size: number): Promise<Row> {
  const silent = Math.min(SILENT, size - 1)
  for (let index = 0; index < silent; index++) world.members.silence(nameOf(index))
  const startedMs = performance.now()
  const operator = new OperatorProcess(world.directory, NODE_FLAGS, [`--resync-period=${RESYNC_SECONDS}s`])
  try {
    await until(`${size} clusters are Ready`, async () => {
      operator.usage() // fails once it has ended
      return countReady(world) >= size
    })
    const startSeconds = (performance.now() - startedMs) / 1000
    const isRoundWatched = size > 100 && silent === 0
    const idle = await watchIdle(operator, isRoundWatched ? RESYNC_SECONDS : SHORT_IDLE_SECONDS)
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
  } catch (error) {
    throw new Error(`the operator's last lines:\n${operator.tail}`, { cause: error })
  } finally {
    await operator.stop()
  }
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
    const name = nameOf(from + Math.floor(Math.random() * (to - from)))
    const mark = `${process.pid}-${Date.now()}-${count}`
    const reached = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`an edit of ${name} did not reach its StatefulSet`)), 60_000)
      world.onStatefulSet = (object) => {
        if (keyOf(object) !== `${NAMESPACE}/${name}` || !JSON.stringify(object['spec']).includes(mark)) return
        clearTimeout(timer)
        resolve()
      }
    })
    const startedMs = performance.now()
    const patch = { spec: { podTemplate: { nodeSelector: { mark } } } }
    await world.client.patch(RESOURCES.raftClusters, { namespace: NAMESPACE, name }, patch)
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
    `${clusters} clusters, ${silent} of them with a member that does not answer: ready after ${startSeconds} s; ${rssMb} MB resident while nothing changes, ${peakRssMb} MB at ` +
    `most; ${idlePercent} % of a core; an edit reaches its StatefulSet in ${p50Ms} ms (p50), ${p99Ms} ms (p99), ${maxMs} ms (max)`
  )
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}

await main()
