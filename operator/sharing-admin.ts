/** The members' admin API for one reconcile: while a member has not answered, other clusters have the worker. */
import type { AdminClient } from './cluster/ports.ts'
import type { ReconcileContext } from './controller/controller.ts'

export function sharingAdmin(
  admin: AdminClient,
  { whileWaiting }: Pick<ReconcileContext, 'whileWaiting'>,
): AdminClient {
  return {
    status: (...call) => whileWaiting(admin.status(...call)),
    bootstrap: (...call) => whileWaiting(admin.bootstrap(...call)),
    join: (...call) => whileWaiting(admin.join(...call)),
    membership: (...call) => whileWaiting(admin.membership(...call)),
    transferLeader: (...call) => whileWaiting(admin.transferLeader(...call)),
    recover: (...call) => whileWaiting(admin.recover(...call)),
    secured: (identity) => sharingAdmin(admin.secured(identity), { whileWaiting }),
  }
}
