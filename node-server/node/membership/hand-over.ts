/** A leader that is asked to stop hands leadership on first, so that its clients do not wait for an election. */
import { sleep } from '../../../lib/clock.ts'
import type { MemberId } from '../../../lib/ids.ts'
import type { Result } from '../../../lib/result.ts'
import type { RaftStatus } from '../../raft/raft.ts'
import { duringRollCall, type RollCallHost } from './roll-call.ts'

const TIMEOUT_MS = 2000
const POLL_MS = 10

/** What it needs of the member. */
export interface HandOverHost extends RollCallHost {
  raftStatus(): RaftStatus
  beginTransfer(target: MemberId): Result<void, unknown>
}

/** To a follower that is there now; without one there is nobody to hand over to. */
export async function handOver(host: HandOverHost): Promise<void> {
  const hasBegun = await duringRollCall(host, (answered, isOver) => begin(host, answered, isOver))
  if (hasBegun !== true) return
  const { clock } = host.options
  const deadlineMs = clock.monotonicMs() + TIMEOUT_MS
  while (host.raftStatus().role === 'leader' && clock.monotonicMs() < deadlineMs) await sleep(clock, POLL_MS)
}

/** Who has all that is committed can lead at once; while others may still answer, nobody else is asked. */
function begin(host: HandOverHost, answered: ReadonlySet<MemberId>, isOver: boolean): boolean | undefined {
  const { peers, configuration, committed } = host.raftStatus()
  const voters = peers.filter(({ id }) => configuration.voters.includes(id))
  const [target] = voters.filter(({ id }) => answered.has(id)).toSorted((a, b) => b.match - a.match)
  if (target !== undefined && (isOver || target.match >= committed)) return host.beginTransfer(target.id).ok
  return isOver || voters.length === 0 ? false : undefined
}
