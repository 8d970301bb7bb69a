/**
 * What three members cost that nobody asks anything, and what a scrape of their metrics costs:
 * `npm run bench:idle [-- path-of-etcd]`, with a real etcd at the same time. Processor time is the members' own, so other
 * work on the machine adds little to it. Memory is told twice: what is resident, and what of that no other process can
 * share. Linux only: /proc.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const MAIN = join(import.meta.dirname, '..', 'node-server', 'main.ts')
const MEMBERS = [0, 1, 2] as const
/** For what a start leaves to do. */
const SETTLE_MS = 10_000
const IDLE_MS = 60_000
const SCRAPES = 200
const GIVE_UP_MS = 60_000
const CLOCK_TICKS_PER_SECOND = 100

class Cluster {
  readonly name: string
  readonly #command: readonly string[]
  readonly #firstPort: number
  readonly #folder = mkdtempSync(join(tmpdir(), 'raftkv-bench-'))
  #members: readonly ChildProcess[] = []

  constructor(name: string, command: readonly string[], firstPort: number) {
    this.name = name
    this.#command = command
    this.#firstPort = firstPort
  }

  /** Until all are healthy. */
  async start(): Promise<void> {
    this.#members = MEMBERS.map((member) => this.#startMember(member))
    for (const member of MEMBERS) await this.#untilHealthy(member)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map(stopped))
  }

  async close(): Promise<void> {
    await this.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  cpuSeconds(): readonly number[] {
    return this.#pids.map(cpuSecondsOf)
  }

  memory(): string {
    const each = (field: string): string => this.#pids.map((pid) => megabytesOf(pid, field).toFixed(0)).join(' ')
    return `${each('VmRSS')} MB resident, ${each('RssAnon')} MB of it their own`
  }

  async scrape(): Promise<string> {
    const [before = 0] = this.cpuSeconds()
    let page = ''
    for (let i = 0; i < SCRAPES; i++) page = await (await fetch(`${this.#clientUrl(0)}/metrics`)).text()
    const [after = 0] = this.cpuSeconds()
    const milliseconds = ((after - before) * 1000) / SCRAPES
    return `a scrape, one of ${SCRAPES}: ${milliseconds.toFixed(1)} ms of processor time, ${page.length} bytes`
  }

  get #pids(): readonly number[] {
    return this.#members.map(({ pid }) => pid ?? 0)
  }

  #clientUrl(member: number): string {
    return `http://127.0.0.1:${this.#firstPort + 2 * member}`
  }

  #peerUrl(member: number): string {
    return `http://127.0.0.1:${this.#firstPort + 2 * member + 1}`
  }

  #startMember(member: number): ChildProcess {
    const [command = '', ...first] = this.#command
    const flags = [
      `--name=m${member}`,
      `--data-dir=${join(this.#folder, `m${member}`)}`,
      `--listen-client-urls=${this.#clientUrl(member)}`,
      `--advertise-client-urls=${this.#clientUrl(member)}`,
      `--listen-peer-urls=${this.#peerUrl(member)}`,
      `--initial-advertise-peer-urls=${this.#peerUrl(member)}`,
      `--initial-cluster=${MEMBERS.map((i) => `m${i}=${this.#peerUrl(i)}`).join(',')}`,
      '--log-level=fatal',
    ]
    // As in the image: without it each process keeps what takes the types out of the sources.
    const env = { ...process.env, NODE_COMPILE_CACHE: join(this.#folder, 'compiled') }
    return spawn(command, [...first, ...flags], { env, stdio: ['ignore', 'inherit', 'inherit'] })
  }

  async #untilHealthy(member: number): Promise<void> {
    for (const deadlineMs = performance.now() + GIVE_UP_MS; performance.now() < deadlineMs; await delay(100)) {
      const health = await fetch(`${this.#clientUrl(member)}/health`).catch(() => undefined)
      await health?.text()
      if (health?.ok === true) return
    }
    throw new Error(`${this.name}: member ${member} is not healthy within ${GIVE_UP_MS / 1000} s`)
  }
}

async function stopped(member: ChildProcess): Promise<void> {
  if (member.exitCode !== null || member.signalCode !== null) return
  const gone = once(member, 'exit')
  member.kill('SIGTERM')
  await gone
}

function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND
}

function megabytesOf(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return (Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1_000_000
}

async function measure(clusters: readonly Cluster[]): Promise<void> {
  for (const cluster of clusters) {
    await cluster.start() // fills the compile cache
    await cluster.stop()
    await cluster.start()
  }
  await delay(SETTLE_MS)
  const before = clusters.map((cluster) => cluster.cpuSeconds())
  await delay(IDLE_MS)
  for (const [i, cluster] of clusters.entries()) {
    const shares = cluster
      .cpuSeconds()
      .map((seconds, member) => ((seconds - (before[i]?.[member] ?? 0)) * 100) / (IDLE_MS / 1000))
    const told = shares.map((share) => share.toFixed(2)).join(' ')
    console.log(`${cluster.name}: idle for ${IDLE_MS / 1000} s: ${told} % of a core, ${cluster.memory()}`)
  }
  for (const cluster of clusters) console.log(`${cluster.name}: ${await cluster.scrape()}`)
}

const [etcd] = process.argv.slice(2)
const clusters = [new Cluster('ours', [process.execPath, '--max-semi-space-size=32', MAIN], 23990)]
if (etcd !== undefined) clusters.push(new Cluster('etcd', [etcd], 23980))
try {
  await measure(clusters)
} finally {
  await Promise.all(clusters.map((cluster) => cluster.close()))
}
