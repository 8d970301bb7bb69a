/** Bugs in who counts as being there when members change. test/simulation/reconfiguration.ts must notice each. */
import type { Mutant } from './plant.ts'

const RAFT = 'node-server/raft'
const NODE = 'node-server/node'

export const RECONFIGURATION_MUTANTS: readonly Mutant[] = [
  {
    name: 'who was heard from lately counts in a change',
    file: `${NODE}/membership/change-members.ts`,
    find: 'const refused = judge(answered)',
    replace:
      'const lately = node.raftStatus().peers.filter((peer) => peer.isActive)\n    const refused = judge(new Set([node.memberId, ...lately.map(({ id }) => id)]))',
  },
  {
    name: 'an answer from before the request counts',
    file: `${RAFT}/liveness.ts`,
    find: '  leader.lastReadBatch += 1\n',
    replace: '',
  },
  {
    name: 'a new leader calls active whom it has not heard from',
    file: `${RAFT}/progress.ts`,
    find: 'answeredAtTick: undefined,',
    replace: 'answeredAtTick: nowTick,',
  },
  {
    name: 'leadership is handed to a member that does not answer',
    file: `${NODE}/membership/move-leadership.ts`,
    find: 'if (answered.has(target)) return begin',
    replace: 'return begin',
  },
  {
    name: 'a removed leader hands over to a voter that does not know of the removal',
    file: `${RAFT}/leader.ts`,
    find: '(leader.progress.get(id)?.readBatch ?? 0) >= round && isActive',
    replace: 'round > 0 && isActive',
  },
]
