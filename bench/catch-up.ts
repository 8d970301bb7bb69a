/**
 * What a follower that was away needs to catch up, and what large puts through a follower get:
 * `npm run bench:catch-up [-- path-of-etcd]`. Three members as processes with default timing, driven by etcd's API and
 * flags alone, so that a real etcd can stand in for ours and both are measured by the same yardstick. The processor time is
 * that of the follower from its start on, and the figure to trust on a machine that has other work. Linux only: /proc.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, credentials } from '@grpc/grpc-js'
import { PutRequest, StatusResponse } from '../node-server/proto/generated/etcd/rpc.ts'

const FIRST_PORT = 23890
const MEMBERS = 3
const AWAY = { puts: 1500, sizeBytes: 100_000 } as const
const BESIDE_BYTES_PER_SECOND = 10_000_000
const FORWARDED = [
  { puts: 180, sizeBytes: 1_400_000 },
  { puts: 45, sizeBytes: 1_500_000 },
] as const
const IN_FLIGHT = 16
const GIVE_UP_MS = 120_000
const POLL_MS = 20
const CLOCK_TICKS_PER_SECOND = 100

const clientAddress = (member: number): string => `127.0.0.1:${FIRST_PORT + 10 * member}`
const peerUrl = (member: number): string => `http://127.0.0.1:${FIRST_PORT + 10 * member + 1}`
const same = (bytes: Buffer): Buffer => bytes

class Cluster {
  readonly #program: readonly string[]
  readonly #folder = mkdtempSync(join(tmpdir(), 'raftkv-bench-'))
  readonly #processes = new Map<number, ChildProcess>()
  readonly #clients = Array.from(
    { length: MEMBERS },
    (_, member) =>
      new Client(clientAddress(member), credentials.createInsecure(), {
        'grpc.max_reconnect_backoff_ms': 50,
        'grpc.initial_reconnect_backoff_ms': 20,
      }),
  )

  constructor(program: readonly string[]) {
    this.#program = program
  }

  start(member: number): void {
    const cluster = Array.from({ length: MEMBERS }, (_, i) => `m${i}=${peerUrl(i)}`).join(',')
    const [command = '', ...first] = this.#program
    const flags = [
      `--name=m${member}`,
      `--data-dir=${join(this.#folder, `m${member}`)}`,
      `--listen-client-urls=http://${clientAddress(member)}`,
      `--advertise-client-urls=http://${clientAddress(member)}`,
      `--listen-peer-urls=${peerUrl(member)}`,
      `--initial-advertise-peer-urls=${peerUrl(member)}`,
      `--initial-cluster=${cluster}`,
      '--log-level=fatal',
    ]
    this.#processes.set(member, spawn(command, [...first, ...flags], { stdio: ['ignore', 'inherit', 'inherit'] }))
  }

  cpuSeconds(member: number): number {
    const stat = readFileSync(`/proc/${this.#processes.get(member)?.pid ?? 0}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND
  }

  async stop(member: number): Promise<void> {
    const child = this.#processes.get(member)
    if (child === undefined) return
    this.#processes.delete(member)
    const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
    child.kill('SIGTERM')
    await gone
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close()
    await Promise.all([...this.#processes.keys()].map((member) => this.stop(member)))
    rmSync(this.#folder, { recursive: true, force: true })
  }

  status(member: number): Promise<StatusResponse | undefined> {
    return this.#call(member, '/etcdserverpb.Maintenance/Status', Buffer.alloc(0), 1000).then(
      (bytes) => StatusResponse.decode(bytes),
      () => undefined,
    )
  }

  async put(member: number, key: string, value: Buffer): Promise<void> {
    const request = PutRequest.encode(PutRequest.fromPartial({ key: Buffer.from(key), value })).finish()
    await this.#call(member, '/etcdserverpb.KV/Put', Buffer.from(request), GIVE_UP_MS)
  }

  async leader(): Promise<number> {
    return until('there is a leader', async () => {
      for (let member = 0; member < MEMBERS; member++) {
        const status = await this.status(member)
        if (status?.leader !== undefined && status.leader !== 0n && status.header?.memberId === status.leader)
          return member
      }
      return undefined
    })
  }

  #call(member: number, path: string, request: Buffer, timeoutMs: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + timeoutMs }
      this.#clients[member]?.makeUnaryRequest(path, same, same, request, options, (error, answer) =>
        error === null ? resolve(answer ?? Buffer.alloc(0)) : reject(error),
      )
    })
  }
}

async function until<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  for (const deadlineMs = performance.now() + GIVE_UP_MS; performance.now() < deadlineMs;) {
    const found = await look()
    if (found !== undefined) return found
    await delay(POLL_MS)
  }
  throw new Error(`not within ${GIVE_UP_MS / 1000} s: ${what}`)
}

/** How many of the puts failed, and with what. */
async function putAll(
  cluster: Cluster,
  member: number,
  load: { puts: number; sizeBytes: number; inFlight: number },
): Promise<Map<string, number>> {
  const value = Buffer.alloc(load.sizeBytes, 'v')
  const failures = new Map<string, number>()
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < load.puts)
      await cluster.put(member, `put/${next++}`, value).catch((error: unknown) => {
        const text = error instanceof Error ? error.message : String(error)
        failures.set(text, (failures.get(text) ?? 0) + 1)
      })
  }
  await Promise.all(Array.from({ length: load.inFlight }, worker))
  return failures
}

