/**
 * A real Prometheus scrapes what the chart's monitors name: every panel of the dashboards has data of a live cluster, and the alert about
 * a member that is down fires and resolves.
 */
import { mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { z } from 'zod'
import { freePort } from '../../members/member-process.ts'
import type { Kube } from '../cluster/kube.ts'
import { ensurePrometheus } from '../machine/prometheus.ts'
import { CLUSTER, OPERATOR_NAMESPACE, RELEASE } from '../names.ts'
import { daemon, run } from '../process.ts'
import type { Place } from './place.ts'

const SCRAPE_SECONDS = 2
/** Rates of the dashboards are over this long. */
const RATE_INTERVAL = '20s'
/** What alerts wait for is shortened to this: the trial is about whether they find what they ask for. */
const ALERT_FOR = '4s'
const LIMIT_MS = 60_000

export async function monitoring(place: Place): Promise<void> {
  if (!place.options.isBox) return place.note('left out: Prometheus runs on the machine of the box')
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-e2e-prometheus-'))
  const monitors = await monitorsOf(place)
  const following = new AbortController()
  const targets = followTargets(place.kube, monitors, folder, following.signal)
  const prometheus = await start(place, monitors, folder)
  try {
    await place.form({ replicas: 3 })
    await place.step('every panel of the dashboards has data', () => panelsHaveData(place, prometheus.url))
    await place.step('the alert about a member that is down fires, and resolves', () =>
      alertFires(place, prometheus.url),
    )
    await place.ledgerHolds()
  } finally {
    following.abort()
    prometheus.stop()
    await targets
  }
}

const Relabeling = z.strictObject({
  sourceLabels: z.array(z.string()).optional(),
  separator: z.string().optional(),
  targetLabel: z.string().optional(),
  regex: z.string().optional(),
  replacement: z.string().optional(),
  action: z.string().optional(),
})
const Endpoint = z.strictObject({
  port: z.string(),
  honorLabels: z.boolean().optional(),
  relabelings: z.array(Relabeling).default([]),
})
const Monitor = z.object({
  kind: z.enum(['PodMonitor', 'ServiceMonitor']),
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  spec: z.object({
    selector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
    namespaceSelector: z.object({ any: z.boolean().default(false) }).prefault({}),
    podMetricsEndpoints: z.array(Endpoint).default([]),
    endpoints: z.array(Endpoint).default([]),
  }),
})
type Monitor = z.output<typeof Monitor>

/** As the chart renders them. The operator's own pods carry the labels of its Service, which its monitor selects. */
async function monitorsOf({ options }: Place): Promise<readonly Monitor[]> {
  const chart = join(options.root, 'charts', 'raftkv-operator')
  const set = 'monitoring.podMonitor.enabled=true,monitoring.serviceMonitor.enabled=true'
  const rendered = await run(['helm', 'template', RELEASE, chart, '--namespace', OPERATOR_NAMESPACE, '--set', set])
  const documents = parseAllDocuments(rendered).map((one): unknown => one.toJS({ maxAliasCount: -1 }))
  const monitors = documents.filter((one) => ['PodMonitor', 'ServiceMonitor'].includes(Object(one).kind))
  if (monitors.length !== 2) throw new Error(`the chart renders ${monitors.length} monitors`)
  return monitors.map((one) => Monitor.parse(one))
}

/** What the Prometheus operator makes of a monitor, as far as it matters to labels. */
function jobsOf({ metadata, spec }: Monitor, file: string): readonly object[] {
  return [...spec.podMetricsEndpoints, ...spec.endpoints].map(({ port, honorLabels = false, relabelings }, at) => ({
    job_name: `${metadata.namespace}/${metadata.name}/${at}`,
    honor_labels: honorLabels,
    file_sd_configs: [{ files: [file], refresh_interval: '1s' }],
    relabel_configs: [
      { source_labels: ['__meta_kubernetes_pod_phase'], regex: '(Failed|Succeeded)', action: 'drop' },
      { source_labels: ['__meta_kubernetes_pod_container_port_name'], regex: port, action: 'keep' },
      { source_labels: ['__meta_kubernetes_namespace'], target_label: 'namespace' },
      { source_labels: ['__meta_kubernetes_pod_container_name'], target_label: 'container' },
      { source_labels: ['__meta_kubernetes_pod_name'], target_label: 'pod' },
      { target_label: 'job', replacement: `${metadata.namespace}/${metadata.name}` },
      { target_label: 'endpoint', replacement: port },
      ...relabelings.map(({ sourceLabels, targetLabel, ...same }) => ({
        ...(sourceLabels !== undefined && { source_labels: sourceLabels }),
        ...(targetLabel !== undefined && { target_label: targetLabel }),
        ...same,
      })),
    ],
  }))
}

const Pod = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.object({
    containers: z.array(
      z.object({
        name: z.string(),
        ports: z.array(z.object({ name: z.string().default(''), containerPort: z.number() })).default([]),
      }),
    ),
  }),
  status: z.object({ phase: z.string().default(''), podIP: z.string().optional() }).prefault({}),
})
type Pod = z.output<typeof Pod>

const targetsFile = (folder: string, at: number): string => join(folder, `targets-${at}.json`)

/** Debian's Prometheus does not look for pods itself: a file tells it of them, in the labels that it would give them. */
async function followTargets(
  kube: Kube,
  monitors: readonly Monitor[],
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    for (const [at, { metadata, spec }] of monitors.entries()) {
      const labels = Object.entries(spec.selector.matchLabels).map(([name, value]) => `${name}=${value}`)
      const within = spec.namespaceSelector.any ? '' : `/namespaces/${metadata.namespace}`
      const path = `/api/v1${within}/pods?labelSelector=${encodeURIComponent(labels.join(','))}`
      const pods = await kube.list(path).catch(() => undefined)
      if (pods === undefined) continue
      const file = targetsFile(folder, at)
      writeFileSync(`${file}.new`, JSON.stringify(pods.flatMap((pod) => targetsOf(Pod.parse(pod)))))
      renameSync(`${file}.new`, file)
    }
    await sleep(500, undefined, { signal }).catch(() => undefined)
  }
}

