/** Leadership moves by request: only to a voter that is there now, for while it moves nothing is written. */
import type { LeaderTransferResult } from '../../../lib/admin-api.ts'
import { sleep } from '../../../lib/clock.ts'
import { LogIndex, MemberId, formatId, parseId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { getOperation } from '../../mvcc/members.ts'
import { staleFence } from './fence.ts'
import type { Node } from '../replica/node.ts'
import { encodeResult, transferResult } from './operation-results.ts'
import type { TransferRequest, WireRefusal } from '../peer-requests.ts'
import { notLeading, refusal } from './refusals.ts'
import { duringRollCall } from './roll-call.ts'

type Transfer = Result<LeaderTransferResult, WireRefusal>

const POLL_MS = 10

export async function moveLeadership(node: Node, request: TransferRequest): Promise<Transfer> {
  const { operationId, expectedConfigIndex, memberId } = request
  const id = parseId(memberId)
  if (id === undefined) return err(refusal('bad-transferee', 'BadRequest', 'memberId is not an ID'))
  const target = MemberId(id)
  const decided = await duringRollCall(node, (answered, isOver): Transfer | Promise<Transfer> | undefined => {
    const { store } = node
    const first = operationId === '' ? undefined : getOperation(store, operationId)
    if (first !== undefined) return transferResult(first.result)
    if (expectedConfigIndex !== undefined && expectedConfigIndex !== store.meta.configIndex)
      return err(staleFence(LogIndex(expectedConfigIndex), store.meta.configIndex))
    if (!node.raftStatus().configuration.voters.includes(target))
      return err(refusal('bad-transferee', 'NotFound', `${memberId} is not a voter`))
    if (answered.has(target)) return begin(node, target, operationId)
    const message = `${memberId} does not answer, so it cannot lead: choose another member`
    return isOver ? err(refusal('transfer-timeout', 'TargetSilent', message)) : undefined
  })
  return decided ?? err(notLeading())
}

async function begin(node: Node, target: MemberId, operationId: string): Promise<Transfer> {
  if (!node.beginTransfer(target).ok) return err(notLeading())
  const { clock, electionMs } = node.options
  const deadlineMs = clock.monotonicMs() + 2 * electionMs
  while (clock.monotonicMs() < deadlineMs) {
    const { leader, term } = node.raftStatus()
    if (leader === target) {
      const result: LeaderTransferResult = { operationId, leader: formatId(leader), term }
      if (operationId !== '') await record(node, operationId, result)
      return ok(result)
    }
    await sleep(clock, POLL_MS)
  }
  return err(
    refusal('transfer-timeout', 'Timeout', `${formatId(target)} did not become leader in time: read the status`),
  )
}

/** A transfer changes no replicated state, but a repeat of it must be answered the same for ever. */
async function record(node: Node, operationId: string, result: LeaderTransferResult): Promise<void> {
  const requestId = node.nextRequestId()
  await node.proposeCommand({ kind: 'operation-result', requestId, operationId, result: encodeResult(result) })
}
