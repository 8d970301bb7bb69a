/** Members, for one reconcile: while one has not answered, other clusters have the worker. */
import type { AdminClient, UsersClient } from './cluster/ports.ts'
import type { ReconcileContext } from './controller/controller.ts'

type Sharing = Pick<ReconcileContext, 'whileWaiting'>

export function sharingAdmin(admin: AdminClient, { whileWaiting }: Sharing): AdminClient {
  return {
    status: (...call) => whileWaiting(admin.status(...call)),
    bootstrap: (...call) => whileWaiting(admin.bootstrap(...call)),
    join: (...call) => whileWaiting(admin.join(...call)),
    membership: (...call) => whileWaiting(admin.membership(...call)),
    transferLeader: (...call) => whileWaiting(admin.transferLeader(...call)),
    recover: (...call) => whileWaiting(admin.recover(...call)),
    keepUp: (...call) => whileWaiting(admin.keepUp(...call)),
    secured: (identity) => sharingAdmin(admin.secured(identity), { whileWaiting }),
  }
}

export function sharingUsers(users: UsersClient, { whileWaiting }: Sharing): UsersClient {
  return {
    status: (...call) => whileWaiting(users.status(...call)),
    login: (...call) => whileWaiting(users.login(...call)),
    users: (...call) => whileWaiting(users.users(...call)),
    roles: (...call) => whileWaiting(users.roles(...call)),
    change: (...call) => whileWaiting(users.change(...call)),
    secured: (identity) => sharingUsers(users.secured(identity), { whileWaiting }),
  }
}
