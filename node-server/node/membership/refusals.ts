/** What the leader says no with: the admin API's error, and the same in the etcd API's terms. */
import type { AdminError } from '../../../lib/admin-api.ts'
import type { WireRefusal } from '../peer-requests.ts'
import type { NodeProblem } from '../ports.ts'

export function refusal(problem: NodeProblem, code: AdminError['code'], message: string): WireRefusal {
  return { problem, error: { code, message } }
}

export function notLeading(): WireRefusal {
  return refusal('leader-changed', 'NoLeader', 'the leader has just changed: try again')
}

export function unknown(message: string): WireRefusal {
  return refusal(
    'timeout',
    'Timeout',
    `${message}. Whether the change was made is not known: repeat it with the same operationId`,
  )
}
