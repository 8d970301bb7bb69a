/** An alarm request at apply: the set in memory and the table `alarms` change together. */
import { EMPTY_BYTES } from '../../lib/bytes.ts'
import { ok } from '../../lib/result.ts'
import { AlarmRequest_AlarmAction as Action, type AlarmMember, type AlarmRequest } from '../proto/generated/etcd/rpc.ts'
import { alarmKey, listAlarms, setOf } from './alarms.ts'
import type { ApplyResult } from './results.ts'
import type { Store } from './store.ts'

/**
 * etcd's answers: GET lists; ACTIVATE names the alarm, whether it was raised before or not; DEACTIVATE names it only when
 * it was. Types and actions that this version does not know change nothing.
 */
export function applyAlarm(store: Store, request: AlarmRequest): ApplyResult {
  const { action, memberID, alarm } = request
  const named = { memberID: BigInt.asUintN(64, memberID), alarm }
  const answer = (alarms: AlarmMember[]): ApplyResult => ok({ kind: 'alarm', revision: store.revision, alarms })
  if (action === Action.GET) return answer(listAlarms(store.alarms, alarm))
  const raised = setOf(store.alarms, alarm)
  if (raised === undefined) return answer([])
  const wasRaised = raised.has(named.memberID)
  if (action === Action.ACTIVATE) {
    raised.add(named.memberID)
    if (!wasRaised) store.buffer.put('alarms', alarmKey(named), EMPTY_BYTES)
    return answer([named])
  }
  if (action !== Action.DEACTIVATE || !wasRaised) return answer([])
  raised.delete(named.memberID)
  store.buffer.remove('alarms', alarmKey(named))
  return answer([named])
}
