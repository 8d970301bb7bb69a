/**
 * The operator's metrics. Names are controller-runtime's and client-go's, so that their dashboards and alerts work; our
 * own begin with raftcluster_. What can be counted beforehand starts at 0, since a rate over a series that appears with
 * its first increment misses that one. Gauges of clusters are read from the store when scraped, and told by the copy that
 * works alone: with two copies each cluster would count twice.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Clock } from '../lib/clock.ts'
import type { ConditionStatus } from './api/conditions.ts'
import { parseStatus } from './api/status.ts'
import { SIDES } from './api/tls.ts'
import type { ControllerObserver, ReconcileOutcome } from './controller/controller.ts'
import type { WorkQueue } from './controller/work-queue.ts'
import type { StoredObject } from './kube/object.ts'
import { isRecord } from './kube/object.ts'
import type { ReflectorObserver } from './kube/reflector.ts'
import type { RequestObserver } from './kube/transport.ts'

export const CONTROLLER = 'raftcluster'
export const BACKUP_CONTROLLER = 'raftbackup'
const OUTCOMES: readonly ReconcileOutcome[] = ['success', 'error', 'requeue', 'requeue_after']
/** client-go's: 10 ns · 10ⁿ. */
const QUEUE_BUCKETS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000]
const RECONCILE_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120]

/** What is read at each scrape. */
export interface MetricsSource {
  readonly clock: Clock
  readonly controllers: readonly ControllerSource[]
  readonly clusters: () => Iterable<StoredObject>
  /** Undefined: there is one copy, and it works. */
  readonly lease: { readonly name: string; readonly isLeader: () => boolean } | undefined
}

export interface ControllerSource {
  readonly name: string
  readonly maxConcurrentReconciles: number
  readonly activeWorkers: () => number
  readonly queue: () => WorkQueue
}

export interface OperatorMetrics {
  readonly registry: Registry
  controller(name: string): ControllerObserver
  readonly request: RequestObserver
  /** A reconcile of that controller threw. */
  bug(name: string): void
  reflector(kind: string): ReflectorObserver
  /** Those objects while this copy works; none while another one does. */
  whileWorking(objects: () => Iterable<StoredObject>): Iterable<StoredObject>
}

export function createMetrics(source: MetricsSource): OperatorMetrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  registerQueue(registry, source)
  registerClusters(registry, source)
  registerLease(registry, source)
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Number of HTTP requests, partitioned by status code, method, and host.',
    labelNames: ['code', 'method', 'host'],
    registers: [registry],
  })
  return {
    registry,
    controller: controllerObservers(registry, source),
    bug: bugCounter(registry, source),
    request: (code, method, host) => requests.inc({ code, method, host }),
    reflector: reflectorObservers(registry, source.clock),
    whileWorking: (objects) => whileWorking(source, objects),
  }
}

function whileWorking({ lease }: MetricsSource, objects: () => Iterable<StoredObject>): Iterable<StoredObject> {
  return lease === undefined || lease.isLeader() ? objects() : []
}

function controllerObservers(registry: Registry, source: MetricsSource): (name: string) => ControllerObserver {
  const registers = [registry]
  const total = new Counter({ name: 'controller_runtime_reconcile_total', help: 'Reconciles by their result.', labelNames: ['controller', 'result'], registers }) // prettier-ignore
  const errors = new Counter({ name: 'controller_runtime_reconcile_errors_total', help: 'Failed reconciles.', labelNames: ['controller'], registers }) // prettier-ignore
  const time = new Histogram({ name: 'controller_runtime_reconcile_time_seconds', help: 'Length of a reconcile.', labelNames: ['controller'], buckets: RECONCILE_BUCKETS, registers }) // prettier-ignore
  const waited = new Histogram({ name: 'workqueue_queue_duration_seconds', help: 'How long a key waited.', labelNames: ['name', 'controller'], buckets: QUEUE_BUCKETS, registers }) // prettier-ignore
  const worked = new Histogram({ name: 'workqueue_work_duration_seconds', help: 'How long a key was worked on.', labelNames: ['name', 'controller'], buckets: QUEUE_BUCKETS, registers }) // prettier-ignore
  for (const { name: controller } of source.controllers) {
    for (const result of OUTCOMES) total.inc({ controller, result }, 0)
    errors.inc({ controller }, 0)
    for (const histogram of [waited, worked]) histogram.zero({ name: controller, controller })
    time.zero({ controller })
  }
  const perController = (name: string, help: string, value: (controller: ControllerSource) => number): void =>
    gauge(registry, name, help, ['controller'], (g) => {
      for (const one of source.controllers) g.set({ controller: one.name }, value(one))
    })
  perController('controller_runtime_max_concurrent_reconciles', 'Workers.', (one) => one.maxConcurrentReconciles)
  perController('controller_runtime_active_workers', 'Workers that are busy.', (one) => one.activeWorkers())
  return (controller) => ({
    taken: (waitedMs) => waited.observe({ name: controller, controller }, waitedMs / 1000),
    finished: (outcome, workedMs) => {
      total.inc({ controller, result: outcome })
      if (outcome === 'error') errors.inc({ controller })
      time.observe({ controller }, workedMs / 1000)
      worked.observe({ name: controller, controller }, workedMs / 1000)
    },
  })
}

