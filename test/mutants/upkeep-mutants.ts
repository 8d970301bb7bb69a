/** Bugs of the operator in the upkeep of members' stores: the seeds of test/operator-simulation in which stores fill up look for them. */
import type { Mutant } from './plant.ts'

const RULES = 'operator/cluster/rules'

export const UPKEEP_MUTANTS: readonly Mutant[] = [
  {
    name: 'the leader is defragmented while it leads',
    file: `${RULES}/defragment.ts`,
    find: 'if (isLeader && membership.voters.length > 1) {',
    replace: 'if (isLeader && membership.voters.length < 1) {',
  },
  {
    name: 'a member is defragmented before the one before is done',
    file: `${RULES}/defragment.ts`,
    find: 'if (begun !== undefined) return awaitEnd',
    replace: 'if (begun !== undefined && run.startedAt === "") return awaitEnd',
  },
  {
    name: 'NOSPACE is disarmed before there is room',
    file: `${RULES}/reclaim.ts`,
    find: 'if (full.length === 0) return disarm(observed, membership)',
    replace: 'if (full.length >= 0) return disarm(observed, membership)',
  },
  {
    name: 'history goes although there is free space enough',
    file: `${RULES}/reclaim.ts`,
    find: 'if (needsCompaction(observed, full)) {',
    replace: 'if (full.length > 0) {',
  },
]

/** operator/cluster/upkeep.test.ts looks for these. */
export const UPKEEP_MUTANTS_OF_TESTS: readonly Mutant[] = [
  {
    name: 'members are defragmented while one of them is away',
    file: `${RULES}/defragment.ts`,
    find: '  if (!areAllWell(observed, membership)) return undefined\n  const next',
    replace: '  const next',
  },
  {
    name: 'after a compaction the stores are not defragmented',
    file: `${RULES}/reclaim.ts`,
    find: 'const next = full.find(({ id }) => !memory.defragmented.includes(id))',
    replace: 'const next = full.find(({ id }) => !memory.defragmented.includes(id) && memory.compactTo === undefined)',
  },
  {
    name: 'a time of the schedule is dealt with again and again',
    file: `${RULES}/defragment.ts`,
    find: 'dueAfter: scheduledAt,',
    replace: '',
  },
]
