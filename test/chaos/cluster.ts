/** Three members as processes, each behind its proxy, on a disk and a clock that obey; formed and changed by the admin API. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { createWriteStream, existsSync, readFileSync, type WriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ADMIN_PATHS, type AdminStatus, type MembershipRequest } from '../../lib/admin-api.ts'
import { eventually, freePort, MemberProcess, type AdminAnswer, type Exit } from '../members/member-process.ts'
import type { DiskEvent, DiskFaults } from './faulty-volume.ts'
import { NO_DISK_FAULTS } from './faulty-volume.ts'
import { Network } from './network.ts'
import { EVENTS_FILE, FIRST_ORDERS, type Order } from './orders.ts'

const CLUSTER_ID = 'c4a05'
/** A short log, so that who was away gets a snapshot. */
const FLAGS = [
  '--initial-cluster-state=wait',
  '--snapshot-count=200',
  '--snapshot-catchup-entries=100',
  '--watch-progress-notify-interval=500ms',
]
const STATUS_TIMEOUT_MS = 1000
/** For one step of a membership change under faults. */
const CHANGE_TIMEOUT_MS = 30_000

/** What may end a member's process without that being a bug. */
type Ending = 'kill' | 'stop' | 'disk'

/** One place in the cluster: whatever member has it, it is at the same addresses with the same name. */
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
    if (!isExpected) this.#onProblem(`${this.member.name} ended by itself with ${signal ?? code}: ${this.#lastWords()}`)
  }

  /** Why it ended, if it said so. */
  #lastWords(): string {
    const lines = this.#lastOutput.trimEnd().split('\n')
    return (lines.findLast((line) => line.includes('"level":"fatal"')) ?? lines.at(-1) ?? '').slice(0, 1000)
  }
}

interface PlaceParts {
  readonly eventsFile: string
  readonly log: WriteStream
  readonly onProblem: (problem: string) => void
}

