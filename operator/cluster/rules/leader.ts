/** Nothing is decided about members without the word of a leader whose configuration is settled. Pure. */
import { isFormed, type Observed } from '../observed.ts'
import { blocked, IN_FLIGHT_MS, type Plan, waiting } from '../plan.ts'
import { quorumOf } from '../safety.ts'
import { remains } from './recover.ts'

export function awaitLeader(observed: Observed): Plan | undefined {
  const { cluster, membership } = observed
  if (!isFormed(observed) || membership?.leader !== undefined) return undefined
  const { operation } = cluster.recorded
  const voterCount = membership?.voters.length ?? cluster.recorded.voters
  const answering = membership?.voters.filter((id) => membership.activeIds.has(id)).length ?? 0
  const quorum = quorumOf(voterCount)
  if (answering >= quorum) return waiting('NoLeader', 'the members have not elected a leader yet', operation)
  const message = `${answering} of ${voterCount} voters answer, ${quorum} are needed: bring back their pods with their volumes${remains(observed)}`
  return { ...blocked('QuorumLost', message, operation), requeueAfterMs: waiting('', '').requeueAfterMs }
}

export function awaitChange({ cluster, membership }: Observed): Plan | undefined {
  if (membership?.isChangePending !== true) return undefined
  const plan = waiting('ChangeInFlight', 'a membership change is being committed', cluster.recorded.operation)
  return { ...plan, requeueAfterMs: IN_FLIGHT_MS }
}
