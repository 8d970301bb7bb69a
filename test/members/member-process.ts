/**
 * Whole members as processes on loopback. A rig owns a temporary folder and every process started in it; closing it ends
 * them by their process IDs and removes the folder, also after a failed test.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ADMIN_PATHS,
  type AdminChange,
  type AdminError,
  type AdminStatus,
  type LeaderTransferResult,
} from '../../lib/admin-api.ts'
import { PATIENCE_MS } from '../../lib/testing/until.ts'
import { EtcdClient } from './etcd-client.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const MAIN = join(ROOT, 'node-server', 'main.ts')
/** Members start in two thirds of the time when Node finds the sources without their types. */
export const COMPILE_CACHE = join(ROOT, '.cache', 'compile')
const POLL_MS = 20
/** Elections short, still several times what a busy machine keeps a process waiting; and many members start at once. */
const TIMING = ['--heartbeat-interval=50', '--election-timeout=500', '--warm-up=false']

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly afterMs: number
}

export interface AdminAnswer {
  readonly code: number
  readonly body: Partial<AdminChange & LeaderTransferResult & AdminError>
}

export interface Ports {
  readonly client: number
  readonly peer: number
  readonly admin: number
}

/** What a member is started as, where it is not the plain program. */
export interface Launch {
  readonly main: string
  /** Where others find it, when that is not where it listens. */
  readonly advertisedPeerURL?: string
  /** Of every start; in it, besides, a channel for messages (`ipc`). */
  readonly environment: Readonly<Record<string, string>>
  /** Is handed what the processes write, instead of {@link MemberProcess.output} growing with it. */
  readonly note: (text: string) => void
}

/** One member: the same directory and addresses over all its starts. */
export class MemberProcess {
  readonly name: string
  readonly ports: Ports
  readonly dataDirectory: string
  readonly etcd: EtcdClient
  /** All that its processes wrote, to both streams. */
  output = ''
  #child: ChildProcess | undefined
  /** The process started last, also once it is over. */
  #latest: ChildProcess | undefined
  readonly #launch: Launch | undefined

  constructor(name: string, ports: Ports, dataDirectory: string, launch?: Launch) {
    this.#launch = launch
    this.name = name
    this.ports = ports
    this.dataDirectory = dataDirectory
    this.etcd = new EtcdClient(`127.0.0.1:${ports.client}`)
  }

  get isRunning(): boolean {
    return this.#child !== undefined
  }

  get listenPeerURL(): string {
    return `http://127.0.0.1:${this.ports.peer}`
  }

  /** As others know it. */
  get peerURL(): string {
    return this.#launch?.advertisedPeerURL ?? this.listenPeerURL
  }

  get clientURL(): string {
    return `http://127.0.0.1:${this.ports.client}`
  }

  get asFirstMember(): string {
    return `${this.name}=${this.peerURL}`
  }

