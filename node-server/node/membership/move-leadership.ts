/** Leadership moves by request: only to a voter that is there now, for while it moves nothing is written. */
import type { LeaderTransferResult } from '../../../lib/admin-api.ts'
import { sleep } from '../../../lib/clock.ts'
import { LogIndex, MemberId, formatId, parseId } from '../../../lib/ids.ts'
import { err, ok, type Result } from '../../../lib/result.ts'
import { getOperation } from '../../mvcc/members.ts'
import { staleFence } from './fence.ts'
import type { Store } from '../../mvcc/store.ts'
import { encodeResult, transferResult } from './operation-results.ts'
import type { TransferRequest, Refusal } from '../peer-requests.ts'
import { notLeading, refusal } from './refusals.ts'
import type { HandOverHost } from './hand-over.ts'
import { duringRollCall } from './roll-call.ts'

type Transfer = Result<LeaderTransferResult, Refusal>

const POLL_MS = 10

/** What it needs of the member. */
export interface TransferHost extends HandOverHost {
  readonly store: Store
  /** Into the log, so that every member can answer a repeat. Resolves when that is done or cannot be known. */
  readonly commands: { recordResult(operationId: string, result: Uint8Array): Promise<void> }
}

export async function moveLeadership(host: TransferHost, request: TransferRequest): Promise<Transfer> {
  const { operationId, expectedConfigIndex, memberId } = request
  const id = parseId(memberId)
  if (id === undefined) return err(refusal('bad-transferee', 'BadRequest', 'memberId is not an ID'))
  const target = MemberId(id)
  const decided = await duringRollCall(host, (answered, isOver): Transfer | Promise<Transfer> | undefined => {
    const { store } = host
    const first = operationId === '' ? undefined : getOperation(store, operationId)
    if (first !== undefined) return transferResult(first.result)
    if (expectedConfigIndex !== undefined && expectedConfigIndex !== store.meta.configIndex)
      return err(staleFence(LogIndex(expectedConfigIndex), store.meta.configIndex))
    if (!host.raftStatus().configuration.voters.includes(target))
      return err(refusal('bad-transferee', 'NotFound', `${memberId} is not a voter`))
    if (answered.has(target)) return begin(host, target, operationId)
    const message = `${memberId} does not answer, so it cannot lead: choose another member`
    return isOver ? err(refusal('transfer-timeout', 'TargetSilent', message)) : undefined
  })
  return decided ?? err(notLeading())
}

async function begin(host: TransferHost, target: MemberId, operationId: string): Promise<Transfer> {
  if (!host.beginTransfer(target).ok) return err(notLeading())
  const { clock, electionMs } = host.options
  const deadlineMs = clock.monotonicMs() + 2 * electionMs
  while (clock.monotonicMs() < deadlineMs) {
    const { leader, term } = host.raftStatus()
    if (leader === target) {
      const result: LeaderTransferResult = { operationId, leader: formatId(leader), term }
      // A transfer changes no replicated state, but a repeat of it must be answered the same forever.
      if (operationId !== '') await host.commands.recordResult(operationId, encodeResult(result))
      return ok(result)
    }
    await sleep(clock, POLL_MS)
  }
  return err(
    refusal('transfer-timeout', 'Timeout', `${formatId(target)} did not become leader in time: read the status`),
  )
}
