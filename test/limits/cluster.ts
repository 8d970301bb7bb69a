/**
 * Three members as processes on loopback with etcd's default timing, told and asked by etcd's flags, API and metrics alone, so
 * that ours and etcd's are started and measured in the same way. A cluster owns a temporary folder and its processes. Linux
 * only: /proc.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { StatusResponse } from '../../node-server/proto/generated/etcd/rpc.ts'
import { daemon } from '../e2e/process.ts'
import { freePort } from '../members/member-process.ts'
import { STATUS } from '../twin/methods.ts'
import { MemberClient } from './client.ts'

export interface Program {
  readonly name: 'ours' | 'etcd'
  readonly command: readonly string[]
}

const NAMES = ['m0', 'm1', 'm2'] as const
const MAX_CONNECTIONS = 64
const START_TIMEOUT_MS = 30_000
const ASK_TIMEOUT_MS = 1000
const POLL_MS = 20
const CLOCK_TICKS_PER_SECOND = 100

export class Member {
  readonly name: string
  readonly address: string
  readonly client: MemberClient
  /** Of its program, over all starts. */
  readonly logPath: string
  readonly #command: readonly string[]
  readonly #folder: string
  #process: ChildProcess | undefined
  /** Its counters have counted from the start of the cluster on. */
  hasStayed = true

  constructor(name: string, port: number, command: readonly string[], folder: string) {
    this.name = name
    this.address = `127.0.0.1:${port}`
    this.client = new MemberClient(this.address)
    this.logPath = join(folder, `${name}.log`)
    this.#command = command
    this.#folder = folder
  }

  get isRunning(): boolean {
    return this.#process !== undefined
  }

  start(): void {
    const child = daemon(this.#command, this.logPath, this.#folder)
    child.once('exit', () => {
      this.hasStayed = false
      if (this.#process === child) this.#process = undefined
    })
    this.#process = child
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (child === undefined) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }

  /** Undefined when it does not answer. */
  status(): Promise<StatusResponse | undefined> {
    return this.client.call(STATUS, {}, ASK_TIMEOUT_MS).catch(() => undefined)
  }

  /** The value of a metric without labels. */
  async metric(name: string): Promise<number> {
    const answer = await fetch(`http://${this.address}/metrics`, { signal: AbortSignal.timeout(START_TIMEOUT_MS) })
    const [, value] = new RegExp(`^${name} (.*)$`, 'm').exec(await answer.text()) ?? []
    if (value === undefined) throw new Error(`${this.name} has no metric ${name}`)
    return Number(value)
  }

  /** Of its process, since that started. */
  cpuSeconds(): number {
    const stat = this.#proc('stat')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND
  }

  /** The most that its process has had in memory at once. */
  peakMemoryMegabytes(): number {
    const [, kibibytes = '0'] = /^VmHWM:\s+(\d+) kB$/m.exec(this.#proc('status')) ?? []
    return (Number(kibibytes) * 1024) / 1_000_000
  }

  log(): string {
    return readFileSync(this.logPath, 'utf8')
  }

  #proc(file: string): string {
    if (this.#process === undefined) throw new Error(`${this.name} has ended: ${this.log().slice(-2000)}`)
    return readFileSync(`/proc/${this.#process.pid}/${file}`, 'utf8')
  }
}

export class Cluster {
  readonly members: readonly Member[]
  readonly #folder: string
  readonly #connections: MemberClient[] = []
  #before: { readonly term: number; readonly changes: number } = { term: 0, changes: 0 }
  readonly #endWithUs = (): void => rmSync(this.#folder, { recursive: true, force: true })

  private constructor(members: readonly Member[], folder: string) {
    this.members = members
    this.#folder = folder
    process.once('exit', this.#endWithUs)
  }

  /** Of the program with flags beside those that every cluster needs, with a leader. */
  static async start({ command }: Program, flags: readonly string[]): Promise<Cluster> {
    const folder = mkdtempSync(join(tmpdir(), 'raftkv-limits-'))
    const places: { name: string; port: number; peerURL: string }[] = []
    for (const name of NAMES)
      places.push({ name, port: await freePort(), peerURL: `http://127.0.0.1:${await freePort()}` })
    const initial = places.map(({ name, peerURL }) => `${name}=${peerURL}`).join(',')
    const members = places.map(({ name, port, peerURL }) => {
      const dataDirectory = join(folder, name)
      mkdirSync(dataDirectory, { mode: 0o700 })
      const own = [
        `--name=${name}`,
        `--data-dir=${dataDirectory}`,
        `--listen-client-urls=http://127.0.0.1:${port}`,
        `--advertise-client-urls=http://127.0.0.1:${port}`,
        `--listen-peer-urls=${peerURL}`,
        `--initial-advertise-peer-urls=${peerURL}`,
        `--initial-cluster=${initial}`,
        '--log-level=info',
      ]
      return new Member(name, port, [...command, ...own, ...flags], folder)
    })
    const cluster = new Cluster(members, folder)
    try {
      for (const member of members) member.start()
      for (const member of members)
        await until(async () => ((await member.status())?.leader ?? 0n) !== 0n, START_TIMEOUT_MS)
      await cluster.leader()
      cluster.#before = await cluster.#unrest()
    } catch (error) {
      await cluster.close()
      throw error
    }
    return cluster
  }

  async leader(): Promise<Member> {
    let found: Member | undefined
    await until(async () => {
      for (const member of this.members) {
        const status = await member.status()
        if (status?.header?.memberId === status?.leader && status !== undefined) found = member
      }
      return found !== undefined
    }, START_TIMEOUT_MS)
    if (found === undefined) throw new Error(`no leader within ${START_TIMEOUT_MS / 1000} s`)
    return found
  }

  async follower(): Promise<Member> {
    const leader = await this.leader()
    const found = this.members.find((member) => member !== leader && member.isRunning)
    if (found === undefined) throw new Error('no follower runs')
    return found
  }

  /** One more connection, which the cluster closes. */
  connect(member: Member): MemberClient {
    if (this.#connections.length >= MAX_CONNECTIONS) throw new Error(`more than ${MAX_CONNECTIONS} connections`)
    const client = new MemberClient(member.address)
    this.#connections.push(client)
    return client
  }

  /** Elections since the start, or how often a member has seen a leader come, whichever is more. */
  async elections(): Promise<number> {
    const { term, changes } = await this.#unrest()
    return Math.max(term - this.#before.term, changes - this.#before.changes)
  }

  async close(): Promise<void> {
    for (const client of this.#connections) client.close()
    for (const { client } of this.members) client.close()
    await Promise.all(this.members.map((member) => member.stop('SIGKILL')))
    process.off('exit', this.#endWithUs)
    this.#endWithUs()
  }

  async #unrest(): Promise<{ readonly term: number; readonly changes: number }> {
    const statuses = await Promise.all(this.members.map((member) => member.status()))
    const changes = this.members
      .filter(({ hasStayed }) => hasStayed)
      .map((member) => member.metric('etcd_server_leader_changes_seen_total'))
    return {
      term: Math.max(...statuses.map((status) => Number(status?.raftTerm ?? 0n))),
      changes: Math.max(0, ...(await Promise.all(changes))),
    }
  }
}

/** Seconds until it is so, `Infinity` when it is not within that time. */
export async function until(isSo: () => Promise<boolean>, timeoutMs: number): Promise<number> {
  const startMs = performance.now()
  for (;;) {
    const isDone = await isSo()
    const tookMs = performance.now() - startMs
    if (isDone) return tookMs / 1000
    if (tookMs >= timeoutMs) return Infinity
    await delay(POLL_MS)
  }
}

export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  await work()
  return (performance.now() - startMs) / 1000
}
