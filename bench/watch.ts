/**
 * What watches cost a member for each put, without Raft and network: `node bench/watch.ts`. Each put is told of in a
 * batch of its own, the worst case; outlets take everything and do nothing.
 */
import { LogIndex, Term } from '../lib/ids.ts'
import { systemClock } from '../lib/system-clock.ts'
import { apply } from '../node-server/mvcc/apply.ts'
import { MemoryBackend } from '../node-server/mvcc/memory-backend.ts'
import { Store } from '../node-server/mvcc/store.ts'
import { WatchableStore } from '../node-server/node/watch/watchable-store.ts'
import type { WatchedKeys } from '../node-server/node/watch/watcher-group.ts'
import type { WatchOutlet } from '../node-server/node/watch/watcher.ts'
import { PutRequest } from '../node-server/proto/generated/etcd/rpc.ts'

const PUTS = Number(process.argv[2] ?? 20_000)
const KEYS = 10_000
const VALUE = Buffer.alloc(256, 'v')

const keyOf = (number: number): string => `/registry/pods/namespace/${String(number).padStart(8, '0')}`
const exact = (number: number): WatchedKeys => ({ kind: 'key', key: keyOf(number) })
const tenFrom = (number: number): WatchedKeys => ({ kind: 'range', start: keyOf(number), end: keyOf(number + 10) })
const everything: WatchedKeys = { kind: 'range', start: '/registry/', end: '/registry0' }

function measure(
  what: string,
  watches: number,
  keysOf: (number: number) => WatchedKeys,
  isWithPrevious: boolean,
): void {
  const store = new Store(new MemoryBackend())
  let tell = (): void => undefined
  const node = { store, onApplied: (listener: () => void) => ((tell = listener), () => undefined) }
  const watchableStore = new WatchableStore(node, systemClock)
  const outlet: WatchOutlet = { hasRoom: true, deliver: () => undefined, compacted: () => undefined }
  const filters = { isWithoutPuts: false, isWithoutDeletes: false, isWithPrevious }
  for (let i = 0; i < watches; i++)
    watchableStore.add({ id: BigInt(i), keys: keysOf(i), startRevision: 0, ...filters, outlet })
  let ownMs = 0
  for (let i = 0; i < PUTS; i++) {
    const request = PutRequest.encode(
      PutRequest.fromPartial({ key: Buffer.from(keyOf((i * 7919) % KEYS)), value: VALUE }),
    ).finish()
    apply(store, { index: LogIndex(store.appliedIndex + 1), term: Term(1) }, { kind: 'put', requestId: 0n, request })
    const { user, system } = process.threadCpuUsage()
    tell()
    const after = process.threadCpuUsage(undefined)
    ownMs += (after.user + after.system - user - system) / 1000
  }
  const each = ((ownMs / PUTS) * 1000).toFixed(1)
  console.log(`${what.padEnd(58)} ${each.padStart(8)} µs a put, ${watchableStore.counts.events} events`)
}

measure('1 watch of everything', 1, () => everything, false)
measure('1 watch of everything, with previous versions', 1, () => everything, true)
measure('1 watch of a key that nobody puts', 1, () => exact(KEYS), false)
measure('10,000 watches of one key each', 10_000, exact, false)
measure('10,000 watches of ten keys each, overlapping', 10_000, tenFrom, false)
measure('100,000 watches of keys that nobody puts', 100_000, (i) => exact(KEYS + i), false)
measure('100 watches of everything', 100, () => everything, false)
