/**
 * Puts through the etcd API, against members as processes: `npm run bench [-- members clients connections puts]`.
 * The client shares the machine with the members, as in etcd's own figures for one machine. Without arguments: one member
 * with one connection and 32 puts in flight, then three members with the same at the leader.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, credentials } from '@grpc/grpc-js'
import { PutRequest } from '../node-server/proto/generated/etcd/rpc.ts'
import type { AdminStatus } from '../lib/admin-api.ts'

const FIRST_PORT = 23790
const VALUE = Buffer.alloc(256, 'v')
const MAIN = join(import.meta.dirname, '..', 'node-server', 'main.ts')

interface Load {
  readonly members: number
  readonly inFlight: number
  readonly connections: number
  readonly puts: number
}

const adminUrl = (member: number): string => `http://127.0.0.1:${FIRST_PORT + 10 * member + 2}`
const clientAddress = (member: number): string => `127.0.0.1:${FIRST_PORT + 10 * member}`
const peerUrl = (member: number): string => `http://127.0.0.1:${FIRST_PORT + 10 * member + 1}`

function startMember(member: number, count: number, folder: string): ChildProcess {
  const cluster = Array.from({ length: count }, (_, i) => `m${i}=${peerUrl(i)}`).join(',')
  const flags = [
    `--name=m${member}`,
    `--data-dir=${join(folder, `m${member}`)}`,
    `--listen-client-urls=http://${clientAddress(member)}`,
    `--advertise-client-urls=http://${clientAddress(member)}`,
    `--listen-peer-urls=${peerUrl(member)}`,
    `--initial-advertise-peer-urls=${peerUrl(member)}`,
    `--initial-cluster=${cluster}`,
    `--listen-admin-urls=${adminUrl(member)}`,
    '--log-level=warn',
  ]
  return spawn(process.execPath, ['--max-semi-space-size=32', MAIN, ...flags], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

async function leaderOf(count: number): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    for (let member = 0; member < count; member++) {
      const status = await fetch(`${adminUrl(member)}/admin/v1/status`)
        .then(async (answer) => (await answer.json()) as AdminStatus)
        .catch(() => undefined)
      if (status?.role === 'leader' && status.appliedIndex >= status.commitIndex) return member
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('no leader within 20 s')
}

async function runLoad(load: Load, address: string): Promise<void> {
  const clients = Array.from(
    { length: load.connections },
    (_, i) => new Client(address, credentials.createInsecure(), { 'bench.connection': i }),
  )
  const latencies: number[] = []
  let next = 0
  const put = (client: Client, key: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const request = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from(key), value: VALUE })).finish()
      const unchanged = (bytes: Uint8Array): Buffer => Buffer.from(bytes)
      client.makeUnaryRequest('/etcdserverpb.KV/Put', unchanged, unchanged, Buffer.from(request), (error) =>
        error === null ? resolve() : reject(error),
      )
    })
  const worker = async (client: Client): Promise<void> => {
    while (next < load.puts) {
      const key = String(next++ % 100_000).padStart(8, '0')
      const started = performance.now()
      await put(client, key)
      latencies.push(performance.now() - started)
    }
  }
  const started = performance.now()
  const workers = Array.from({ length: load.inFlight }, (_, i) => clients[i % clients.length])
  await Promise.all(workers.flatMap((client) => (client === undefined ? [] : [worker(client)])))
  const seconds = (performance.now() - started) / 1000
  latencies.sort((a, b) => a - b)
  const at = (share: number): string => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(1)
  console.log(
    `${load.members} member(s), ${load.connections} connection(s), ${load.inFlight} in flight, 256-byte values: ` +
      `${Math.round(load.puts / seconds)} puts/s, median ${at(0.5)} ms, p99 ${at(0.99)} ms`,
  )
  for (const client of clients) client.close()
}

async function ended(member: ChildProcess): Promise<void> {
  if (member.exitCode === null && member.signalCode === null) await once(member, 'exit')
}

async function bench(load: Load): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-bench-'))
  const members = Array.from({ length: load.members }, (_, member) => startMember(member, load.members, folder))
  try {
    const leader = await leaderOf(load.members)
    await runLoad({ ...load, puts: Math.ceil(load.puts / 4) }, clientAddress(leader)) // warms up; its line is printed too
    await runLoad(load, clientAddress(leader))
  } finally {
    for (const member of members) member.kill('SIGTERM')
    await Promise.all(members.map(ended))
    rmSync(folder, { recursive: true, force: true })
  }
}

const [members, inFlight, connections, puts] = process.argv.slice(2).map(Number)
if (members === undefined) {
  await bench({ members: 1, inFlight: 32, connections: 1, puts: 50_000 })
  await bench({ members: 3, inFlight: 32, connections: 1, puts: 30_000 })
} else await bench({ members, inFlight: inFlight ?? 32, connections: connections ?? 1, puts: puts ?? 50_000 })