/** Seconds from the start of the program, and from its first answer to a client, until it has applied what the leader had. */
async function catchUp(cluster: Cluster, withLoad: boolean): Promise<string> {
  const leader = await cluster.leader()
  const away = (leader + 1) % MEMBERS
  await cluster.stop(away)
  const failures = await putAll(cluster, leader, { ...AWAY, inFlight: IN_FLIGHT })
  const writing = { isOver: false, puts: 0 }
  const load = withLoad ? putBeside(cluster, leader, writing) : Promise.resolve()
  const target = (await cluster.status(leader))?.raftAppliedIndex ?? 0n
  const startMs = performance.now()
  cluster.start(away)
  await until('the member answers', () => cluster.status(away))
  const answersMs = performance.now()
  // Under load the goal moves: caught up is who is no further behind than what is on its way anyway.
  await until('the member has caught up', async () => {
    const applied = (await cluster.status(away))?.raftAppliedIndex ?? 0n
    const goal = withLoad ? ((await cluster.status(leader))?.raftAppliedIndex ?? target) - 20n : target
    return applied >= goal ? true : undefined
  }).catch(() => undefined)
  const endMs = performance.now()
  const cpuSeconds = cluster.cpuSeconds(away).toFixed(1)
  writing.isOver = true
  await load
  const seconds = (fromMs: number): string => ((endMs - fromMs) / 1000).toFixed(1)
  const beside = withLoad
    ? `, ${((writing.puts * AWAY.sizeBytes) / (endMs - startMs) / 1000).toFixed(1)} MB/s written beside`
    : ''
  return `caught up ${seconds(startMs)} s after its start, ${seconds(answersMs)} s after its first answer, ${cpuSeconds} s of processor time${beside}${told(failures)}`
}

async function putBeside(cluster: Cluster, leader: number, writing: { isOver: boolean; puts: number }): Promise<void> {
  const value = Buffer.alloc(AWAY.sizeBytes, 'w')
  const startMs = performance.now()
  const worker = async (): Promise<void> => {
    while (!writing.isOver) {
      const dueMs = startMs + (writing.puts * AWAY.sizeBytes * 1000) / BESIDE_BYTES_PER_SECOND
      if (dueMs > performance.now()) await delay(dueMs - performance.now())
      writing.puts++
      await cluster.put(leader, `beside/${writing.puts % 1000}`, value).catch(() => undefined)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
}

async function forward(cluster: Cluster, load: { puts: number; sizeBytes: number }): Promise<string> {
  const follower = ((await cluster.leader()) + 1) % MEMBERS
  const startMs = performance.now()
  const failures = await putAll(cluster, follower, { ...load, inFlight: load.puts })
  return `${((performance.now() - startMs) / 1000).toFixed(1)} s${told(failures)}`
}

function told(failures: ReadonlyMap<string, number>): string {
  return [...failures].map(([text, count]) => `; ${count} failed: ${text}`).join('')
}

const megabytes = (sizeBytes: number): string => `${sizeBytes / 1_000_000} MB`

const SCENARIOS: readonly (readonly [string, (cluster: Cluster) => Promise<string>])[] = [
  [`away for ${AWAY.puts} puts of ${megabytes(AWAY.sizeBytes)}`, (cluster) => catchUp(cluster, false)],
  [`the same under ${megabytes(BESIDE_BYTES_PER_SECOND)}/s of writes`, (cluster) => catchUp(cluster, true)],
  ...FORWARDED.map(
    (load) =>
      [
        `${load.puts} puts of ${megabytes(load.sizeBytes)} at once through a follower`,
        (cluster: Cluster) => forward(cluster, load),
      ] as const,
  ),
]

async function measure(name: string, program: readonly string[]): Promise<void> {
  for (const [what, run] of SCENARIOS) {
    const cluster = new Cluster(program)
    try {
      for (let member = 0; member < MEMBERS; member++) cluster.start(member)
      for (let member = 0; member < MEMBERS; member++) await until('it answers', () => cluster.status(member))
      console.log(`${name.padEnd(5)} ${what}: ${await run(cluster)}`)
    } finally {
      await cluster.close()
    }
  }
}

const [etcd] = process.argv.slice(2)
await measure('ours', [
  process.execPath,
  '--max-semi-space-size=32',
  join(import.meta.dirname, '..', 'node-server', 'main.ts'),
])
if (etcd !== undefined) await measure('etcd', [etcd])
