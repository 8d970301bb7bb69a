import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Histogram, Registry } from 'prom-client'
import type { AdminStatus } from '../../../lib/admin-api.ts'
import { memberMetrics } from './metrics.ts'
import type { MetricsFacts } from './readings.ts'

const STATUS: AdminStatus = {
  name: 'm0',
  version: '1',
  etcdVersion: '3',
  clusterId: 'c',
  memberId: 'a',
  role: 'leader',
  term: 3,
  leader: 'a',
  commitIndex: 12,
  appliedIndex: 11,
  lastIndex: 13,
  lastTerm: 3,
  configIndex: 2,
  voters: ['a', 'b'],
  votersOutgoing: [],
  learners: [],
  members: [],
  isChangePending: false,
  peers: [{ id: 'b', matchIndex: 9, lag: 4, state: 'replicate', isActive: true }],
  configHistory: [],
  dbSizeBytes: 4096,
  revision: 7,
  alarms: [],
}

const FACTS: MetricsFacts = {
  pendingProposals: 5,
  quotaBytes: 1000,
  dbSizeInUseBytes: 2048,
  isDefragmenting: true,
  alarms: [{ memberId: 'b', type: 'NOSPACE' }],
  watch: { streams: 1, watchers: 2, slowWatchers: 3, events: 4 },
  peers: [{ id: 'b', sentBytes: 10, receivedBytes: 20, sendFailures: 30, isConnected: true }],
  operations: { puts: 1, deletes: 2, ranges: 3, txns: 4 },
}

/** Series with a value, without what prom-client tells of the process. */
function seriesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => /^(?:etcd|raftkv)_/.test(line))
}

test('the scrapes of one turn ask the member once, and show what it is now', async () => {
  const asked = { status: 0, facts: 0 }
  let now: { status: AdminStatus; facts: MetricsFacts | undefined } = { status: STATUS, facts: FACTS }
  const { page } = memberMetrics({
    status: () => {
      asked.status++
      return now.status
    },
    facts: () => {
      asked.facts++
      return now.facts
    },
  })
  const [text, same] = await Promise.all([page.text(), page.text()])
  assert.equal(text, same)
  const leading = seriesOf(text)
  assert.deepEqual(asked, { status: 1, facts: 1 })
  for (const line of [
    'etcd_server_has_leader 1',
    'etcd_server_is_leader 1',
    'etcd_server_proposals_committed_total 12',
    'etcd_server_proposals_applied_total 11',
    'etcd_server_proposals_pending 5',
    'etcd_mvcc_db_total_size_in_use_in_bytes 2048',
    'etcd_debugging_mvcc_slow_watcher_total 3',
    'etcd_server_id{server_id="a"} 1',
    'raftkv_member_role{role="leader"} 1',
    'etcd_debugging_server_alarms{server_id="b",alarm_type="NOSPACE"} 1',
    'raftkv_raft_peer_lag_entries{To="b"} 4',
    'etcd_network_peer_received_bytes_total{From="b"} 20',
    'etcd_network_active_peers{Local="a",Remote="b"} 1',
    'etcd_mvcc_range_total 3',
  ])
    assert.ok(leading.includes(line), `${line} is not in\n${leading.join('\n')}`)

  await nextTurn()
  now = { status: { ...STATUS, role: 'waiting', leader: '', memberId: '', peers: [] }, facts: undefined }
  const waiting = seriesOf(await page.text())
  assert.deepEqual(asked, { status: 2, facts: 2 })
  assert.ok(waiting.includes('etcd_server_has_leader 0'))
  assert.ok(waiting.includes('raftkv_member_role{role="waiting"} 1'))
  assert.deepEqual(
    waiting.filter((line) => /role="leader"|server_id="a"|alarm_type|To=|From=/.test(line)),
    [],
    'nothing is left of what the member was',
  )
})

test('who scrapes without end costs twenty pages a second', async () => {
  let [nowMs, pages] = [0, 0]
  const status = (): AdminStatus => {
    pages += 1
    return STATUS
  }
  const { page } = memberMetrics({ status, facts: () => FACTS }, () => nowMs)
  const scrapeFor = async (ms: number): Promise<number> => {
    const before = pages
    for (const untilMs = nowMs + ms; nowMs < untilMs; nowMs += 1) {
      await page.text()
      await nextTurn()
    }
    return pages - before
  }
  assert.equal(await scrapeFor(100), 21) // as many as count at once, and one more
  assert.equal(await scrapeFor(1000), 20)
  nowMs += 60_000
  assert.equal(await scrapeFor(1), 1)
})

test('calls are counted and timed as prom-client would', async () => {
  const { page, rpc } = memberMetrics({ status: () => STATUS, facts: () => FACTS })
  const put = rpc.method('/etcdserverpb.KV/Put', 'unary')
  rpc.method('/etcdserverpb.KV/Range', 'unary') // never called
  const durations = [0.001, 0.005, 0.0051, 0.3, 11]
  const expected = new Histogram({
    name: 'grpc_server_handling_seconds',
    help: 'Time of an RPC, in seconds.',
    labelNames: ['grpc_type', 'grpc_service', 'grpc_method'],
    registers: [],
  })
  const theirs = new Registry()
  theirs.registerMetric(expected)
  const calls = async (): Promise<readonly string[]> =>
    (await page.text()).split('\n').filter((line) => /^(?:# .*)?grpc_server_|grpc_(?:received|sent)/.test(line))
  for (const seconds of durations) {
    put.started()
    put.handled(seconds < 10 ? 'OK' : 'Unavailable', seconds)
    expected.observe({ grpc_type: 'unary', grpc_service: 'etcdserverpb.KV', grpc_method: 'Put' }, seconds)
    rpc.sentBytes(10)
    rpc.receivedBytes(100)
    await page.text()
    await nextTurn()
  }
  const lines = await calls()
  const labels = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put"'
  for (const line of [
    `grpc_server_started_total{${labels}} 5`,
    `grpc_server_handled_total{${labels},grpc_code="OK"} 4`,
    `grpc_server_handled_total{${labels},grpc_code="Unavailable"} 1`,
    'etcd_network_client_grpc_sent_bytes_total 50',
    'etcd_network_client_grpc_received_bytes_total 500',
    ...(await theirs.metrics()).trim().split('\n'),
  ])
    assert.ok(lines.includes(line), `${line} is not in\n${lines.join('\n')}`)
  assert.ok(!lines.some((line) => line.includes('Range')), 'what was never called has no series')
})
