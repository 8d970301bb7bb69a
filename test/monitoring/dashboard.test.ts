/** The dashboards of the chart: nobody sees here how Grafana draws them, so what they ask for is held against what there is. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { askedFor, labelsOf } from './series.ts'

const FILES = join(import.meta.dirname, '..', '..', 'charts', 'raftkv-operator', 'files')
const Dashboard = z.object({
  panels: z.array(
    z.object({
      title: z.string(),
      gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
      targets: z.array(z.object({ expr: z.string(), legendFormat: z.string() })).default([]),
    }),
  ),
})
const read = (name: string) => Dashboard.parse(JSON.parse(readFileSync(join(FILES, `${name}.json`), 'utf8')))
const dashboards = { clusters: read('dashboard'), operator: read('operator-dashboard') }
const all = Object.entries(dashboards).flatMap(([name, { panels }]) => panels.map((panel) => ({ name, ...panel })))

for (const { name: dashboard, title, targets } of all) {
  for (const { expr, legendFormat } of targets) {
    test(`dashboard of ${dashboard}, ${title}: ${legendFormat}`, () => {
      const asked = askedFor(expr)
      assert.notEqual(asked.length, 0, expr)
      for (const { name, labels } of asked) {
        const known = labelsOf(name)
        assert.ok(known !== undefined, `nobody has ${name}`)
        const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)
        for (const label of [...labels, ...shown]) assert.ok(known.includes(label), `${label} of ${name}`)
      }
    })
  }
}

test('what the dashboard of clusters is for is on it', () => {
  const asked = dashboards.clusters.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n')
  for (const name of ['raftcluster_leader_info', 'etcd_server_is_leader', 'raftkv_raft_commit_index']) assert.ok(asked.includes(name)) // prettier-ignore
})

for (const [name, { panels }] of Object.entries(dashboards))
  test(`dashboard of ${name}: no panel covers another`, () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    )
    assert.equal(new Set(cells).size, cells.length)
  })
