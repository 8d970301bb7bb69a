/** The refusals that do not come of what the leader knows of its members. */
import type { AdminError } from '../../../lib/admin-api.ts'
import type { Refusal } from '../peer-requests.ts'
import type { NodeProblem } from '../ports.ts'

export function refusal(problem: NodeProblem, code: AdminError['code'], message: string): Refusal {
  return { problem, error: { code, message } }
}

export function notLeading(): Refusal {
  return refusal('leader-changed', 'NoLeader', 'the leader has just changed: try again')
}

export function unknown(message: string): Refusal {
  return refusal(
    'timeout',
    'Timeout',
    `${message}. Whether the change was made is not known: repeat it with the same operationId`,
  )
}
