/**
 * Carries out the plan. A fault strikes for its time; then everything is made whole again, and the cluster must be too. Each
 * counts only when it did something: a partition that held no bytes, a disk error that no write met, struck nobody.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from './cluster.ts'
import type { Link } from './network.ts'
import type { Place } from './place.ts'
import type { Fault, FaultKind } from './plan.ts'

const POLL_MS = 50
const READY_TIMEOUT_MS = 10_000
/** A disk that is about to lose power is slow, so that there is something to lose. */
const BEFORE_POWER_LOSS = { syncDelayMs: 60, forMs: 250 }
/** How soon a member whose process ended by a full disk is started again. */
const RESTART_MS = 300
const TRANSFERS = 3
/** A store is committed about once a second, if it has changed. */
const DISK_ERROR_MS = 4000

export type Note = (text: string) => void

export class Nemesis {
  readonly #cluster: Cluster
  readonly #note: Note
  readonly struck = new Map<FaultKind, number>()

  constructor(cluster: Cluster, note: Note) {
    this.#cluster = cluster
    this.#note = note
  }

  /**
   * Resolves when everything is whole again: all processes started, not yet ready. Returns the faults that met nothing,
   * such as a partition of a member that another fault had ended.
   */
  async carryOut(faults: readonly Fault[]): Promise<readonly Fault[]> {
    try {
      const struck = await Promise.all(faults.map((fault) => this.#strike(fault)))
      return faults.filter((_, index) => struck[index] === 0)
    } finally {
      await this.heal()
    }
  }

  async heal(): Promise<void> {
    const { network, places } = this.#cluster
    network.heal()
    for (const place of places) {
      place.setDisk({ syncDelayMs: 0, isFull: false, failNext: 'nothing' })
      place.setClock(0, 0, 1)
      await place.resume()
      if (place.hasFailedDisk()) await place.endsByItself()
      place.start()
    }
  }

  async #strike(fault: Fault): Promise<number> {
    await sleep(fault.startMs)
    const place = await this.#cluster.find(fault.victim, fault.choice)
    this.#note(`${JSON.stringify(fault)} strikes ${place.member.name}`)
    const times = await this.#faults(fault, place)
    if (times > 0) this.struck.set(fault.kind, (this.struck.get(fault.kind) ?? 0) + 1)
    else this.#note(`${fault.kind} has met nothing`)
    return times
  }

  /** Returns how often it struck. */
  #faults(fault: Fault, place: Place): Promise<number> {
    switch (fault.kind) {
      case 'kill':
        return this.#kill([place], fault)
      case 'kill-all':
        return this.#kill(this.#cluster.places, fault)
      case 'power-loss':
        return this.#losePower([place], fault.seed, fault)
      case 'power-loss-everywhere':
        return this.#losePower(this.#cluster.places, fault.seed, fault)
      case 'stop':
        return this.#pause(place, fault)
      case 'partition':
        return this.#onLinks([...this.#to(place), ...this.#from(place)], fault, (link) => link.cut())
      case 'one-way-partition':
        return this.#onLinks(fault.way === 'deaf' ? this.#to(place) : this.#from(place), fault, (link) => link.cut())
      case 'slow-link':
        return this.#onLinks(this.#from(place), fault, (link) => (link.delayMs = fault.delayMs))
      case 'corrupt-link':
        return this.#onLinks([...this.#to(place), ...this.#from(place)], fault, (link) => (link.corruptions = 2))
      case 'reset':
        return this.#reset(place, fault.everyMs, fault)
      case 'half-open':
        return this.#halfOpen(place, fault)
      default:
        return this.#otherFaults(fault, place)
    }
  }

