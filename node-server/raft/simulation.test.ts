/** Whole clusters under faults, by seed: Raft figure 3, thesis §6.4, and progress once the faults end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedCluster, type Faults } from './testing/simulated-cluster.ts'

const SEEDS = Number(process.env['RAFT_SEEDS'] ?? 50)
const FIRST_SEED = Number(process.env['RAFT_FIRST_SEED'] ?? 1)

const CALM: Faults = {
  drop: 0.01,
  duplicate: 0.01,
  delay: 0.01,
  crash: 0,
  restart: 1,
  partition: 0,
  heal: 1,
  change: 0,
  transfer: 0.02,
  compact: 0.05,
  lose: 0,
  stall: 0.02,
  radicalChanges: false,
}
const CRASHES: Faults = { ...CALM, crash: 0.02, restart: 0.15 }
const PARTITIONS: Faults = { ...CALM, drop: 0.05, delay: 0.1, partition: 0.05, heal: 0.1 }
const CHANGES: Faults = { ...CALM, radicalChanges: true, change: 0.15, transfer: 0.05 }
const EVERYTHING: Faults = {
  ...PARTITIONS,
  ...CRASHES,
  drop: 0.05,
  duplicate: 0.05,
  delay: 0.1,
  partition: 0.03,
  heal: 0.1,
  change: 0.1,
  transfer: 0.05,
  compact: 0.1,
  stall: 0.05,
}

/** Elections are what it is about: short lives, long silences. */
const STORMS: Faults = {
  ...CRASHES,
  drop: 0.1,
  delay: 0.2,
  crash: 0.08,
  restart: 0.4,
  partition: 0.1,
  heal: 0.3,
  stall: 0.2,
  compact: 0.02,
}

/** Stores are found damaged, and members go on from their logs and from snapshots. */
const DAMAGE: Faults = { ...EVERYTHING, change: 0, lose: 0.05, compact: 0.2 }

const totals = { commits: 0, elections: 0, reads: 0, snapshots: 0, changes: 0, transfers: 0, lostStores: 0 }

for (const [name, faults] of Object.entries({ CALM, CRASHES, PARTITIONS, CHANGES, STORMS, EVERYTHING, DAMAGE })) {
  test(`Raft figure 3 holds, and progress returns: ${name.toLowerCase()}, ${SEEDS} seeds`, () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const cluster = new SimulatedCluster(seed, 1 + (seed % 5))
      try {
        cluster.run(150, faults)
        cluster.heal(80)
      } catch (error) {
        throw new Error(`seed ${seed} of ${name}`, { cause: error })
      }
      const { checker } = cluster
      totals.commits += checker.commits
      totals.elections += checker.elections
      totals.reads += checker.reads
      totals.snapshots += checker.snapshots
      totals.changes += checker.changes
      totals.transfers += checker.transfers
      totals.lostStores += checker.lostStores
    }
  })
}

test('the simulation is about something: every kind of event took place', (t) => {
  t.diagnostic(JSON.stringify(totals))
  for (const [name, count] of Object.entries(totals)) assert.ok(count > SEEDS, `${name}: ${count}`)
})
