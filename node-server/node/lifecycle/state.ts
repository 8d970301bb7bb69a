/**
 * The states of a member, and the transitions between them. The type decides which parts can be used: in `pausing` and
 * `stopped` the store is closed, and the last status is kept.
 */
import { assert } from '../../../lib/assert.ts'
import type { AdminStatus } from '../../../lib/admin-api.ts'
import type { StoredIdentity } from '../../storage/data-directory.ts'
import type { PeerTransport } from '../../transport/transport.ts'
import type { PeriodicMaintenance } from '../maintenance/periodic.ts'
import type { Upkeep } from '../maintenance/upkeep.ts'
import type { Replica } from '../replica/replica.ts'
import type { Admission } from './admission.ts'
import type { LeaderRequests } from './leader-requests.ts'

/** What a member consists of once its data directory is open. */
export interface Running {
  readonly replica: Replica
  readonly leaderRequests: LeaderRequests
  readonly transport: PeerTransport
  readonly maintenance: PeriodicMaintenance
  readonly upkeep: Upkeep
  readonly admission: Admission
}

export type State =
  /** It has no data directory yet, or is opening it. */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'running'; readonly identity: StoredIdentity; readonly running: Running }
  /** The cluster has removed it. It keeps running to report that. */
  | { readonly kind: 'removed'; readonly identity: StoredIdentity; readonly running: Running }
  /** For a moment, while it is made a cluster of its own or puts a damaged store aside; or for good. */
  | { readonly kind: 'pausing' | 'stopped'; readonly identity: StoredIdentity; readonly lastStatus: AdminStatus }

const MAY_BECOME: Readonly<Record<State['kind'], readonly State['kind'][]>> = {
  waiting: ['running'],
  running: ['removed', 'pausing', 'stopped'],
  removed: ['pausing', 'stopped'],
  pausing: ['running', 'stopped'],
  stopped: [],
}

/** The next state; any other transition is a bug. */
export function become(state: State, next: State): State {
  assert(
    MAY_BECOME[state.kind].includes(next.kind),
    () => `a member that is ${state.kind} does not become ${next.kind}`,
  )
  return next
}
