/** What goes wrong, and what people do meanwhile: every few moments one of many things, by the seed. */
import { NO_FAULTS } from './faults.ts'
import { World } from './world.ts'

export class Nemesis {
  readonly #world: World
  constructor(world: World) {
    this.#world = world
  }
  begin(): void {
    this.#world.createCluster({ replicas: 3, scaling: { learnerTimeoutSeconds: 20 } })
    this.#world.startOperators(2)
  }
  strikeFor(ms: number): void {
    this.#world.runFor(ms)
    this.#world.edit({ replicas: 5 })
    this.#world.runFor(ms)
  }
  end(): void {
    Object.assign(this.#world.faults, NO_FAULTS)
    this.#world.edit({ replicas: 1 })
  }
}
