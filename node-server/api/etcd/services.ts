/**
 * All that this member answers of the etcd v3 API, by path. A method that is not here is answered Unimplemented by the
 * engine: Lease, Auth, Lock, Election, and of Maintenance all but Status, Alarm
 * (to list them) and MoveLeader.
 */
import type { ServiceTable } from '../../grpc/service.ts'
import type { NodePort } from '../../node/ports.ts'
import { clusterService } from './cluster.ts'
import { healthService } from './health.ts'
import { kvService, type KvOptions } from './kv.ts'
import { maintenanceService } from './maintenance.ts'
import type { WatchOptions } from './watch-options.ts'
import { watchService } from './watch.ts'

export interface EtcdOptions extends KvOptions {
  /** What is left out has its default. */
  readonly watch?: Partial<WatchOptions>
}

export function etcdServices(node: NodePort, options: EtcdOptions): ServiceTable {
  return {
    ...kvService(node, options),
    ...watchService(node, options.clock, options.watch ?? {}),
    ...clusterService(node),
    ...maintenanceService(node),
    ...healthService(),
  }
}
