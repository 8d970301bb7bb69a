/**
 * The Raft core alone, for what the admin API has no request for yet: joint configurations. The same seed drives a cluster
 * of cores with changes of several members at once.
 */
import { SimulatedCluster, type Faults } from '../../node-server/raft/testing/simulated-cluster.ts'
import type { Coverage } from './coverage.ts'

const FAULTS: Faults = {
  drop: 0.03,
  duplicate: 0.03,
  delay: 0.05,
  crash: 0.01,
  restart: 0.2,
  partition: 0.02,
  heal: 0.15,
  change: 0.15,
  transfer: 0.05,
  compact: 0.1,
  lose: 0,
  stall: 0.05,
  radicalChanges: false,
}

/** Throws the first broken invariant. */
export function simulateCore(seed: number, coverage: Coverage): void {
  const cluster = new SimulatedCluster(seed, 3 + (seed % 3))
  cluster.run(120, FAULTS)
  cluster.heal(120)
  coverage.note('joint configuration entered and left', cluster.checker.joints)
}
