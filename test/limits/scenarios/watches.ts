/** Very many watches: how late the last of them hears of a put, and what they cost those who write. */
import type { ClientDuplexStream } from '@grpc/grpc-js'
import { WatchCreateRequest, WatchRequest, WatchResponse } from '../../../node-server/proto/generated/etcd/rpc.ts'
import { PUT, WATCH } from '../../twin/methods.ts'
import { until } from '../cluster.ts'
import { NONE, SHOWN, timesEtcd, type Scenario } from '../scenario.ts'
import { allInParallel, keyOf } from '../load.ts'
import { PROBE, putsAlone, withPuts } from '../steady-puts.ts'

const WATCHES = 20_000
const SILENT_STREAMS = 100
const STREAMS = 20
const CONNECTIONS = 8
const EVENTS = 10
const KEY = Buffer.from('watched')
const LIMIT_MS = 60_000
const PAST_WATCHES = 10_000
/** Of the key of each watch that starts in the past. */
const PAST_EVENTS = 2
const PUTS_AT_ONCE = 128
/** What a stream that is not read is sent until it is full. */
const UNREAD = { perSecond: 100, sizeBytes: 10_000 } as const

type Stream = ClientDuplexStream<Buffer, Buffer>

/** `from`: a key and all that follow, or one key. */
function create(stream: Stream, key: Buffer, from: 'now' | 'the start' = 'now'): void {
  const value = WatchCreateRequest.fromPartial(
    from === 'now' ? { key, rangeEnd: Buffer.of(0) } : { key, startRevision: 1n },
  )
  stream.write(Buffer.from(WatchRequest.encode({ requestUnion: { $case: 'createRequest', value } }).finish()))
}

export const watches: Scenario<'opened' | 'heard' | 'memory'> = {
  name: 'watches',
  what: (size) => `${size(WATCHES)} watches of one key on ${STREAMS} streams`,
  measures: {
    opened: { what: 'opened', unit: 's', bound: SHOWN },
    heard: { what: 'the last hears of a put, at the worst', unit: 'ms', bound: timesEtcd(3, 100) },
    memory: { what: "the leader's memory at its peak", unit: 'MB', bound: SHOWN },
  },
  run: async (cluster, size) => {
    const leader = await cluster.leader()
    const clients = Array.from({ length: CONNECTIONS }, () => cluster.connect(leader))
    const [count, told] = [size(WATCHES, STREAMS), { created: 0, events: 0, lastMs: 0 }]
    const streams = Array.from({ length: STREAMS }, (_, i) => (clients[i % CONNECTIONS] ?? leader.client).duplex(WATCH))
    for (const stream of streams) {
      stream.on('error', () => {}) // what is missing is seen in the counts
      stream.on('data', (bytes: Buffer) => {
        const { created, events } = WatchResponse.decode(bytes)
        if (created) told.created++
        told.events += events.length
        told.lastMs = performance.now()
      })
    }
    for (let i = 0; i < count; i++) {
      const stream = streams[i % STREAMS]
      if (stream !== undefined) create(stream, KEY)
    }
    const opened = await until(() => Promise.resolve(told.created >= count), LIMIT_MS)
    let heard = 0
    for (let i = 1; i <= EVENTS; i++) {
      const sentMs = performance.now()
      await leader.client.call(PUT, { key: KEY, value: Buffer.from(`${i}`) })
      const seconds = await until(() => Promise.resolve(told.events >= i * count), LIMIT_MS)
      heard = Math.max(heard, seconds === Infinity ? Infinity : told.lastMs - sentMs)
    }
    for (const stream of streams) stream.cancel()
    return { opened, heard, memory: leader.memory().peak }
  },
}

export const unreadWatches: Scenario<'alone' | 'during' | 'failed' | 'memory'> = {
  name: 'watches-unread',
  isVariant: true,
  what: (size) => `${size(SILENT_STREAMS, 10)} streams that never read watch everything that is put`,
  measures: {
    alone: { what: 'put p99 without', unit: 'ms', bound: SHOWN },
    during: { what: 'put p99 beside', unit: 'ms', bound: { kind: 'times', times: 2, of: 'alone', always: 50 } },
    failed: { what: 'puts that failed', unit: '', bound: NONE },
    memory: { what: "the leader's memory at its peak", unit: 'MB', bound: SHOWN },
  },
  run: async (cluster, size) => {
    const leader = await cluster.leader()
    const alone = await putsAlone(leader, UNREAD)
    const client = cluster.connect(leader)
    const streams = Array.from({ length: size(SILENT_STREAMS, 10) }, () => client.duplex(WATCH))
    for (const stream of streams) {
      stream.on('error', () => {})
      create(stream, Buffer.of(0))
    }
    const during = await putsAlone(leader, UNREAD)
    const memory = leader.memory().peak
    for (const stream of streams) stream.cancel()
    return { alone: alone.p99Ms, during: during.p99Ms, failed: alone.failed + during.failed, memory }
  },
}

export const pastWatches: Scenario<'alone' | 'during' | 'failed' | 'caughtUp' | 'memory'> = {
  name: 'watches-past',
  isVariant: true,
  what: (size) => `${size(PAST_WATCHES)} watches of one key each that start in the past`,
  measures: {
    alone: { what: 'put p99 without', unit: 'ms', bound: SHOWN },
    during: { what: 'put p99 beside', unit: 'ms', bound: { kind: 'times', times: 2, of: 'alone', always: 50 } },
    failed: { what: 'puts that failed', unit: '', bound: NONE },
    caughtUp: { what: 'all have heard of everything', unit: 's', bound: timesEtcd(1.5, 1) },
    memory: { what: "the leader's memory at its peak", unit: 'MB', bound: SHOWN },
  },
  run: async (cluster, size) => {
    const leader = await cluster.leader()
    const count = size(PAST_WATCHES)
    const value = Buffer.alloc(PROBE.sizeBytes, 'p')
    await allInParallel(count * PAST_EVENTS, PUTS_AT_ONCE, (i) =>
      leader.client.call(PUT, { key: keyOf('past/', i % count), value }),
    )
    const alone = await putsAlone(leader, PROBE)
    const clients = Array.from({ length: CONNECTIONS }, () => cluster.connect(leader))
    const streams = Array.from({ length: STREAMS }, (_, i) => (clients[i % CONNECTIONS] ?? leader.client).duplex(WATCH))
    let events = 0
    for (const stream of streams) {
      stream.on('error', () => {}) // what is missing is seen in the count
      stream.on('data', (bytes: Buffer) => void (events += WatchResponse.decode(bytes).events.length))
    }
    const during = await withPuts(leader, PROBE, () => {
      for (let i = 0; i < count; i++) {
        const stream = streams[i % STREAMS]
        if (stream !== undefined) create(stream, keyOf('past/', i), 'the start')
      }
      return until(() => Promise.resolve(events >= count * PAST_EVENTS), LIMIT_MS)
    })
    for (const stream of streams) stream.cancel()
    return {
      alone: alone.p99Ms,
      during: during.puts.p99Ms,
      failed: alone.failed + during.puts.failed,
      caughtUp: during.value,
      memory: leader.memory().peak,
    }
  },
}