function bugCounter(registry: Registry, { controllers }: MetricsSource): (controller: string) => void {
  const bugs = new Counter({
    name: 'controller_runtime_reconcile_panics_total',
    help: 'Reconciles that failed because of a bug in the operator.',
    labelNames: ['controller'],
    registers: [registry],
  })
  for (const { name: controller } of controllers) bugs.inc({ controller }, 0)
  return (controller) => bugs.inc({ controller })
}

function registerQueue(registry: Registry, source: MetricsSource): void {
  const names = ['name', 'controller']
  const perQueue =
    (value: (queue: WorkQueue) => number) =>
    (set: (labels: Record<string, string>, value: number) => void): void => {
      for (const { name, queue } of source.controllers) set({ name, controller: name }, value(queue()))
    }
  const ages = (queue: WorkQueue): number[] => {
    const nowMs = source.clock.monotonicMs()
    return [...queue.processing.values()].map((sinceMs) => (nowMs - sinceMs) / 1000)
  }
  const measured = (name: string, help: string, value: (queue: WorkQueue) => number): void =>
    gauge(registry, name, help, names, (g) => perQueue(value)((labels, is) => g.set(labels, is)))
  const counted = (name: string, help: string, value: (queue: WorkQueue) => number): void =>
    counter(registry, name, help, names, (c) => perQueue(value)((labels, is) => c.inc(labels, is)))
  measured('workqueue_depth', 'Keys that wait.', (queue) => queue.waiting.size)
  measured('workqueue_unfinished_work_seconds', 'Time spent on what is not finished.', (queue) =>
    ages(queue).reduce((a, b) => a + b, 0),
  )
  measured('workqueue_longest_running_processor_seconds', 'Age of the oldest work.', (queue) =>
    Math.max(0, ...ages(queue)),
  )
  counted('workqueue_adds_total', 'Keys that began to wait.', (queue) => queue.addsTotal)
  counted('workqueue_retries_total', 'Keys that are tried again.', (queue) => queue.retriesTotal)
}

function reflectorObservers(registry: Registry, clock: Clock): (kind: string) => ReflectorObserver {
  const options = { labelNames: ['kind'], registers: [registry] }
  const synced = new Gauge({ name: 'raftcluster_informer_last_sync_timestamp_seconds', help: 'When a list or a watch last delivered something.', ...options }) // prettier-ignore
  const relists = new Counter({ name: 'raftcluster_informer_relists_total', help: 'Lists, the first one included.', ...options }) // prettier-ignore
  const failures = new Counter({ name: 'raftcluster_informer_watch_errors_total', help: 'Lists and watches that failed.', ...options }) // prettier-ignore
  const missed = new Counter({ name: 'raftcluster_informer_missed_events_total', help: 'Changes that a list found and no event had reported.', ...options }) // prettier-ignore
  return (kind) => {
    for (const metric of [relists, failures, missed]) metric.inc({ kind }, 0)
    return {
      synced: () => synced.set({ kind }, clock.wallMs() / 1000),
      relisted: () => relists.inc({ kind }),
      watchFailed: () => failures.inc({ kind }),
      missed: (events) => missed.inc({ kind }, events),
    }
  }
}

function registerLease(registry: Registry, source: MetricsSource): void {
  const { lease } = source
  if (lease === undefined) return
  gauge(registry, 'leader_election_master_status', '1 on the copy that works.', ['name'], (g) => g.set({ name: lease.name }, lease.isLeader() ? 1 : 0)) // prettier-ignore
}

const CONDITION_VALUES: Readonly<Record<ConditionStatus, number>> = { True: 1, False: 0, Unknown: -1 }

interface ClusterSample {
  readonly labels: { readonly namespace: string; readonly name: string }
  readonly isPaused: boolean
  readonly status: ReturnType<typeof parseStatus>
}

