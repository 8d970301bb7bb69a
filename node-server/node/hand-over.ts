/** A leader that is asked to stop hands leadership on first, so that its clients do not wait for an election. */
import { sleep } from '../../lib/clock.ts'
import type { Node } from './node.ts'

const TIMEOUT_MS = 2000
const POLL_MS = 10

/** To the follower that has most of the log; without a healthy one there is nobody to hand over to. */
export async function handOver(node: Node): Promise<void> {
  const { role, peers, configuration } = node.raftStatus()
  if (role !== 'leader') return
  const target = peers
    .filter((peer) => peer.isActive && configuration.voters.includes(peer.id))
    .toSorted((a, b) => b.match - a.match)[0]
  if (target === undefined || !node.beginTransfer(target.id).ok) return
  const { clock } = node.options
  const deadlineMs = clock.monotonicMs() + TIMEOUT_MS
  while (node.raftStatus().role === 'leader' && clock.monotonicMs() < deadlineMs) await sleep(clock, POLL_MS)
}
