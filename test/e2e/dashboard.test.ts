/** The dashboard of the chart: nobody sees here how Grafana draws it, so what it asks for is held against what there is. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Histogram, type Registry } from 'prom-client'
import { z } from 'zod'
import { ManualClock } from '../../lib/testing/manual-clock.ts'
import { memberMetrics } from '../../node-server/api/admin/metrics.ts'
import { createMetrics } from '../../operator/metrics.ts'

const FILE = join(import.meta.dirname, '..', '..', 'charts', 'raftkv-operator', 'files', 'dashboard.json')
/** Given by Prometheus to whatever it scrapes from a pod; `cluster` by our PodMonitor. */
const TARGET_LABELS = ['namespace', 'pod', 'cluster']

const Dashboard = z.object({
  panels: z.array(
    z.object({
      title: z.string(),
      gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
      targets: z.array(z.object({ expr: z.string(), legendFormat: z.string() })).default([]),
    }),
  ),
})
const { panels } = Dashboard.parse(JSON.parse(readFileSync(FILE, 'utf8')))

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

const series = seriesOf(
  memberMetrics({ status: neverAsked, facts: neverAsked }).registry,
  createMetrics({
    clock: new ManualClock(),
    controllers: [],
    clusters: neverAsked,
    lease: { name: 'lease', isLeader: neverAsked },
  }).registry,
)

const SERIES = /\b((?:raftcluster|raftkv|etcd|grpc_server|controller_runtime|workqueue|process)_\w+)(?:\{([^}]*)\})?/g

for (const { title, targets } of panels) {
  for (const { expr, legendFormat } of targets) {
    test(`dashboard, ${title}: ${legendFormat}`, () => {
      const asked = [...expr.matchAll(SERIES)]
      assert.notEqual(asked.length, 0, expr)
      for (const [, name = '', matchers = ''] of asked) {
        const labels = series.get(name)
        assert.ok(labels !== undefined, `nobody has ${name}`)
        const known = [...labels, ...TARGET_LABELS]
        for (const [, label = ''] of matchers.matchAll(/(\w+)\s*=/g))
          assert.ok(known.includes(label), `${name}{${label}}`)
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
          assert.ok(known.includes(label), `${legendFormat} of ${name}`)
      }
    })
  }
}

test('the leader and the commit index are on it, and no panel covers another', () => {
  const all = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n')
  for (const name of ['raftcluster_leader_info', 'etcd_server_is_leader', 'raftkv_raft_commit_index']) assert.ok(all.includes(name)) // prettier-ignore
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  )
  assert.equal(new Set(cells).size, cells.length)
})
