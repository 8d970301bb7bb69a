/**
 * All that this member answers of the etcd v3 API, by path. A method that is not here is answered Unimplemented by the
 * engine.
 */
import type { ServiceTable } from '../../grpc/service.ts'
import type { NodePort } from '../../node/ports.ts'
import { WatchableStore } from '../../node/watch/watchable-store.ts'
import { authService, defaultAuth, type AuthOptions } from './auth.ts'
import { clusterService } from './cluster.ts'
import { electionService } from './election.ts'
import { Gate } from './gate.ts'
import { healthService } from './health.ts'
import { kvService, type KvOptions } from './kv.ts'
import { LeaderMonitor } from './leader-monitor.ts'
import { leaseService } from './lease.ts'
import { Lines } from './lines.ts'
import { lockService } from './lock.ts'
import { maintenanceService } from './maintenance.ts'
import { reflectionService } from './reflection.ts'
import { DEFAULT_WATCH_OPTIONS, type WatchOptions } from './watch-options.ts'
import { watchService } from './watch.ts'

export interface EtcdOptions extends KvOptions {
  /** What is left out has its default. */
  readonly watch?: Partial<WatchOptions>
  /** What Status is to say of this member for as long as it runs. */
  readonly standingErrors?: readonly string[]
  /** What is left out: simple tokens, passwords at bcrypt's usual cost, and no certificate names a user. */
  readonly auth?: Partial<AuthOptions>
}

export function etcdServices(node: NodePort, options: EtcdOptions): ServiceTable {
  const { electionMs } = { ...DEFAULT_WATCH_OPTIONS, ...options.watch }
  const monitor = new LeaderMonitor(node, options.clock, electionMs)
  const watchableStore = options.watch?.watchableStore ?? new WatchableStore(node, options.clock)
  const lines = new Lines({ node, watchableStore, clock: options.clock })
  const auth = { ...defaultAuth(options.clock), ...options.auth }
  const { tokens } = auth
  if (tokens.kind === 'logged') node.onAuthChanged((effect) => tokens.applied(effect))
  const gate = new Gate({ node, ...auth })
  const services = {
    ...kvService(gate, monitor, options),
    ...watchService(gate, options.clock, { ...options.watch, watchableStore }),
    ...leaseService(gate, monitor),
    ...lockService(gate, lines),
    ...electionService(gate, monitor, lines),
    ...clusterService(gate),
    ...maintenanceService(gate, options.clock, options.standingErrors),
    ...authService(gate, auth),
    ...healthService(),
  }
  return { ...services, ...reflectionService(services) }
}
