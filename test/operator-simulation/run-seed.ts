/**
 * One seed: a cluster is made, faults and edits strike for a while, then they end, and what was asked for last must come
 * true within a bounded time and stay. Everything is decided by the seed; no real time, no real I/O.
 */
import { setMaxListeners } from 'node:events'
import { outsideOfMicrotasks } from '../simulation/microtasks.ts'
import { unsettled } from './settled.ts'
import { type CrashPoint, World } from './world.ts'
import { Nemesis } from './nemesis.ts'
import { refuseForAMinute } from './refusal.ts'

export interface SeedOptions {
  /** Length of the time with faults, in virtual milliseconds. */
  readonly faultMs: number
  /** Instead of faults by chance: the operator ends at this call of a fixed scenario. */
  readonly crash?: CrashPoint
}

export interface Outcome {
  readonly seed: number
  readonly failure: { readonly error: Error; readonly events: readonly string[] } | undefined
  /** How often each fault struck and each step was taken. */
  readonly counts: ReadonlyMap<string, number>
  readonly reconciles: number
  /** Mutating calls of the operators. */
  readonly calls: number
  readonly virtualMs: number
}

export const FAULT_MS = 25_000
/** Seeds in which one kind of call is refused for a minute after the other faults. */
const REFUSAL_EVERY = 4
/** After the last fault: learners that time out, one after the other, included. */
const CONVERGE_MS = 300_000
/** Who has joined last is defragmented at the next time of the schedule. */
const UPKEEP_MS = 90_000
const QUIET_MS = 7_000

export function runSeed(seed: number, options: Partial<SeedOptions> = {}): Promise<Outcome> {
  return outsideOfMicrotasks(() => simulate(seed, { faultMs: FAULT_MS, ...options }))
}

function simulate(seed: number, { faultMs }: SeedOptions): Outcome {
  const world = new World(seed)
  const nemesis = new Nemesis(world)
  nemesis.begin()
  nemesis.strikeFor(faultMs)
  if (seed % REFUSAL_EVERY === 0) {
    nemesis.calm()
    refuseForAMinute(world)
  }
  nemesis.end()
  settle(world)
  return outcomeOf(seed, world)
}

/** Whoever takes the place of an operator that stands still may find what was asked for meanwhile. */
function isUnattended({ operators }: World): boolean {
  return [...operators.values()].some(({ clock }) => clock.isPaused)
}

/** Waits for what was asked for last, then sees that it stays. */
export function settle(world: World): void {
  const untilMs = world.schedule.now + CONVERGE_MS + (world.stores.isOn ? UPKEEP_MS : 0)
  while (world.failure === undefined && (isUnattended(world) || unsettled(world) !== undefined)) {
    if (world.schedule.now >= untilMs) world.fail(new Error(`invariant 16: no convergence: ${unsettled(world)}`))
    world.runFor(1000)
  }
  if (world.failure !== undefined) return
  world.oracle.isQuiet = true
  world.runFor(QUIET_MS)
  const wrong = unsettled(world)
  if (wrong !== undefined) world.fail(new Error(`invariant 16: it did not stay settled: ${wrong}`))
}

export function outcomeOf(seed: number, world: World): Outcome {
  for (const process of world.operators.values()) process.clock.kill()
  const { failure, coverage, log, reconciles, calls, schedule } = world
  return {
    seed,
    failure: failure && { error: failure, events: log.last(EVENTS) },
    counts: coverage.counts,
    reconciles,
    calls,
    virtualMs: schedule.now,
  }
}

const EVENTS = 200
setMaxListeners(0)