function registerClusters(registry: Registry, source: MetricsSource): void {
  // An object never changes, so it is read once, however many figures and scrapes it is in.
  const known = new WeakMap<StoredObject, ClusterSample>()
  const sample = (cluster: StoredObject): ClusterSample => {
    const made = known.get(cluster) ?? sampleOf(cluster)
    known.set(cluster, made)
    return made
  }
  const samples = (): ClusterSample[] => [...whileWorking(source, source.clusters)].map(sample)
  const perCluster = (name: string, help: string, value: (sample: ClusterSample) => number): void =>
    gauge(registry, name, help, ['namespace', 'name'], (g) => {
      for (const sample of samples()) g.set(sample.labels, value(sample))
    })
  perCluster('raftcluster_ready', '1 while the condition Ready is True.', ({ status }) =>
    status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True') ? 1 : 0,
  )
  gauge(
    registry,
    'raftcluster_condition',
    '1 for True, 0 for False, -1 for Unknown.',
    ['namespace', 'name', 'type'],
    (g) => {
      for (const { labels, status } of samples())
        for (const { type, status: value } of status.conditions) g.set({ ...labels, type }, CONDITION_VALUES[value])
    },
  )
  perCluster('raftcluster_paused', '1 while spec.paused is set.', ({ isPaused }) => (isPaused ? 1 : 0))
  perCluster('raftcluster_commit_index', 'Commit index as last recorded.', ({ status }) => status.commitIndex)
  perCluster('raftcluster_operation_in_progress', '1 while an operation is under way.', ({ status }) =>
    status.operation === undefined ? 0 : 1,
  )
  gauge(registry, 'raftcluster_info', 'Identity of a cluster.', ['namespace', 'name', 'cluster_id'], (g) => {
    for (const { labels, status } of samples()) g.set({ ...labels, cluster_id: status.clusterID }, 1)
  })
  gauge(registry, 'raftcluster_members', 'Members by role.', ['namespace', 'name', 'role'], (g) => {
    for (const { labels, status } of samples()) {
      g.set({ ...labels, role: 'voter' }, status.voters)
      g.set({ ...labels, role: 'learner' }, status.learners)
    }
  })
  const upkeep = 'raftcluster_defragmentation_timestamp_seconds'
  const last = 'When the last scheduled defragmentation ended, by its result.'
  gauge(registry, upkeep, last, ['namespace', 'name', 'result'], (g) => {
    for (const { labels, status } of samples()) {
      const { endedAt, result } = status.maintenance?.defragmentation?.run ?? {}
      if (endedAt !== undefined && result !== undefined) g.set({ ...labels, result }, Date.parse(endedAt) / 1000)
    }
  })
  const ending = 'raftcluster_certificate_expiry_timestamp_seconds'
  const help = 'When certificates end: the CA, and of the others the first.'
  gauge(registry, ending, help, ['namespace', 'name', 'side', 'certificate'], (g) => {
    for (const { labels, status } of samples())
      for (const { side, certificate, end } of endsOf(status))
        g.set({ ...labels, side, certificate }, Date.parse(end) / 1000)
  })
  gauge(registry, 'raftcluster_leader_info', 'Which member leads.', ['namespace', 'name', 'member'], (g) => {
    for (const { labels, status } of samples()) {
      if (status.leader !== '') g.set({ ...labels, member: status.leader }, 1)
    }
  })
}

interface End {
  readonly side: string
  readonly certificate: 'leaf' | 'ca'
  /** RFC 3339. */
  readonly end: string
}

function endsOf({ tls }: ClusterSample['status']): readonly End[] {
  return SIDES.flatMap((side) => {
    const { notAfter, authorityNotAfter } = tls?.[side] ?? {}
    const leaf: readonly End[] = notAfter === undefined ? [] : [{ side, certificate: 'leaf', end: notAfter }]
    return authorityNotAfter === undefined ? leaf : [...leaf, { side, certificate: 'ca', end: authorityNotAfter }]
  })
}

function sampleOf(cluster: StoredObject): ClusterSample {
  const { namespace = '', name } = cluster.metadata
  const spec = cluster['spec']
  const isPaused = isRecord(spec) && spec['paused'] === true
  return { labels: { namespace, name }, isPaused, status: parseStatus(cluster['status']) }
}

/** A gauge that is filled again at each scrape: a cluster that is gone leaves no series behind. */
export function gauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  fill: (gauge: Gauge) => void,
): void {
  const metric = new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect: () => {
      metric.reset()
      fill(metric)
    },
  })
}

/** A counter whose value somebody else keeps. */
function counter(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  fill: (counter: Counter) => void,
): void {
  const metric = new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect: () => {
      metric.reset()
      fill(metric)
    },
  })
}