  /** Starts the program and comes back at once. */
  spawn(flags: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
    assert.equal(this.#child, undefined, `${this.name} runs already`)
    const urls = [
      `--name=${this.name}`,
      `--data-dir=${this.dataDirectory}`,
      `--listen-client-urls=${this.clientURL}`,
      `--advertise-client-urls=${this.clientURL}`,
      `--listen-peer-urls=${this.listenPeerURL}`,
      `--initial-advertise-peer-urls=${this.peerURL}`,
      `--listen-admin-urls=http://127.0.0.1:${this.ports.admin}`,
    ]
    const launch = this.#launch
    const child: ChildProcess = spawn(process.execPath, [launch?.main ?? MAIN, ...urls, ...TIMING, ...flags], {
      env: { ...launch?.environment, ...environment, NODE_COMPILE_CACHE: COMPILE_CACHE },
      stdio: launch === undefined ? 'pipe' : ['pipe', 'pipe', 'pipe', 'ipc'],
    })
    const note = (chunk: Buffer): void => {
      if (launch === undefined) this.output += chunk.toString('utf8')
      else launch.note(chunk.toString('utf8'))
    }
    child.stdout?.on('data', note)
    child.stderr?.on('data', note)
    child.once('close', () => (this.#child = undefined))
    this.#child = child
    this.#latest = child
    return child
  }

  async start(flags: readonly string[]): Promise<void> {
    this.spawn(flags)
    await this.answers('/livez')
  }

  async isReady(): Promise<void> {
    await this.answers('/readyz')
  }

  async answers(path: string): Promise<void> {
    await eventually(`${this.name} answers ${path}`, async () => {
      assert.ok(this.#child !== undefined, `${this.name} has ended:\n${this.output.slice(-2000)}`)
      const response = await fetch(this.adminURL(path))
      assert.equal(response.status, 200, (await response.text()) + this.output.slice(-1000))
    })
  }

  /** How the process started last ended, or will; it may be over already. */
  async ended(): Promise<Exit> {
    const startMs = performance.now()
    if (this.#child !== undefined) {
      await once(this.#child, 'close', { signal: AbortSignal.timeout(PATIENCE_MS) })
    }
    const { exitCode = null, signalCode = null } = this.#latest ?? {}
    return { code: exitCode, signal: signalCode, afterMs: performance.now() - startMs }
  }

  /** Ends this process, no other, and waits until it is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<Exit> {
    const ended = signal === 'SIGSTOP' || signal === 'SIGCONT' ? undefined : this.ended()
    this.#child?.kill(signal)
    return (await ended) ?? { code: null, signal: null, afterMs: 0 }
  }

  async status(timeoutMs = PATIENCE_MS): Promise<AdminStatus> {
    const response = await fetch(this.adminURL(ADMIN_PATHS.status), { signal: AbortSignal.timeout(timeoutMs) })
    return (await response.json()) as AdminStatus
  }

  async post(path: string, body: unknown, token?: string): Promise<AdminAnswer> {
    const response = await fetch(this.adminURL(path), {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    })
    return { code: response.status, body: (await response.json()) as AdminAnswer['body'] }
  }

  adminURL(path: string): string {
    return `http://127.0.0.1:${this.ports.admin}${path}`
  }

  async close(): Promise<void> {
    this.etcd.close()
    await this.kill('SIGKILL')
  }
}

export class Rig {
  readonly directory: string
  readonly members: MemberProcess[] = []
  readonly #endWithUs = (): void => {
    for (const member of this.members) void member.kill('SIGKILL')
  }

  private constructor(directory: string) {
    this.directory = directory
    process.once('exit', this.#endWithUs)
  }

  static async open(): Promise<Rig> {
    return new Rig(await mkdtemp(join(tmpdir(), 'raftkv-members-')))
  }

  async member(name: string, directory = name): Promise<MemberProcess> {
    const ports = { client: await freePort(), peer: await freePort(), admin: await freePort() }
    const member = new MemberProcess(name, ports, join(this.directory, directory))
    this.members.push(member)
    return member
  }

  /** Members of a cluster by etcd's static flags, running and with a leader. */
  async cluster(names: readonly string[], flags: readonly string[] = []): Promise<Cluster> {
    const members: MemberProcess[] = []
    for (const name of names) members.push(await this.member(name))
    const all = [`--initial-cluster=${members.map((member) => member.asFirstMember).join(',')}`, ...flags]
    await Promise.all(members.map((member) => member.start(all)))
    await Promise.all(members.map((member) => member.isReady()))
    return { members, flags: all }
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map((member) => member.close()))
    process.off('exit', this.#endWithUs)
    await rm(this.directory, { recursive: true, force: true })
  }
}

export interface Cluster {
  readonly members: readonly MemberProcess[]
  readonly flags: readonly string[]
}

/** The member that leads, by the word of those asked: `others` are the rest of them. */
export async function leaderOf(
  members: readonly MemberProcess[],
): Promise<{ leader: MemberProcess; others: readonly MemberProcess[] }> {
  let found: MemberProcess | undefined
  await eventually('there is a leader', async () => {
    const roles = await Promise.all(members.map(async (member) => (await member.status()).role))
    found = members[roles.indexOf('leader')]
    assert.ok(found !== undefined, roles.join())
  })
  const leader = found
  assert.ok(leader !== undefined)
  return { leader, others: members.filter((member) => member !== leader) }
}

/**
 * Adds the member through etcd's API, which takes no change before all have been connected for 5 s, and returns its ID. Where
 * the answer to an attempt was lost, the next one finds it done.
 */
export function add(asked: MemberProcess, joiner: MemberProcess, isLearner = false): Promise<bigint> {
  return eventually(`${joiner.name} is added`, async () => {
    const { members } = await asked.etcd.addMember(joiner.peerURL, isLearner).catch((error: unknown) => {
      if (String(error).includes('Peer URLs already exists')) return asked.etcd.members()
      throw error
    })
    const added = members.find(({ peerURLs }) => peerURLs.includes(joiner.peerURL))
    assert.ok(added !== undefined)
    return added.ID
  })
}

/** Tries again until `attempt` does not throw; the last failure is told when time is up. */
export async function eventually<Value>(
  what: string,
  attempt: () => Promise<Value>,
  timeoutMs = PATIENCE_MS,
): Promise<Value> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    try {
      return await attempt()
    } catch (cause) {
      if (performance.now() >= deadlineMs) throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause })
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Below the range from which systems take ports for outgoing connections. */
const FIRST_PORT = 10_000
const BLOCKS = 200
const PORTS_OF_BLOCK = 100
/** Of that range, what `fetch` refuses to speak to whatever listens there (WHATWG Fetch, bad ports). */
const REFUSED_BY_FETCH: ReadonlySet<number> = new Set([10_080])
let nextBlock = process.pid % BLOCKS
let ports: Iterator<number> | undefined

/** Nobody listens there, and no other test process takes it, be it until its member starts or while it is down. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < BLOCKS * PORTS_OF_BLOCK; tries++) {
    ports ??= await claimBlock()
    const { value: port, done } = ports.next()
    if (done === true) ports = undefined
    else if (!REFUSED_BY_FETCH.has(port) && (await release(await listen(port)))) return port
  }
  throw new Error('no free port on loopback')
}

/** A block is that of the process which listens on its first port, until its end. */
async function claimBlock(): Promise<Iterator<number>> {
  for (let tries = 0; tries < BLOCKS; tries++) {
    const first = FIRST_PORT + (nextBlock++ % BLOCKS) * PORTS_OF_BLOCK
    const claim = await listen(first)
    if (claim === undefined) continue
    claim.unref()
    return Array.from({ length: PORTS_OF_BLOCK - 1 }, (_, i) => first + 1 + i).values()
  }
  throw new Error('other processes have all ports for tests')
}

/** Undefined: somebody else listens there. */
function listen(port: number): Promise<Server | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

async function release(server: Server | undefined): Promise<boolean> {
  if (server === undefined) return false
  await new Promise((resolve) => server.close(resolve))
  return true
}
