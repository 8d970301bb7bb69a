/** The dashboard of the chart: nobody sees here how Grafana draws it, so what it asks for is held against what there is. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { askedFor, labelsOf } from './series.ts'

const FILE = join(import.meta.dirname, '..', '..', 'charts', 'raftkv-operator', 'files', 'dashboard.json')
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

for (const { title, targets } of panels) {
  for (const { expr, legendFormat } of targets) {
    test(`dashboard, ${title}: ${legendFormat}`, () => {
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

test('the leader and the commit index are on it, and no panel covers another', () => {
  const all = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n')
  for (const name of ['raftcluster_leader_info', 'etcd_server_is_leader', 'raftkv_raft_commit_index']) assert.ok(all.includes(name)) // prettier-ignore
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  )
  assert.equal(new Set(cells).size, cells.length)
})
