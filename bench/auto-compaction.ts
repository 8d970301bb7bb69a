/**
 * What a store takes while clients overwrite its keys as fast as they can and the history goes by auto-compaction:
 *
 *   node bench/auto-compaction.ts [--minutes 2] [--keys 200000] [--retention 10s] [--clients 128] [--etcd PATH]
 *
 * Three members of ours, or of that etcd. A line each ten seconds: the largest store of the three, on the disk and in use,
 * and how many times as large it is as the keys that live. It also has the history that auto-compaction keeps: what was
 * overwritten within the retention, or within twice that before a compaction.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Cluster } from '../test/limits/cluster.ts'
import { fill, keyOf } from '../test/limits/load.ts'
import { etcd, ours } from '../test/limits/programs.ts'
import { PUT } from '../test/twin/methods.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    keys: { type: 'string', default: '200000' },
    retention: { type: 'string', default: '10s' },
    clients: { type: 'string', default: '128' },
    etcd: { type: 'string' },
  },
})
const [MINUTES, KEYS, CLIENTS] = [values.minutes, values.keys, values.clients].map(Number) as [number, number, number]
const LINE_MS = 10_000
const PREFIX = 'overwritten/'
const VALUE = Buffer.alloc(256, 'v')

const megabytes = (bytes: number): string => (bytes / 1_000_000).toFixed(1).padStart(9)
const percentile = (sorted: readonly number[], share: number): string =>
  (sorted[Math.floor(sorted.length * share)] ?? NaN).toFixed(1).padStart(8)

const retention = ['--auto-compaction-mode=periodic', `--auto-compaction-retention=${values.retention}`]
const cluster = await Cluster.start(values.etcd === undefined ? ours() : etcd(values.etcd), { flags: retention })
try {
  const { client } = await cluster.leader()
  await fill(client, { prefix: PREFIX, count: KEYS, sizeBytes: VALUE.length })
  await delay(5000) // all of it is committed and merged
  const sizes = async (): Promise<{ readonly onDisk: number; readonly inUse: number }> => {
    const all = await Promise.all(cluster.members.map((member) => member.status()))
    const most = (of: readonly (bigint | undefined)[]): number => Math.max(...of.map((size) => Number(size ?? NaN)))
    return { onDisk: most(all.map((status) => status?.dbSize)), inUse: most(all.map((status) => status?.dbSizeInUse)) }
  }
  const { inUse: live } = await sizes()
  console.log(`${KEYS} keys live: ${megabytes(live).trim()} MB`)
  console.log('  second    puts/s    p50 ms   p99 ms  disk, MB  in use, MB   disk/live')
  const startMs = performance.now()
  const endMs = startMs + MINUTES * 60_000
  let tookMs: number[] = []
  let next = 0
  const write = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const sentMs = performance.now()
      // In no order that the store could use.
      await client.call(PUT, { key: keyOf(PREFIX, (next++ * 7919) % KEYS), value: VALUE })
      tookMs.push(performance.now() - sentMs)
    }
  }
  const writing = Promise.all(Array.from({ length: CLIENTS }, write))
  while (performance.now() < endMs) {
    const lineMs = performance.now()
    await delay(LINE_MS)
    const sorted = tookMs.toSorted((a, b) => a - b)
    tookMs = []
    const { onDisk, inUse } = await sizes()
    const perSecond = (sorted.length * 1000) / (performance.now() - lineMs)
    const at = ((performance.now() - startMs) / 1000).toFixed(0).padStart(8)
    const cells = [at, perSecond.toFixed(0).padStart(9), percentile(sorted, 0.5), percentile(sorted, 0.99)]
    console.log(...cells, megabytes(onDisk), megabytes(inUse), (onDisk / live).toFixed(2).padStart(10))
  }
  await writing
} finally {
  await cluster.close()
}
