/** Every series that members and the operator have, with its labels: what dashboards and alerts may ask for. */
import { Histogram, type Registry } from 'prom-client'
import { z } from 'zod'
import { ManualClock } from '../../lib/testing/manual-clock.ts'
import { memberMetrics } from '../../node-server/api/admin/metrics.ts'
import { registerBackups } from '../../operator/backup-metrics.ts'
import { createMetrics } from '../../operator/metrics.ts'

/** Given by Prometheus to whatever it scrapes from a pod; `cluster` by our PodMonitor. */
const TARGET_LABELS = ['namespace', 'pod', 'cluster', 'job']

function neverAsked(): never {
  throw new Error('nothing is scraped here')
}

/** Name of a series → its labels. */
function seriesOf(...registries: readonly Registry[]): ReadonlyMap<string, readonly string[]> {
  const series = new Map<string, readonly string[]>()
  for (const metric of registries.flatMap((registry) => registry.getMetricsAsArray())) {
    const labels = z.array(z.string()).parse(Reflect.get(metric, 'labelNames'))
    if (metric instanceof Histogram) series.set(`${metric.name}_bucket`, [...labels, 'le'])
    else series.set(metric.name, labels)
  }
  return series
}

const operator = createMetrics({
  clock: new ManualClock(),
  controllers: [],
  clusters: neverAsked,
  lease: { name: 'lease', isLeader: neverAsked },
}).registry
registerBackups(operator, { clock: new ManualClock(), backups: neverAsked, schedules: neverAsked })

const SERIES = seriesOf(memberMetrics({ status: neverAsked, facts: neverAsked }).registry, operator)

const ASKED =
  /\b((?:raftcluster|raftkv|etcd|grpc_server|controller_runtime|workqueue|process|nodejs|rest_client|leader_election)_\w+)(?:\{([^}]*)\})?/g

export interface Asked {
  readonly name: string
  /** That its matchers name. */
  readonly labels: readonly string[]
}

/** The series that a PromQL expression asks for; `up` is Prometheus' own. */
export function askedFor(expression: string): readonly Asked[] {
  return [...expression.matchAll(ASKED)].map(([, name = '', matchers = '']) => ({
    name,
    labels: [...matchers.matchAll(/(\w+)\s*(?:=|!=|=~|!~)/g)].map(([, label = '']) => label),
  }))
}

/** All labels of a series as Prometheus stores it; undefined: nobody has it. */
export function labelsOf(name: string): readonly string[] | undefined {
  const labels = SERIES.get(name)
  return labels && [...labels, ...TARGET_LABELS]
}
