/** What metrics and probes want to know of a running member. */
import type { AlarmFacts, MetricsFacts } from './api/admin/readings.ts'
import type { Alarms } from './mvcc/alarms.ts'
import type { Lifecycle } from './node/lifecycle/lifecycle.ts'
import type { WatchableStore } from './node/watch/watchable-store.ts'

export interface RaisedAlarm {
  readonly memberId: bigint
  readonly kind: AlarmFacts['type']
}

export function raisedAlarms({ noSpace, corrupt }: Alarms): readonly RaisedAlarm[] {
  const of = (ids: ReadonlySet<bigint>, kind: RaisedAlarm['kind']): RaisedAlarm[] =>
    [...ids].map((memberId) => ({ memberId, kind }))
  return [...of(noSpace, 'NOSPACE'), ...of(corrupt, 'CORRUPT')]
}

function alarmFacts(alarms: Alarms): readonly AlarmFacts[] {
  return raisedAlarms(alarms).map(({ memberId, kind }) => ({ memberId: memberId.toString(16), type: kind }))
}

/** Undefined while there is no member. */
export function memberFacts(
  { running }: Lifecycle,
  watchableStore: WatchableStore | undefined,
): MetricsFacts | undefined {
  if (running === undefined) return undefined
  const { replica, transport } = running
  const peers = replica.members().filter(({ id }) => id !== replica.memberId)
  return {
    pendingProposals: replica.pendingProposals,
    quotaBytes: replica.quota.limitBytes,
    isDefragmenting: replica.files.isDefragmenting,
    alarms: alarmFacts(replica.store.alarms),
    dbSizeInUseBytes: replica.store.size().inUseBytes,
    watch: watchableStore?.counts,
    operations: replica.store.operations,
    peers: peers.map(({ id }) => {
      const { sentBytes, receivedBytes, sendFailures, connectedSinceMs } = transport.stats(id)
      const isConnected = connectedSinceMs !== undefined
      return { id: id.toString(16), sentBytes, receivedBytes, sendFailures, isConnected }
    }),
  }
}