  #otherFaults(
    fault: Extract<
      Fault,
      {
        kind:
          | 'slow-disk'
          | 'disk-error'
          | 'disk-full'
          | 'clock-jump'
          | 'clock-drift'
          | 'replace'
          | 'rolling-restart'
          | 'transfer'
      }
    >,
    place: Place,
  ): Promise<number> {
    switch (fault.kind) {
      case 'slow-disk':
        return this.#slowDisk(place, fault.syncDelayMs, fault)
      case 'disk-error':
        return this.#failDisk(place, fault.where, fault)
      case 'disk-full':
        return this.#fillDisk(place, fault)
      case 'clock-jump':
        return this.#turnClock(place, [fault.wallJumpMs, fault.leapMs, 1], fault)
      case 'clock-drift':
        return this.#turnClock(place, [0, 0, fault.rate], fault)
      case 'replace':
        return this.#replace(place)
      case 'rolling-restart':
        return this.#restartAll()
      case 'transfer':
        return this.#transfer(fault)
      default:
        return fault satisfies never
    }
  }

  async #kill(places: readonly Place[], { durationMs }: Fault): Promise<number> {
    const running = places.filter(({ member }) => member.isRunning)
    await Promise.all(running.map((place) => place.kill()))
    await sleep(durationMs)
    for (const place of places) place.start()
    return running.length
  }

  async #losePower(places: readonly Place[], seed: number, { durationMs }: Fault): Promise<number> {
    for (const place of places) place.setDisk({ syncDelayMs: BEFORE_POWER_LOSS.syncDelayMs })
    await sleep(BEFORE_POWER_LOSS.forMs)
    const running = places.filter(({ member }) => member.isRunning)
    const ended = Promise.all(running.map(({ member }) => member.ended()))
    for (const place of running) {
      place.losePower(seed + place.index)
      await place.resume() // one that is stopped would not obey
    }
    await ended
    for (const place of places) place.setDisk({ syncDelayMs: 0 })
    await sleep(durationMs)
    for (const place of places) place.start()
    return running.length
  }

  async #pause(place: Place, { durationMs }: Fault): Promise<number> {
    if (!(await place.pause())) return 0
    await sleep(durationMs)
    await place.resume()
    return 1
  }

  async #onLinks(links: readonly Link[], { durationMs }: Fault, act: (link: Link) => void): Promise<number> {
    const struck = (): number => links.reduce((sum, link) => sum + link.struck, 0)
    const before = struck()
    for (const link of links) act(link)
    await sleep(durationMs)
    const times = struck() - before
    for (const link of links) link.heal()
    return times
  }

  async #reset(place: Place, everyMs: number, { durationMs }: Fault): Promise<number> {
    let times = 0
    for (const endMs = performance.now() + durationMs; performance.now() < endMs; await sleep(everyMs))
      for (const other of this.#others(place)) times += this.#cluster.network.reset(place.index, other.index)
    return times
  }

  async #halfOpen(place: Place, { durationMs }: Fault): Promise<number> {
    let times = 0
    for (const other of this.#others(place)) times += this.#cluster.network.halfOpen(place.index, other.index)
    await sleep(durationMs)
    return times
  }

  async #slowDisk(place: Place, syncDelayMs: number, { durationMs }: Fault): Promise<number> {
    const before = place.struck('slow')
    place.setDisk({ syncDelayMs })
    await sleep(durationMs)
    place.setDisk({ syncDelayMs: 0 })
    return place.struck('slow') - before
  }

  async #failDisk(place: Place, where: 'log' | 'store', { durationMs }: Fault): Promise<number> {
    const before = place.struck('failed')
    place.setDisk({ failNext: where })
    const [endMs, lastMs] = [performance.now() + durationMs, performance.now() + DISK_ERROR_MS]
    while (performance.now() < lastMs && place.struck('failed') === before) await sleep(POLL_MS)
    place.setDisk({ failNext: 'nothing' })
    await sleep(Math.max(0, endMs - performance.now()))
    place.start()
    return place.struck('failed') - before
  }

  /** Started again and again, as a supervisor does it; it runs on once there is space. */
  async #fillDisk(place: Place, { durationMs }: Fault): Promise<number> {
    const before = place.struck('full')
    place.setDisk({ isFull: true })
    for (const endMs = performance.now() + durationMs; performance.now() < endMs; await sleep(RESTART_MS)) place.start()
    place.setDisk({ isFull: false })
    return place.struck('full') - before
  }

  async #turnClock(place: Place, turn: readonly [number, number, number], { durationMs }: Fault): Promise<number> {
    const [wallJumpMs, leapMs, rate] = turn
    if (!place.member.isRunning) return 0
    place.setClock(wallJumpMs, leapMs, rate)
    await sleep(durationMs)
    place.setClock(-wallJumpMs, 0, 1)
    return 1
  }

  async #replace(place: Place): Promise<number> {
    await this.#cluster.replace(place)
    return 1
  }

  async #restartAll(): Promise<number> {
    let times = 0
    for (const place of this.#cluster.places) {
      while (place.isPaused) await sleep(POLL_MS)
      if (!place.member.isRunning) continue
      await place.stop()
      place.start()
      times += 1
      await this.#isReady(place)
    }
    return times
  }

  /** Or not, while something else is wrong with it or with the others. */
  async #isReady(place: Place): Promise<void> {
    for (const endMs = performance.now() + READY_TIMEOUT_MS; performance.now() < endMs; await sleep(POLL_MS)) {
      const status = await place.status()
      if (status !== undefined && status.leader !== '') return
    }
  }

  async #transfer({ choice, durationMs }: Fault): Promise<number> {
    let times = 0
    for (let turn = 0; turn < TRANSFERS; turn++) {
      const to = await this.#cluster.find('follower', choice + turn)
      if (await this.#cluster.transferLeader(to)) times += 1
      await sleep(durationMs / TRANSFERS)
    }
    return times
  }

  #others(place: Place): readonly Place[] {
    return this.#cluster.places.filter((other) => other !== place)
  }

  #to(place: Place): readonly Link[] {
    return this.#others(place).map((other) => this.#cluster.network.link(other.index, place.index))
  }

  #from(place: Place): readonly Link[] {
    return this.#others(place).map((other) => this.#cluster.network.link(place.index, other.index))
  }
}
