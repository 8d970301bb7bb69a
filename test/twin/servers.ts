/** Starts and ends the twins: a real etcd and one member of ours, each alone, on fresh data directories and loopback ports. */
import { once } from 'node:events'
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { daemon } from '../e2e/process.ts'
import { eventually, freePort, Rig, type MemberProcess } from '../members/member-process.ts'
import { STATUS } from './methods.ts'
import { Side } from './side.ts'

/** The same for both: the shortest lease depends on it. MemberProcess gives these to ours. */
const TIMING = ['--heartbeat-interval=50', '--election-timeout=500']
const CHEAP_PASSWORDS = ['--bcrypt-cost=4']
const STOP_TIMEOUT_MS = 10_000

export class Servers {
  readonly etcd: Side
  readonly ours: Side
  readonly #rig: Rig
  readonly #etcdProcess: ChildProcess
  readonly #member: MemberProcess
  readonly #etcdLog: string

  private constructor(rig: Rig, member: MemberProcess, etcdProcess: ChildProcess, etcdPort: number, etcdLog: string) {
    this.#rig = rig
    this.#member = member
    this.#etcdProcess = etcdProcess
    this.#etcdLog = etcdLog
    this.etcd = new Side('etcd', etcdPort)
    this.ours = new Side('ours', member.ports.client)
  }

  /** `program`: path of etcd. */
  static async start(program: string): Promise<Servers> {
    const rig = await Rig.open()
    const clientPort = await freePort()
    const peerURL = `http://127.0.0.1:${await freePort()}`
    const clientURL = `http://127.0.0.1:${clientPort}`
    const dataDirectory = join(rig.directory, 'etcd')
    mkdirSync(dataDirectory, { mode: 0o700 })
    const log = join(rig.directory, 'etcd.log')
    const etcd = daemon(
      [
        program,
        '--name=twin',
        `--data-dir=${dataDirectory}`,
        `--listen-client-urls=${clientURL}`,
        `--advertise-client-urls=${clientURL}`,
        `--listen-peer-urls=${peerURL}`,
        `--initial-advertise-peer-urls=${peerURL}`,
        `--initial-cluster=twin=${peerURL}`,
        '--log-level=warn',
        ...CHEAP_PASSWORDS,
        ...TIMING,
      ],
      log,
      rig.directory,
    )
    const member = await rig.member('twin', 'ours')
    const servers = new Servers(rig, member, etcd, clientPort, log)
    try {
      await Promise.all([
        member.start([`--initial-cluster=${member.asFirstMember}`, ...CHEAP_PASSWORDS]).then(() => member.isReady()),
        eventually('etcd has a leader', () => servers.#hasLeader()),
      ])
    } catch (error) {
      await servers.close()
      throw error
    }
    return servers
  }

  async #hasLeader(): Promise<void> {
    const status = await this.etcd.unary(STATUS.path, new Uint8Array())
    if (status.kind === 'answer' && STATUS.response.decode(status.value).leader !== 0n) return
    throw new Error(`etcd does not lead yet:\n${readFileSync(this.#etcdLog, 'utf8').slice(-2000)}`)
  }

  /** What both wrote last: for a failure that the answers do not explain. */
  logs(): string {
    const last = (text: string): string => text.trimEnd().split('\n').slice(-5).join('\n')
    return `etcd:\n${last(readFileSync(this.#etcdLog, 'utf8'))}\nours:\n${last(this.#member.output)}`
  }

  async close(): Promise<void> {
    this.etcd.close()
    this.ours.close()
    const isRunning = this.#etcdProcess.exitCode === null && this.#etcdProcess.signalCode === null
    const ended = isRunning
      ? once(this.#etcdProcess, 'exit', { signal: AbortSignal.timeout(STOP_TIMEOUT_MS) })
      : undefined
    this.#etcdProcess.kill('SIGKILL')
    await ended
    await this.#rig.close()
  }
}
