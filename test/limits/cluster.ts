/**
 * Three members as processes on loopback with etcd's default timing, told and asked by etcd's flags, API and metrics alone, so
 * that ours and etcd's are started and measured in the same way. A cluster owns a temporary folder and its processes. Linux
 * only: /proc.
 */
import { execFileSync, type ChildProcess } from 'node:child_process'
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

/** Of every member. */
export interface Setup {
  readonly flags?: readonly string[]
  /** Clients and peers by TLS; metrics without. */
  readonly isTls?: boolean
  /** What its data directory is on, which needs root; the machine's disk without it. */
  readonly volumeSizeBytes?: number
}

export interface Program {
  readonly name: 'ours' | 'etcd'
  readonly command: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

export interface Memory {
  /** No other process can share it, and nothing but swap can take it away. */
  readonly anonymous: number
  /** Pages of files: programs, libraries, and what a database maps. The kernel takes them back when it needs room. */
  readonly ofFiles: number
  /** The most that was resident at once since the start, both together. */
  readonly peak: number
}

const NAMES = ['m0', 'm1', 'm2'] as const
const MAX_CONNECTIONS = 64
const LEADER_TIMEOUT_MS = 30_000
const CATCH_UP_TIMEOUT_MS = 120_000
const ASK_TIMEOUT_MS = 1000
const METRICS_TIMEOUT_MS = 30_000
const LAST_WORDS_CHARACTERS = 2000
const POLL_MS = 20
const CLOCK_TICKS_PER_SECOND = 100

export class Member {
  readonly name: string
  readonly address: string
  readonly client: MemberClient
  readonly #program: Program
  readonly #flags: readonly string[]
  readonly #folder: string
  readonly #logPath: string
  readonly #metricsURL: string
  #process: ChildProcess | undefined
  /** Nobody has stopped it: its counters have counted from the start of the cluster on. */
  hasStayed = true
  hasEndedItself = false

  constructor(program: Program, place: Place, flags: readonly string[], folder: string, caFile?: string) {
    this.name = place.name
    this.address = `127.0.0.1:${place.clientPort}`
    this.client = new MemberClient(this.address, caFile)
    this.#metricsURL = `http://127.0.0.1:${place.metricsPort ?? place.clientPort}/metrics`
    this.#logPath = join(folder, `${place.name}.log`)
    this.#program = program
    this.#flags = flags
    this.#folder = folder
  }

  get isRunning(): boolean {
    return this.#process !== undefined
  }

