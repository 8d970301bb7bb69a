/** What goes wrong, and what people do meanwhile: every few moments one of many things, by the seed. */
import { EDITS, SIZES } from './edits.ts'
import { NO_FAULTS } from './faults.ts'
import { BURSTS, burst, dismissGuests, loseQuorumSoon, silenceQuorum, type Strike, STRIKES } from './strikes.ts'
import { beginTls, tlsSpec } from './tls-edits.ts'
import type { World } from './world.ts'

/** A learner that does not catch up is given up after this. */
const LEARNER_TIMEOUT_SECONDS = 15
const UNHEALTHY_AFTER_SECONDS = 8

export class Nemesis {
  readonly #world: World
  /** Only some of them in each run: many faults at once hide from each other. */
  readonly #strikes: readonly Strike[]
  readonly #bursts: typeof BURSTS
  readonly #edits: typeof EDITS
  readonly #paceMs: number

  constructor(world: World) {
    const { random } = world
    this.#world = world
    this.#strikes = STRIKES.filter(() => random.chance(0.3))
    this.#bursts = BURSTS.filter(() => random.chance(0.25))
    this.#edits = EDITS.filter(() => random.chance(0.5))
    this.#paceMs = 300 + random.below(2500)
  }

  begin(): void {
    const { random } = this.#world
    const retention = {
      whenDeleted: random.chance(0.5) ? 'Delete' : 'Retain',
      whenScaled: random.chance(0.2) ? 'Retain' : 'Delete',
    }
    this.#world.isVolumeKept = retention.whenDeleted === 'Retain'
    const scaling = { learnerTimeoutSeconds: LEARNER_TIMEOUT_SECONDS }
    const isToFallSilent = random.chance(0.15)
    const sizes = this.#world.restores.isOn ? [3, 5] : SIZES
    const replicas = isToFallSilent ? 5 : random.pick(sizes)
    const repair = { allowVolumeReplacement: random.chance(0.3), unhealthyAfterSeconds: UNHEALTHY_AFTER_SECONDS }
    const [upkeep, tls] = [this.#world.stores.spec(), tlsSpec(this.#world)]
    this.#world.createCluster({ replicas, scaling, repair, storage: { size: '10Gi', retention }, ...upkeep, ...tls })
    this.#world.startOperators(random.chance(0.3) ? 2 : 1)
    if (isToFallSilent) silenceQuorum(this.#world)
    if (this.#world.restores.isOn)
      this.#world.schedule.after(5000 + random.below(8000), () => loseQuorumSoon(this.#world))
    if (this.#world.hasTls) beginTls(this.#world)
    if (random.chance(0.8)) this.#world.runFor(3000 + random.below(5000))
  }

  strikeFor(ms: number): void {
    const world = this.#world
    const untilMs = world.schedule.now + ms
    world.faultsEndMs = untilMs
    while (world.schedule.now < untilMs && world.failure === undefined) {
      world.runFor(50 + world.random.below(this.#paceMs))
      world.checked(() => this.#strike())
    }
  }

  #strike(): void {
    const world = this.#world
    const { random, coverage } = world
    const choice = random.below(10)
    const kind = random.pick(this.#bursts)
    if (choice < 3 && kind !== undefined) return burst(world, kind)
    const [fault, act] = random.pick(choice < 7 ? this.#strikes : this.#edits) ?? []
    if (fault !== undefined && act?.(world) === true) coverage.note(fault)
  }

  /** All faults end, and what was to end them has. */
  calm(): void {
    const world = this.#world
    const { kubelet, controllers } = world
    Object.assign(world.faults, NO_FAULTS)
    world.onNextAddition = undefined
    world.onNextAdded = undefined
    world.pauseAfterNextCallMs = 0
    kubelet.stuckPods.clear()
    kubelet.speak()
    controllers.stuckVolumes.clear()
    controllers.ask()
    for (const member of kubelet.running) Object.assign(member, { isCutOff: false, isUnreachable: false })
    dismissGuests(world)
    world.runFor(6500) // what was scheduled to end has ended: edits there and back, lost nodes
  }

  /** What was asked for last counts. */
  end(): void {
    this.calm()
    const world = this.#world
    const { random } = world
    for (const name of ['replace-member', 'move-leader']) world.annotate(name, undefined)
    if (random.chance(0.15)) return this.#delete()
    world.edit({ replicas: random.pick(SIZES) ?? 3, paused: false })
  }

  #delete(): void {
    const world = this.#world
    world.coverage.note('RaftCluster deleted')
    world.log.add('user', 'deletes the RaftCluster')
    world.isDeletionWanted = true
    world.edit({ paused: false })
    world.server.delete('RaftCluster', world.name)
  }
}