export class Cluster {
  readonly network: Network
  readonly places: readonly Place[]
  #operations = 0
  /** A stopped process does not notice that nobody is left to end it. */
  readonly #endWithUs = (): void => {
    for (const place of this.places) void place.kill()
  }

  private constructor(network: Network, places: readonly Place[]) {
    this.network = network
    this.places = places
    process.once('exit', this.#endWithUs)
  }

  static async open(count: number, directory: string, onProblem: (problem: string) => void): Promise<Cluster> {
    const network = new Network(count)
    const places: Place[] = []
    for (let index = 0; index < count; index++) places.push(await Place.open(index, directory, network, onProblem))
    return new Cluster(network, places)
  }

  /** The first is told to be a cluster, the others are added to it as the operator does it. */
  async form(): Promise<void> {
    for (const place of this.places) place.start()
    const [first, ...others] = this.places
    assert.ok(first !== undefined)
    await Promise.all(this.places.map(({ member }) => member.answers('/livez')))
    const { code, body } = await first.member.post(ADMIN_PATHS.bootstrap, {
      operationId: 'form',
      clusterId: CLUSTER_ID,
      expectedConfigIndex: 0,
      member: asMember(first),
    })
    assert.equal(code, 200, JSON.stringify(body))
    this.#settle(first, body.memberId)
    await first.member.isReady()
    for (const place of others) await this.#add(place)
    await Promise.all(this.places.map(({ member }) => member.isReady()))
  }

  /** In each case a place, also when there is no leader. */
  async find(who: 'leader' | 'follower' | 'anyone', chosen: number): Promise<Place> {
    const leader = await this.leader()
    const candidates =
      who === 'anyone' || leader === undefined
        ? this.places
        : this.places.filter((place) => (place === leader) === (who === 'leader'))
    const place = candidates[chosen % candidates.length]
    assert.ok(place !== undefined)
    return place
  }

  /** The one of the highest term among those who say so. */
  async leader(): Promise<Place | undefined> {
    const statuses = await Promise.all(this.places.map((place) => place.status()))
    const terms = statuses.map((status) => (status?.role === 'leader' ? status.term : -1))
    const highest = Math.max(...terms)
    return highest < 0 ? undefined : this.places[terms.indexOf(highest)]
  }

  /** Ends the member there, has the cluster remove it, and adds another one in its place, with nothing on its disk. */
  async replace(place: Place): Promise<void> {
    await place.kill()
    const known = await eventually(
      'another member leads',
      async () => (await this.#leaderBeside(place)).status.members,
      CHANGE_TIMEOUT_MS,
    )
    const memberId = known.find(({ name }) => name === place.member.name)?.id
    assert.ok(memberId !== undefined, `${place.member.name} is a member`)
    await this.#change(place, (expectedConfigIndex, operationId) => {
      return { kind: 'remove', operationId, expectedConfigIndex, memberId }
    })
    await place.empty()
    place.start()
    await place.member.answers('/livez')
    await this.#add(place)
  }

  async transferLeader(to: Place): Promise<boolean> {
    const leader = await this.leader()
    const [status, target] = [await leader?.status(), await to.status()]
    if (leader === undefined || status === undefined || target === undefined) return false
    const operationId = this.#nextOperation()
    const request = { operationId, expectedConfigIndex: status.configIndex, memberId: target.memberId }
    const answer = await leader.member.post(ADMIN_PATHS.leaderTransfer, request).catch(() => undefined)
    return answer?.code === 200
  }

  async close(): Promise<void> {
    await Promise.all(this.places.map((place) => place.close()))
    process.off('exit', this.#endWithUs)
    await this.network.close()
  }

  async #add(place: Place): Promise<void> {
    const { memberId } = await this.#change(place, (expectedConfigIndex, operationId) => {
      return { kind: 'add-learner', operationId, expectedConfigIndex, member: asMember(place) }
    })
    assert.ok(memberId !== undefined)
    this.#settle(place, memberId)
    await eventually(`${place.member.name} joins`, () => this.#join(place, memberId), CHANGE_TIMEOUT_MS)
    await this.#change(place, (expectedConfigIndex, operationId) => {
      return { kind: 'promote', operationId, expectedConfigIndex, memberId }
    })
  }

  async #join(place: Place, memberId: string): Promise<void> {
    const asked = await this.#leaderBeside(place)
    const { configIndex, members } = asked.status
    const request = { operationId: `join ${memberId}`, clusterId: CLUSTER_ID, memberId }
    const joined = await place.member.post(ADMIN_PATHS.join, { ...request, expectedConfigIndex: configIndex, members })
    assert.equal(joined.code, 200, JSON.stringify(joined.body))
  }

  /** One intent, tried until it is carried out: what a caller of the admin API is to do. */
  #change(
    about: Place,
    request: (expectedConfigIndex: number, operationId: string) => MembershipRequest,
  ): Promise<AdminAnswer['body']> {
    const operationId = this.#nextOperation()
    return eventually(
      operationId,
      async () => {
        const { place, status } = await this.#leaderBeside(about)
        const body = request(status.configIndex, operationId)
        const answer = await place.member.post(ADMIN_PATHS.membership, body)
        assert.equal(answer.code, 200, `${body.kind} ${about.member.name}: ${JSON.stringify(answer.body)}`)
        return answer.body
      },
      CHANGE_TIMEOUT_MS,
    )
  }

  async #leaderBeside(other: Place): Promise<{ readonly place: Place; readonly status: AdminStatus }> {
    const place = await this.leader()
    const status = await place?.status()
    assert.ok(place !== undefined && place !== other && status !== undefined, 'another member leads')
    return { place, status }
  }

  #settle(place: Place, memberId: string | undefined): void {
    this.network.places.set(BigInt(`0x${memberId ?? ''}`), place.index)
  }

  #nextOperation(): string {
    this.#operations += 1
    return `chaos-${this.#operations}`
  }
}

function asMember({ member }: Place): { readonly name: string; readonly peerURLs: readonly string[] } {
  return { name: member.name, peerURLs: [member.peerURL] }
}
