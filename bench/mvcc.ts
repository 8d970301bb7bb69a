/**
 * Figures of the store alone, without Raft and network: `node bench/mvcc.ts [keys]`. The backend is in a
 * temporary directory; commits run as in a member, in the background. What is called CPU of all threads is what the
 * process has used until the engine has nothing left to do, merges included.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LogIndex, Term } from '../lib/ids.ts'
import { apply } from '../node-server/mvcc/apply.ts'
import { compactSlice, type CompactionCursor } from '../node-server/mvcc/compaction.ts'
import { COMMIT_WRITES } from '../node-server/mvcc/committer.ts'
import { range } from '../node-server/mvcc/range.ts'
import { Store } from '../node-server/mvcc/store.ts'
import { rangeRequest } from '../node-server/mvcc/testing/requests.ts'
import { CompactionRequest, PutRequest } from '../node-server/proto/generated/etcd/rpc.ts'
import { realVolume } from '../node-server/storage/volume.ts'

const KEYS = Number(process.argv[2] ?? 200_000)
const VALUE = Buffer.alloc(256, 'v')
/** Entries applied between two looks at the event loop, as a turn of a member does. */
const TURN = 200

const keyOf = (number: number): Buffer =>
  Buffer.from(`/registry/pods/namespace-${number % 50}/pod-${String(number).padStart(8, '0')}`)
/** In order. */
const eventKeyOf = (number: number): Buffer => Buffer.from(`/registry/events/event-${String(number).padStart(8, '0')}`)
const yieldToLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function report(what: string, count: number, elapsedMs: number): void {
  const perSecond = Math.round((count / elapsedMs) * 1000)
  console.log(
    `${what.padEnd(58)} ${((elapsedMs / count) * 1000).toFixed(2).padStart(9)} µs each ${String(perSecond).padStart(9)}/s`,
  )
}

/** CPU time of this thread: what the work costs also while others have the machine. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Of all threads of the process. */
function allCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Until the threads of the engine rest: what they do after a commit is part of what it costs. */
async function rested(): Promise<void> {
  for (let before = allCpuMs(), now = Infinity; now - before > 10;) {
    before = allCpuMs()
    await new Promise((resolve) => setTimeout(resolve, 200))
    now = allCpuMs()
  }
}

function timed(what: string, count: number, work: () => void): void {
  const startMs = cpuMs()
  work()
  report(`${what} (CPU)`, count, cpuMs() - startMs)
}

function putRequest(key: Buffer): Uint8Array {
  return PutRequest.encode(PutRequest.fromPartial({ key, value: VALUE })).finish()
}

async function put(store: Store, what: string, keyAt: (position: number) => Buffer): Promise<void> {
  let clientMs = 0
  let applyMs = 0
  let handOverMs = 0
  let longestStallMs = 0
  let commits = 0
  const startMs = performance.now()
  const startCpuMs = allCpuMs()
  for (let offset = 0; offset < KEYS; offset += TURN) {
    const turnMs = performance.now()
    const beforeMs = cpuMs()
    const requests = Array.from({ length: Math.min(TURN, KEYS - offset) }, (_, i) => putRequest(keyAt(offset + i)))
    const turnCpuMs = cpuMs()
    clientMs += turnCpuMs - beforeMs
    for (const request of requests) {
      apply(store, { index: LogIndex(store.appliedIndex + 1), term: Term(1) }, { kind: 'put', requestId: 0n, request })
    }
    const appliedMs = cpuMs()
    applyMs += appliedMs - turnCpuMs
    if (!store.isCommitting && store.buffer.pendingWrites >= COMMIT_WRITES) {
      void store.commit()
      commits++
      handOverMs += cpuMs() - appliedMs
    }
    await yieldToLoop()
    longestStallMs = Math.max(longestStallMs, performance.now() - turnMs)
    if (store.isSaturated) await store.commit()
  }
  await store.commit()
  const elapsedMs = performance.now() - startMs
  await rested()
  report(`${what}: CPU of all threads`, KEYS, allCpuMs() - startCpuMs - clientMs)
  report(`${what}: apply (CPU)`, KEYS, applyMs)
  report(`${what}: handing commits to the writer thread (CPU)`, KEYS, handOverMs)
  report(`${what}: wall clock with ${commits} commits, fsyncs included`, KEYS, elapsedMs)
  console.log(`${what}: longest stall of the event loop ${longestStallMs.toFixed(1)} ms`)
}

function reads(store: Store): void {
  const ROUNDS = 20_000
  timed('range of one key', ROUNDS, () => {
    for (let round = 0; round < ROUNDS; round++)
      range(store, rangeRequest('', '', { key: keyOf((round * 7919) % KEYS) }))
  })
  const all = ['/registry/pods/', '/registry/pods0'] as const
  timed('page of 500 keys, count of all included', 20, () => {
    for (let round = 0; round < 20; round++) range(store, rangeRequest(...all, { limit: 500n }))
  })
  timed('count of all keys', 20, () => {
    for (let round = 0; round < 20; round++) range(store, rangeRequest(...all, { countOnly: true }))
  })
  timed('every key with its value', KEYS, () => range(store, rangeRequest(...all)))
  timed('every key at the revision half way', KEYS, () =>
    range(store, rangeRequest(...all, { revision: BigInt(KEYS) + BigInt(KEYS >> 1) })),
  )
}

async function compact(store: Store): Promise<void> {
  const compaction = CompactionRequest.encode({ revision: BigInt(store.revision), physical: false }).finish()
  apply(
    store,
    { index: LogIndex(store.appliedIndex + 1), term: Term(1) },
    { kind: 'compact', requestId: 0n, request: compaction },
  )
  let cursor: CompactionCursor | undefined
  let longestMs = 0
  const startMs = performance.now()
  do {
    const sliceMs = performance.now()
    cursor = compactSlice(store, cursor).cursor
    longestMs = Math.max(longestMs, performance.now() - sliceMs)
    if (store.buffer.pendingWrites >= COMMIT_WRITES) await store.commit()
  } while (cursor !== undefined)
  await store.commit()
  report('compaction of every first version', KEYS, performance.now() - startMs)
  console.log(`compaction: longest slice ${longestMs.toFixed(1)} ms`)
}

const directory = mkdtempSync(join(tmpdir(), 'raftkv-bench-'))
try {
  const path = join(directory, 'store')
  const store = new Store(await realVolume.stores.open(path))
  await put(store, 'put of new keys', (position) => keyOf((position * 7919) % KEYS))
  await put(store, 'put of keys that are there', (position) => keyOf((position * 104_729) % KEYS))
  await put(store, 'put of new keys in order', eventKeyOf)
  reads(store)
  await compact(store)
  const { totalBytes, inUseBytes } = store.size()
  console.log(
    `${KEYS} keys of 256 bytes: file ${totalBytes >> 20} MiB, in use ${inUseBytes >> 20} MiB, resident ${process.memoryUsage().rss >> 20} MiB`,
  )
  await store.close()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