function targetsOf({ metadata, spec, status }: Pod): readonly object[] {
  const meta = (name: string): string => `__meta_kubernetes_${name.replaceAll(/[^a-zA-Z0-9_]/g, '_')}`
  const all = (what: string, values: Readonly<Record<string, string>>): readonly (readonly [string, string])[] =>
    Object.entries(values).map(([name, value]) => [meta(`pod_${what}_${name}`), value])
  if (status.podIP === undefined) return []
  return spec.containers.flatMap(({ name, ports }) =>
    ports.map((port) => ({
      targets: [`${status.podIP}:${port.containerPort}`],
      labels: Object.fromEntries([
        [meta('namespace'), metadata.namespace],
        [meta('pod_name'), metadata.name],
        [meta('pod_phase'), status.phase],
        [meta('pod_container_name'), name],
        [meta('pod_container_port_name'), port.name],
        ...all('label', metadata.labels),
        ...all('annotation', metadata.annotations),
      ]),
    })),
  )
}

async function start(
  { options }: Place,
  monitors: readonly Monitor[],
  folder: string,
): Promise<{ readonly url: string; readonly stop: () => void }> {
  const rules = parse(
    readFileSync(join(options.root, 'charts', 'raftkv-operator', 'files', 'alerts.yaml'), 'utf8'),
  ) as {
    readonly groups: readonly { readonly rules: { for?: string }[] }[]
  }
  for (const rule of rules.groups.flatMap((group) => group.rules)) if (rule.for !== undefined) rule.for = ALERT_FOR
  writeFileSync(join(folder, 'alerts.yaml'), stringify(rules))
  const config = {
    global: { scrape_interval: `${SCRAPE_SECONDS}s`, evaluation_interval: `${SCRAPE_SECONDS}s` },
    rule_files: ['alerts.yaml'],
    scrape_configs: monitors.flatMap((monitor, at) => jobsOf(monitor, targetsFile(folder, at))),
  }
  writeFileSync(join(folder, 'prometheus.yml'), stringify(config))
  const { prometheus } = await ensurePrometheus(options.cache)
  const port = await freePort()
  const flags = [`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`]
  const child = daemon([prometheus, ...flags, `--web.listen-address=127.0.0.1:${port}`], join(folder, 'log'), folder)
  return { url: `http://127.0.0.1:${port}`, stop: () => void child.kill('SIGKILL') }
}

const Answer = z.object({
  data: z.object({ result: z.array(z.object({ metric: z.record(z.string(), z.string()) })) }),
})

async function query(url: string, expression: string): Promise<readonly Readonly<Record<string, string>>[]> {
  const asked = `${url}/api/v1/query?query=${encodeURIComponent(expression)}`
  const answer = await fetch(asked, { signal: AbortSignal.timeout(10_000) })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`Prometheus answers ${answer.status} to ${expression}: ${text}`)
  return Answer.parse(JSON.parse(text)).data.result.map(({ metric }) => metric)
}

const Dashboard = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) })),
})

/** The trial's cluster has neither backups nor TLS. */
const NOT_HERE = /^raftcluster_(backup_age|certificate_expiry_timestamp)_seconds/

async function panelsHaveData(place: Place, url: string): Promise<void> {
  const files = join(place.options.root, 'charts', 'raftkv-operator', 'files')
  const panels = ['dashboard.json', 'operator-dashboard.json'].flatMap(
    (name) => Dashboard.parse(JSON.parse(readFileSync(join(files, name), 'utf8'))).panels,
  )
  const queries = panels
    .flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr: filledIn(expr, place.namespace) })))
    .filter(({ expr }) => !NOT_HERE.test(expr))
  const deadlineMs = performance.now() + LIMIT_MS
  for (const { title, expr } of queries) {
    while ((await query(url, expr).catch(() => [])).length === 0) {
      if (performance.now() > deadlineMs) throw new Error(`the panel "${title}" has nothing to show: ${expr}`)
      await sleep(500)
    }
  }
  const leaders = await query(url, filledIn('etcd_server_is_leader{namespace=~"$namespace", cluster=~"$cluster"} == 1', place.namespace)) // prettier-ignore
  if (leaders.length !== 1) throw new Error(`Prometheus knows of ${leaders.length} leaders`)
  place.note(`${queries.length} queries of ${panels.length} panels have data`)
}

function filledIn(expr: string, namespace: string): string {
  return expr
    .replaceAll('$namespace', namespace)
    .replaceAll('$cluster', CLUSTER)
    .replaceAll('$__rate_interval', RATE_INTERVAL)
}

async function alertFires(place: Place, url: string): Promise<void> {
  const alert = `ALERTS{alertname="RaftKVMemberDown", alertstate="firing", namespace="${place.namespace}"}`
  if ((await query(url, alert)).length > 0) throw new Error('it fires although all members run')
  const { image } = place.options
  await place.patch({ spec: { image: { repository: image.slice(0, image.lastIndexOf(':')), tag: 'none-such' } } })
  await place.until('the alert', async () => ((await query(url, alert)).length === 1 ? true : undefined))
  await place.patch({ spec: { image: null } })
  await place.until('the end of the alert', async () => ((await query(url, alert)).length === 0 ? true : undefined))
  await place.untilReady()
}
