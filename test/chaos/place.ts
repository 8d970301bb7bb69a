/** One member's place: its processes, one after the other, with the disk and the clock that they are given. */
import type { ChildProcess } from 'node:child_process'
import { createWriteStream, existsSync, readFileSync, type WriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AdminStatus } from '../../lib/admin-api.ts'
import { freePort, MemberProcess, type Exit } from '../members/member-process.ts'
import { NO_DISK_FAULTS, type DiskEvent, type DiskFaults } from './faulty-volume.ts'
import type { Network } from './network.ts'
import { EVENTS_FILE, FIRST_ORDERS, type Order } from './orders.ts'

/** A short log, so that who was away gets a snapshot. */
const FLAGS = [
  '--initial-cluster-state=wait',
  '--snapshot-count=200',
  '--snapshot-catchup-entries=100',
  '--watch-progress-notify-interval=500ms',
]
const STATUS_TIMEOUT_MS = 1000

/** What may end a member's process without that being a bug. */
type Ending = 'kill' | 'stop' | 'disk'

/** Whatever member has it, it is at the same addresses with the same name. */
export class Place {
  readonly index: number
  readonly member: MemberProcess
  readonly #eventsFile: string
  readonly #log: WriteStream
  readonly #onProblem: (problem: string) => void
  readonly #expected = new Set<Ending>()
  #child: ChildProcess | undefined
  #disk: DiskFaults = { ...NO_DISK_FAULTS }
  #clockRate = 1
  #lastOutput = ''
  #isPaused = false

  private constructor(index: number, member: MemberProcess, parts: PlaceParts) {
    this.index = index
    this.member = member
    this.#eventsFile = parts.eventsFile
    this.#log = parts.log
    this.#onProblem = parts.onProblem
  }

  static async open(index: number, directory: string, network: Network, onProblem: PlaceParts['onProblem']) {
    const name = `m${index}`
    const eventsFile = join(directory, `${name}.disk-events`)
    const log = createWriteStream(join(directory, `${name}.log`), { flags: 'a' })
    const ports = { client: await freePort(), peer: await freePort(), admin: await freePort() }
    const parts = { eventsFile, log, onProblem }
    const place: Place = new Place(
      index,
      new MemberProcess(name, ports, join(directory, name), {
        main: join(import.meta.dirname, 'faulty-member.ts'),
        advertisedPeerURL: `http://127.0.0.1:${await network.listen(index, ports.peer)}`,
        environment: { [EVENTS_FILE]: eventsFile },
        note: (text) => place.#note(text),
      }),
      parts,
    )
    return place
  }

  /** Not if it runs. */
  start(): void {
    if (this.member.isRunning) return
    this.#expected.clear()
    this.#isPaused = false
    const orders: readonly Order[] = [
      { kind: 'disk', faults: { ...this.#disk, failNext: 'nothing' } },
      { kind: 'clock', wallJumpMs: 0, leapMs: 0, rate: this.#clockRate },
    ]
    if (this.#disk.isFull) this.#expected.add('disk')
    const child = this.member.spawn(FLAGS, { [FIRST_ORDERS]: JSON.stringify(orders) })
    this.#child = child
    child.once('close', (code, signal) => this.#onEnd(code, signal))
    // What is sent to a process that is about to end does not arrive, and need not.
    child.on('error', () => undefined)
  }

  kill(): Promise<Exit> {
    this.#expected.add('kill')
    return this.member.kill('SIGKILL')
  }

  /** By SIGTERM. Rejects when it takes longer than a stop may. */
  stop(): Promise<Exit> {
    this.#expected.add('stop')
    return this.member.kill('SIGTERM')
  }

  /** False when it does not run, or is to stop. */
  async pause(): Promise<boolean> {
    if (!this.member.isRunning || this.#expected.has('stop')) return false
    this.#isPaused = true
    await this.member.kill('SIGSTOP')
    return true
  }

  async resume(): Promise<void> {
    this.#isPaused = false
    await this.member.kill('SIGCONT')
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  setDisk(faults: Partial<DiskFaults>): void {
    this.#disk = { ...this.#disk, ...faults }
    if (this.#disk.isFull || this.#disk.failNext !== 'nothing') this.#expected.add('disk')
    this.#send({ kind: 'disk', faults })
  }

  losePower(seed: number): void {
    this.#expected.add('kill')
    this.#send({ kind: 'lose-power', seed })
  }

  setClock(wallJumpMs: number, leapMs: number, rate: number): void {
    this.#clockRate = rate
    this.#send({ kind: 'clock', wallJumpMs, leapMs, rate })
  }

  /** Disk faults that struck so far in this place. */
  struck(event: DiskEvent): number {
    return this.#events().filter(([, name]) => name === event).length
  }

  /** Whether the process that runs has been told by its disk that a write or a sync failed: it must end. */
  hasFailedDisk(): boolean {
    const id = String(this.#child?.pid)
    return this.member.isRunning && this.#events().some(([of, name]) => of === id && name !== 'slow')
  }

  /** A sync that has failed is not tried again: rejects when the process goes on. */
  async endsByItself(): Promise<void> {
    await this.member.ended().catch((cause: unknown) => {
      throw new Error(`${this.member.name} goes on after its disk has failed`, { cause })
    })
  }

  #events(): readonly (readonly string[])[] {
    if (!existsSync(this.#eventsFile)) return []
    return readFileSync(this.#eventsFile, 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
  }

  async empty(): Promise<void> {
    await rm(this.member.dataDirectory, { recursive: true, force: true })
  }

  /** Undefined when it does not answer in time. */
  async status(): Promise<AdminStatus | undefined> {
    if (!this.member.isRunning) return undefined
    return this.member.status(STATUS_TIMEOUT_MS).catch(() => undefined)
  }

  async close(): Promise<void> {
    this.#expected.add('kill')
    await this.member.close()
    await new Promise((resolve) => this.#log.end(resolve))
  }

  #send(order: Order): void {
    if (this.#child?.connected === true) this.#child.send([order], () => undefined)
  }

  #note(text: string): void {
    this.#log.write(text)
    this.#lastOutput = (this.#lastOutput + text).slice(-4000)
  }

  #onEnd(code: number | null, signal: NodeJS.Signals | null): void {
    const isExpected =
      (signal === 'SIGKILL' && this.#expected.has('kill')) ||
      // By the signal itself when it comes before the program has begun to listen for it.
      ((code === 0 || signal === 'SIGTERM') && this.#expected.has('stop')) ||
      (code === 1 && this.#expected.has('disk'))
    this.#log.write(`-- ended with ${signal ?? code}${isExpected ? '' : ': NOT EXPECTED'}\n`)
    if (!isExpected) this.#onProblem(`${this.member.name} ended by itself with ${signal ?? code}: ${this.#lastLine()}`)
  }

  /** Why it ended, if it said so. */
  #lastLine(): string {
    const lines = this.#lastOutput.trimEnd().split('\n')
    return (lines.findLast((line) => line.includes('"level":"fatal"')) ?? lines.at(-1) ?? '').slice(0, 1000)
  }
}

interface PlaceParts {
  readonly eventsFile: string
  readonly log: WriteStream
  readonly onProblem: (problem: string) => void
}
