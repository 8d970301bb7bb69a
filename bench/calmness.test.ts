import assert from 'node:assert/strict'
import { test } from 'node:test'
import { calmnessDuring } from './calmness.ts'

const page = (gcSeconds: number, lagSeconds: number): string =>
  `nodejs_gc_duration_seconds_sum{kind="minor"} ${gcSeconds}\nnodejs_eventloop_lag_p99_seconds ${lagSeconds}\n`

test('what the load took is measured, not what was before it; the sampling is no delay', async () => {
  const pages = [page(100, 9), page(100, 0.104)]
  const leader = { metrics: () => Promise.resolve(pages.shift() ?? assert.fail()) }
  let played = 0
  const { gc, lag } = await calmnessDuring(leader, () => Promise.resolve((played += pages.length)))
  assert.equal(played, 1, 'between two looks')
  assert.equal(gc, 0)
  assert.ok(Math.abs(lag - 4) < 1e-9, String(lag))
})

test('of servers without such figures there are none', async () => {
  const leader = { metrics: () => Promise.resolve('etcd_server_has_leader 1\n') }
  assert.deepEqual(await calmnessDuring(leader, () => Promise.resolve()), { gc: NaN, lag: NaN })
})
