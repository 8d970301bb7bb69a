/**
 * What Helm brings: what the operator's chart renders is taken by the API server whichever two of its switches are on or off, values that
 * cannot work are refused before anything is sent, and a cluster of the other chart comes, is tried, grows, goes back and leaves
 * its data.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { MONITORING_CRDS } from '../machine/peers.ts'
import { CLUSTER } from '../names.ts'
import { attempt, run } from '../process.ts'
import { splitImage } from '../scenario/install.ts'
import type { Place } from './place.ts'

/** Switches of a pod's security: the namespace takes one way of them alone. */
const FIXED = ['podSecurityContext.', 'securityContext.']
/** What the templates say of switches that cannot go together. */
const REFUSALS = [/monitoring\.serviceMonitor watches the metrics Service/]

export async function charts(place: Place): Promise<void> {
  await place.step('what the operator’s chart renders is taken, for every two of its switches', () => pairs(place))
  await place.step('wrong values are refused with their names', () => wrongValues(place))
  await place.step('helm install a cluster, and helm test it', () => install(place))
  await place.step('helm upgrade to five members, and helm rollback to three', () => upgrade(place))
  await place.step('helm uninstall leaves the volumes and the passwords', () => uninstall(place))
}

const chartOf = ({ options }: Place, name: string): string => join(options.root, 'charts', name)

async function pairs(place: Place): Promise<void> {
  if (place.options.isBox) {
    const files = MONITORING_CRDS.flatMap((file) => ['-f', join(place.options.programs, file)])
    await place.kube.kubectl(['apply', '--server-side', ...files])
  }
  const chart = chartOf(place, 'raftkv-operator')
  const all = switchesOf(parse(readFileSync(join(chart, 'values.yaml'), 'utf8')), '')
  const left = [...FIXED, ...(place.options.isBox ? [] : ['monitoring.'])]
  const switches = all.filter((name) => !left.some((start) => name.startsWith(start)))
  const rows = everyTwo(switches)
  let refused = 0
  for (const row of rows) {
    const set = switches.map((name, at) => `${name}=${row[at]}`).join(',')
    const values = ['--set', `${set},serviceAccount.name=given`, '--namespace', place.namespace]
    const rendered = await attempt(['helm', 'template', 'pairs', chart, ...values])
    if (rendered.code !== 0 && REFUSALS.some((refusal) => refusal.test(rendered.stderr))) refused += 1
    else if (rendered.code !== 0) throw new Error(`${set}: ${rendered.stderr}`)
    else await dryRun(place, set, rendered.stdout)
  }
  if (refused === rows.length) throw new Error('the chart has refused them all')
  place.note(`${switches.length} switches, ${rows.length} ways, ${refused} refused with a sentence`)
}

async function dryRun(place: Place, set: string, input: string): Promise<void> {
  const apply = ['apply', '--server-side', '--force-conflicts', '--dry-run=server', '-f', '-']
  try {
    await place.kube.kubectl(apply, { input })
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error)
    throw new Error(`the API server refuses ${set}: ${words}`, { cause: error })
  }
}

/** Paths of all values that are true or false. */
function switchesOf(values: unknown, prefix: string): readonly string[] {
  return Object.entries(Object(values)).flatMap(([name, value]) => {
    const path = `${prefix}${name}`
    if (typeof value === 'boolean') return [path]
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? switchesOf(value, `${path}.`) : []
  })
}

/**
 * Rows in which any two switches are seen in all four ways: all off, all on, and for each bit of a switch's number the row of
 * that bit and its opposite, since the numbers of two switches differ in one bit at least.
 */
function everyTwo({ length }: readonly string[]): readonly (readonly boolean[])[] {
  const all = Array.from({ length }, (_, at) => at)
  const bits = Array.from({ length: Math.ceil(Math.log2(length)) }, (_, bit) => bit)
  const ofBits = bits.flatMap((bit) => [1, 0].map((on) => all.map((at) => ((at >> bit) & 1) === on)))
  return [all.map(() => false), all.map(() => true), ...ofBits]
}

async function wrongValues(place: Place): Promise<void> {
  const cases = [
    ['raftkv-operator', 'replicaCount=two', /replicaCount/],
    ['raftkv-operator', 'replicaCuont=2', /replicaCuont/],
    ['raftkv-operator', 'leaderElection.enabled=false,replicaCount=2', /replicaCount/],
    ['raft-cluster', 'cluster.replicas=many', /cluster\/replicas/],
    ['raft-cluster', 'cluster.storage.sise=1Gi', /sise/],
    ['raft-cluster', 'backups.daily.schedule=@daily', /destination/],
  ] as const
  for (const [chart, set, wanted] of cases) {
    const { code, stderr } = await attempt(['helm', 'install', 'wrong', chartOf(place, chart), '--namespace', place.namespace, '--set', set], { env: place.kube.env }) // prettier-ignore
    if (code === 0) throw new Error(`${chart} was installed with ${set}`)
    if (!wanted.test(stderr)) throw new Error(`${chart} with ${set} is refused with: ${stderr}`)
  }
  // What no schema can say is said by the API server, in the words of the CRD.
  const even = ['--namespace', place.namespace, '--set', 'cluster.replicas=2']
  const { code, stderr } = await attempt(['helm', 'install', 'even', chartOf(place, 'raft-cluster'), ...even], { env: place.kube.env }) // prettier-ignore
  if (code === 0 || !stderr.includes('replicas must be odd')) throw new Error(`an even number is answered: ${stderr}`)
  await attempt(['helm', 'uninstall', 'even', '--namespace', place.namespace], { env: place.kube.env })
}

const VALUES = ['--set', 'cluster.replicas=3,cluster.storage.size=1Gi,passwords={app}']

async function install(place: Place): Promise<void> {
  const [repository, tag] = splitImage(place.options.image)
  const image = ['--set', `test.image.repository=${repository}`, '--set-string', `test.image.tag=${tag}`]
  await helm(place, ['install', CLUSTER, chartOf(place, 'raft-cluster'), ...VALUES, ...image])
  await place.untilReady()
  await helm(place, ['test', CLUSTER, '--timeout', '90s'])
}

async function upgrade(place: Place): Promise<void> {
  const before = await password(place)
  await helm(place, [
    'upgrade',
    CLUSTER,
    chartOf(place, 'raft-cluster'),
    '--reuse-values',
    '--set',
    'cluster.replicas=5',
  ])
  await place.until('five members', async () => ((await place.cluster()).status.voters === 5 ? true : undefined))
  await helm(place, ['rollback', CLUSTER, '1'])
  await place.until('three members', async () => ((await place.cluster()).status.voters === 3 ? true : undefined))
  await place.untilReady()
  if ((await password(place)) !== before) throw new Error('the password of app is another one now')
}

async function uninstall(place: Place): Promise<void> {
  await helm(place, ['uninstall', CLUSTER, '--wait'])
  await place.until('no pods', async () => ((await place.pods()).length === 0 ? true : undefined))
  const volumes = (await place.kube.list(place.paths.volumes)).map(({ metadata }) => metadata.name)
  if (volumes.length !== 3) throw new Error(`these volumes are left: ${volumes.join(', ')}`)
  if ((await password(place)) === '') throw new Error('the password of app is gone')
}

async function helm(place: Place, command: readonly string[]): Promise<void> {
  await run(['helm', ...command, '--namespace', place.namespace], { env: place.kube.env })
}

function password(place: Place): Promise<string> {
  return place.kubectl('get', 'secret', `${CLUSTER}-app-password`, '-o', 'jsonpath={.data.password}')
}
