/**
 * What a compaction costs: `npm run bench:compaction [-- path-of-etcd]`. One member as a process, driven by etcd's API and
 * flags alone, so that a real etcd can stand in for ours and both are measured by the same yardstick: how large the
 * file becomes when it is compacted every few seconds at full write speed, how long it takes until all that was compacted is
 * gone, and how long puts take meanwhile.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { CompactionRequest, PutRequest, StatusResponse, TxnRequest } from '../node-server/proto/generated/etcd/rpc.ts'

const CLIENT = '127.0.0.1:23990'
const PEER = 'http://127.0.0.1:23991'
const KEYS = 1000
const VALUE = Buffer.alloc(256, 'v')
const VERSIONS = 300_000
const PUTS_OF_TXN = 100
const BESIDE_EVERY_MS = 5
const ALONE_MS = 4000
const FULL_SPEED = { clients: 64, forMs: 15_000, compactEveryMs: 2000, keepsRevisions: 1000 } as const
const GIVE_UP_MS = 120_000
const same = (bytes: Buffer): Buffer => bytes

const client = new Client(CLIENT, credentials.createInsecure(), {
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 200,
})

function call(path: string, request: Uint8Array = Buffer.alloc(0), timeoutMs = GIVE_UP_MS): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + timeoutMs }
    const metadata = new Metadata({ waitForReady: true })
    client.makeUnaryRequest(path, same, same, Buffer.from(request), metadata, options, (error, answer) =>
      error === null ? resolve(answer ?? Buffer.alloc(0)) : reject(error),
    )
  })
}

const putOf = (number: number): PutRequest =>
  PutRequest.fromPartial({ key: Buffer.from(`key ${String(number % KEYS).padStart(8, '0')}`), value: VALUE })

async function put(number: number): Promise<void> {
  await call('/etcdserverpb.KV/Put', PutRequest.encode(putOf(number)).finish())
}

async function status(): Promise<StatusResponse> {
  return StatusResponse.decode(await call('/etcdserverpb.Maintenance/Status'))
}

async function compact(keepsRevisions: number, physical: boolean): Promise<void> {
  const revision = ((await status()).header?.revision ?? 0n) - BigInt(keepsRevisions)
  await call('/etcdserverpb.KV/Compact', CompactionRequest.encode({ revision, physical }).finish())
}

async function fill(): Promise<void> {
  for (let first = 0; first < VERSIONS; first += PUTS_OF_TXN) {
    const success = Array.from({ length: PUTS_OF_TXN }, (_, i) => ({
      request: { $case: 'requestPut' as const, value: putOf(first + i) },
    }))
    await call('/etcdserverpb.KV/Txn', TxnRequest.encode({ compare: [], success, failure: [] }).finish())
  }
}

/** How long puts take that come one after the other, while something else goes on. */
async function latencyBeside(work: Promise<unknown>): Promise<string> {
  const beside = { isOver: false }
  const end = work.finally(() => (beside.isOver = true))
  const took: number[] = []
  for (let number = 0; !beside.isOver; number++) {
    const startMs = performance.now()
    await put(number)
    took.push(performance.now() - startMs)
    await delay(BESIDE_EVERY_MS)
  }
  await end
  const ascending = took.toSorted((a, b) => a - b)
  const quantile = (q: number): string => (ascending[Math.ceil(ascending.length * q) - 1] ?? 0).toFixed(1)
  return `put p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, longest ${quantile(1)} ms (${took.length} puts)`
}

async function fullSpeed(): Promise<string> {
  const { clients, forMs, compactEveryMs, keepsRevisions } = FULL_SPEED
  const endMs = performance.now() + forMs
  let puts = 0
  const worker = async (): Promise<void> => {
    while (performance.now() < endMs) await put(puts++)
  }
  const sizes: string[] = []
  const compacting = (async (): Promise<void> => {
    while (performance.now() < endMs) {
      await delay(compactEveryMs)
      await compact(keepsRevisions, false)
      sizes.push(megabytes((await status()).dbSize))
    }
  })()
  await Promise.all([compacting, ...Array.from({ length: clients }, worker)])
  return `${Math.round((puts * 1000) / forMs)} puts/s, file in MB: ${sizes.join(' ')}`
}

const megabytes = (bytes: bigint): string => (Number(bytes) / 1e6).toFixed(0)

async function measure(name: string, program: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-bench-'))
  const [command = '', ...first] = program
  const urls = [`--listen-client-urls=http://${CLIENT}`, `--advertise-client-urls=http://${CLIENT}`]
  const peerUrls = [
    `--listen-peer-urls=${PEER}`,
    `--initial-advertise-peer-urls=${PEER}`,
    `--initial-cluster=m0=${PEER}`,
  ]
  const flags = ['--name=m0', `--data-dir=${join(folder, 'm0')}`, ...urls, ...peerUrls, '--log-level=fatal']
  const child = spawn(command, [...first, ...flags], { stdio: ['ignore', 'inherit', 'inherit'] })
  const say = (what: string): void => console.log(`${name.padEnd(5)} ${what}`)
  try {
    await put(0)
    say(`compacted every ${FULL_SPEED.compactEveryMs / 1000} s: ${await fullSpeed()}`)
    await fill()
    say(`before: ${await latencyBeside(delay(ALONE_MS))}`)
    const before = await status()
    const startMs = performance.now()
    const compaction = compact(0, true).then(() => performance.now() - startMs)
    const beside = await latencyBeside(compaction)
    say(`${VERSIONS} overwrites of ${KEYS} keys compacted in ${((await compaction) / 1000).toFixed(1)} s: ${beside}`)
    await delay(1500)
    const { dbSize, dbSizeInUse } = await status()
    say(
      `file ${megabytes(before.dbSize)} MB before, ${megabytes(dbSize)} MB after, ${megabytes(dbSizeInUse)} MB of it in use`,
    )
  } finally {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
}

const [etcd] = process.argv.slice(2)
const ours = join(import.meta.dirname, '..', 'node-server', 'main.ts')
await measure('ours', [process.execPath, '--max-semi-space-size=32', ours])
if (etcd !== undefined) await measure('etcd', [etcd])
client.close()
