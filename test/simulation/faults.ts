/** Which faults a run has, and how often each strikes. Each run has another mixture: some need the absence of others. */
import type { Random } from '../../node-server/raft/testing/random.ts'
import type { NetworkFaults } from './network.ts'

/** Of disk operations and messages, the share that is hit. */
export interface Faults extends NetworkFaults {
  slowSync: number
  syncError: number
  diskFull: number
  /** Of changes of names, the share that is followed by a crash at once. */
  crashAtName: number
  /** Of snapshots that come in, the share that meets a defragmentation. */
  defragmentAtSnapshot: number
}

/** What the nemesis may do, as chances in each of its steps, ten a second. */
export interface Nemesis {
  readonly crash: number
  readonly crashAll: number
  readonly restart: number
  readonly restartLoop: number
  readonly stop: number
  readonly pause: number
  readonly stall: number
  readonly jump: number
  readonly partition: number
  readonly clog: number
  readonly mend: number
  readonly flipBit: number
  readonly wrongVolume: number
  readonly emptyVolume: number
  readonly transfer: number
  readonly change: number
  /** Two changes asked for at once, decided on one configuration. */
  readonly rivalChange: number
  /** The leader is cut off from all others, and stands still for a part of that time. */
  readonly isolateLeader: number
  readonly defragment: number
  /** Bytes of the live store change. */
  readonly damageStore: number
  /** How much faster or slower a process's clock may run, as a share of its speed. */
  readonly drift: number
}

export const NO_FAULTS: Faults = {
  drop: 0,
  duplicate: 0,
  delay: 0,
  corrupt: 0,
  stall: 0,
  snapshotMs: 0,
  noRoom: 0,
  encodesAll: false,
  slowSync: 0,
  syncError: 0,
  diskFull: 0,
  crashAtName: 0,
  defragmentAtSnapshot: 0,
}

export const QUIET_NEMESIS: Nemesis = {
  crash: 0,
  crashAll: 0,
  restart: 1,
  restartLoop: 0,
  stop: 0,
  pause: 0,
  stall: 0,
  jump: 0,
  partition: 0,
  clog: 0,
  mend: 1,
  flipBit: 0,
  wrongVolume: 0,
  emptyVolume: 0,
  transfer: 0,
  change: 0,
  rivalChange: 0,
  isolateLeader: 0,
  defragment: 0,
  damageStore: 0,
  drift: 0,
}

export interface Mixture {
  readonly faults: Faults
  readonly nemesis: Nemesis
}

export function mixture(seed: number, random: Random): Mixture {
  const some = (rate: number): number => (random.chance(0.4) ? rate * (0.3 + random.next()) : 0)
  return {
    faults: {
      drop: some(0.05),
      duplicate: some(0.05),
      delay: some(0.1),
      corrupt: some(0.003),
      stall: some(0.3),
      snapshotMs: seed % 4 === 2 ? 3000 : 0,
      noRoom: seed % 4 === 1 ? 0.3 : 0,
      encodesAll: random.chance(0.1),
      slowSync: some(0.01),
      syncError: some(0.0004),
      diskFull: some(0.0004),
      crashAtName: some(0.1),
      defragmentAtSnapshot: seed % 4 === 3 ? 0.5 : 0,
    },
    nemesis: {
      crash: some(0.03),
      crashAll: some(0.003),
      restart: 0.03 + random.next() * 0.1,
      restartLoop: some(0.004),
      stop: some(0.01),
      pause: some(0.015),
      stall: some(0.03),
      jump: some(0.02),
      partition: some(0.03),
      clog: some(0.02),
      mend: 0.03 + random.next() * 0.1,
      flipBit: some(0.004),
      wrongVolume: some(0.002),
      emptyVolume: some(0.004),
      transfer: some(0.02),
      change: some(0.04),
      // Drawn from the seed alone: seeds that found something before these faults were added still replay it.
      rivalChange: seed % 4 === 1 ? 0.02 : 0,
      isolateLeader: seed % 4 === 2 ? 0.015 : 0,
      defragment: some(0.01),
      damageStore: seed % 4 === 0 ? 0.02 : 0,
      drift: some(0.05),
    },
  }
}