  get pid(): number {
    if (this.#process?.pid === undefined) throw new Error(`${this.name} does not run`)
    return this.#process.pid
  }

  start(): void {
    const { command, environment } = this.#program
    const child = daemon([...command, ...this.#flags], this.#logPath, this.#folder, environment)
    child.once('exit', () => {
      if (this.#process !== child) return
      this.#process = undefined
      this.hasEndedItself = true
    })
    this.#process = child
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (child === undefined) return
    this.#process = undefined
    this.hasStayed = false
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
    const [, value] = new RegExp(`^${name} (.*)$`, 'm').exec(await this.metrics()) ?? []
    if (value === undefined) throw new Error(`${this.name} has no metric ${name}`)
    return Number(value)
  }

  /** The page that Prometheus reads. */
  async metrics(): Promise<string> {
    const answer = await fetch(this.#metricsURL, { signal: AbortSignal.timeout(METRICS_TIMEOUT_MS) })
    return answer.text()
  }

  /** Of its process, since that started. */
  cpuSeconds(): number {
    const stat = this.#proc('stat')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND
  }

  /** In megabytes. */
  memory(): Memory {
    const status = this.#proc('status')
    const megabytes = (field: string): number => {
      const [, kibibytes = '0'] = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status) ?? []
      return (Number(kibibytes) * 1024) / 1_000_000
    }
    return {
      anonymous: megabytes('RssAnon'),
      ofFiles: megabytes('RssFile') + megabytes('RssShmem'),
      peak: megabytes('VmHWM'),
    }
  }

  /** Of its program, over all starts. */
  log(): string {
    return readFileSync(this.#logPath, 'utf8')
  }

  #proc(file: string): string {
    return readFileSync(`/proc/${this.pid}/${file}`, 'utf8')
  }
}

interface Place {
  readonly name: string
  readonly clientPort: number
  /** Its own only where clients need TLS. */
  readonly metricsPort?: number
  readonly peerURL: string
}

function flagsOf(place: Place, all: readonly Place[], folder: string, tls: Tls | undefined): readonly string[] {
  const { name, clientPort, metricsPort, peerURL } = place
  const clientURL = `${schemeOf(tls)}://127.0.0.1:${clientPort}`
  return [
    `--name=${name}`,
    `--data-dir=${join(folder, name)}`,
    `--listen-client-urls=${clientURL}`,
    `--advertise-client-urls=${clientURL}`,
    `--listen-peer-urls=${peerURL}`,
    `--initial-advertise-peer-urls=${peerURL}`,
    `--initial-cluster=${all.map((place) => `${place.name}=${place.peerURL}`).join(',')}`,
    '--log-level=info',
    ...(tls === undefined ? [] : tls.flags),
    ...(metricsPort === undefined ? [] : [`--listen-metrics-urls=http://127.0.0.1:${metricsPort}`]),
  ]
}

interface Tls {
  readonly caFile: string
  readonly flags: readonly string[]
}

const schemeOf = (tls: Tls | undefined): string => (tls === undefined ? 'http' : 'https')

/** One certificate for all members, as clients and as servers. */
async function makeTls(folder: string): Promise<Tls> {
  const { makeAuthority } = await import('../../node-server/tls/testing/authority.ts') // half a second to load
  const authority = await makeAuthority(folder)
  const { certFile, keyFile } = await authority.issue('member', { hosts: ['127.0.0.1', 'localhost'] })
  const files = (side: string): readonly string[] => [`--${side}cert-file=${certFile}`, `--${side}key-file=${keyFile}`]
  const flags = [...files(''), ...files('peer-'), `--peer-trusted-ca-file=${authority.caFile}`]
  return { caFile: authority.caFile, flags: [...flags, '--peer-client-cert-auth'] }
}

export class Cluster {
  readonly members: readonly Member[]
  /** Whom its clients trust; undefined where there is no TLS. */
  readonly caFile: string | undefined
  readonly #folder: string
  /** Where members have volumes of their own. */
  readonly #volumes: string[] = []
  readonly #connections: MemberClient[] = []
  #before: { readonly term: number; readonly changes: number } = { term: 0, changes: 0 }
  /** Once told to end, a process may still write for a moment. */
  readonly #endWithUs = (): void => {
    for (const member of this.members) void member.stop('SIGKILL')
    // Lazily: a process that was told to end may still use it.
    for (const path of this.#volumes) execFileSync('umount', ['--lazy', path])
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  }

  private constructor(members: readonly Member[], folder: string, caFile: string | undefined) {
    this.members = members
    this.caFile = caFile
    this.#folder = folder
    process.once('exit', this.#endWithUs)
  }

  /** Of the program, with a leader. */
  static async start(program: Program, { flags = [], volumeSizeBytes, isTls = false }: Setup): Promise<Cluster> {
    const folder = mkdtempSync(join(tmpdir(), 'raftkv-limits-'))
    const tls = isTls ? await makeTls(folder) : undefined
    const places: Place[] = []
    for (const name of NAMES)
      places.push({
        name,
        clientPort: await freePort(),
        peerURL: `${schemeOf(tls)}://127.0.0.1:${await freePort()}`,
        ...(tls === undefined ? {} : { metricsPort: await freePort() }),
      })
    const members = places.map((place) => {
      const own = flagsOf(place, places, folder, tls)
      return new Member(program, place, [...own, ...flags], folder, tls?.caFile)
    })
    const cluster = new Cluster(members, folder, tls?.caFile)
    try {
      if (volumeSizeBytes !== undefined)
        for (const { name } of members) cluster.#mount(join(folder, name), volumeSizeBytes)
      for (const member of members) member.start()
      for (const member of members)
        await until(async () => ((await member.status())?.leader ?? 0n) !== 0n, LEADER_TIMEOUT_MS)
      await cluster.leader()
      cluster.#before = await cluster.#unrest()
    } catch (cause) {
      const words = cluster.lastOutput()
      await cluster.close()
      throw new Error(`the cluster does not start${words}`, { cause })
    }
    return cluster
  }

  async leader(): Promise<Member> {
    let found: Member | undefined
    await until(async () => {
      for (const member of this.members) {
        const status = await member.status()
        if (status !== undefined && status.header?.memberId === status.leader) found = member
      }
      return found !== undefined
    }, LEADER_TIMEOUT_MS)
    if (found === undefined) throw new Error(`no leader within ${LEADER_TIMEOUT_MS / 1000} s`)
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
    const client = new MemberClient(member.address, this.caFile)
    this.#connections.push(client)
    return client
  }

  /** Elections since the start, or how often a member has seen a leader come, whichever is more. */
  async elections(): Promise<number> {
    const { term, changes } = await this.#unrest()
    return Math.max(term - this.#before.term, changes - this.#before.changes)
  }

  /** What the members wrote last that ended though nobody stopped them; empty when there is none. */
  lastOutput(): string {
    const ended = this.members.filter(({ hasEndedItself }) => hasEndedItself)
    return ended.map((member) => `\n${member.name} has ended:\n${member.log().slice(-LAST_WORDS_CHARACTERS)}`).join('')
  }

  async close(): Promise<void> {
    for (const client of this.#connections) client.close()
    for (const { client } of this.members) client.close()
    await Promise.all(this.members.map((member) => member.stop('SIGKILL')))
    process.off('exit', this.#endWithUs)
    this.#endWithUs()
  }

  /** In memory: all that matters of it is when it is full. */
  #mount(path: string, sizeBytes: number): void {
    mkdirSync(path)
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes},mode=0700`, 'raftkv-limits', path])
    this.#volumes.push(path)
  }

  async #unrest(): Promise<{ readonly term: number; readonly changes: number }> {
    const statuses = await Promise.all(this.members.map((member) => member.status()))
    const changes = this.members
      .filter(({ hasStayed, isRunning }) => hasStayed && isRunning)
      .map((member) => member.metric('etcd_server_leader_changes_seen_total'))
    return {
      term: Math.max(...statuses.map((status) => Number(status?.raftTerm ?? 0n))),
      changes: Math.max(0, ...(await Promise.all(changes))),
    }
  }
}

/**
 * Seconds until the follower has applied what the leader has. While writes go on that moves: then caught up is who is no
 * further behind than what is on its way anyway.
 */
export function untilCaughtUp(follower: Member, leader: Member, onItsWay = 0n): Promise<number> {
  return until(async () => {
    const goal = (await leader.status())?.raftAppliedIndex
    const applied = (await follower.status())?.raftAppliedIndex
    return goal !== undefined && applied !== undefined && applied + onItsWay >= goal
  }, CATCH_UP_TIMEOUT_MS)
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
