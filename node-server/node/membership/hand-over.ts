/** A leader that is asked to stop hands leadership on first, so that its clients do not wait for an election. */
import { sleep } from '../../../lib/clock.ts'
import type { MemberId } from '../../../lib/ids.ts'
import type { Node } from '../replica/node.ts'
import { duringRollCall } from './roll-call.ts'

const TIMEOUT_MS = 2000
const POLL_MS = 10

/** To a follower that is there now; without one there is nobody to hand over to. */
export async function handOver(node: Node): Promise<void> {
  const hasBegun = await duringRollCall(node, (answered, isOver) => begin(node, answered, isOver))
  if (hasBegun !== true) return
  const { clock } = node.options
  const deadlineMs = clock.monotonicMs() + TIMEOUT_MS
  while (node.raftStatus().role === 'leader' && clock.monotonicMs() < deadlineMs) await sleep(clock, POLL_MS)
}

/** Who has all that is committed can lead at once; while others may still answer, nobody else is asked. */
function begin(node: Node, answered: ReadonlySet<MemberId>, isOver: boolean): boolean | undefined {
  const { peers, configuration, committed } = node.raftStatus()
  const voters = peers.filter(({ id }) => configuration.voters.includes(id))
  const [target] = voters.filter(({ id }) => answered.has(id)).toSorted((a, b) => b.match - a.match)
  if (target !== undefined && (isOver || target.match >= committed)) return node.beginTransfer(target.id).ok
  return isOver || voters.length === 0 ? false : undefined
}
