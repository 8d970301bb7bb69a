import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemberId } from '../../lib/ids.ts'
import { EMPTY_CONFIGURATION } from './membership.ts'
import type { Configuration } from './message.ts'
import { membersOf, quorumValue, voteResult, type VoteResult } from './quorum.ts'

const IDS = [1n, 2n, 3n, 4n].map(MemberId)

function subsets(ids: readonly MemberId[]): MemberId[][] {
  return ids.reduce<MemberId[][]>((all, id) => [...all, ...all.map((subset) => [...subset, id])], [[]])
}

/** Every assignment of one of `values` to each member. */
function assignments<Value>(values: readonly Value[]): Map<MemberId, Value>[] {
  return IDS.reduce<Map<MemberId, Value>[]>(
    (all, id) => all.flatMap((map) => values.map((value) => new Map([...map, [id, value]]))),
    [new Map()],
  )
}

const SUBSETS = subsets(IDS)
const CONFIGURATIONS: Configuration[] = SUBSETS.filter((voters) => voters.length > 0).flatMap((voters) =>
  SUBSETS.map((votersOutgoing) => ({
    ...EMPTY_CONFIGURATION,
    voters,
    votersOutgoing,
    learners: IDS.filter((id) => !voters.includes(id) && !votersOutgoing.includes(id)),
  })),
)

/** Straight from the definition: more than half of each half that there is. */
function isQuorum({ voters, votersOutgoing }: Configuration, has: (id: MemberId) => boolean): boolean {
  return [voters, votersOutgoing]
    .filter((half) => half.length > 0)
    .every((half) => half.filter(has).length * 2 > half.length)
}

test('Raft §5.3, §6: the quorum has reached the highest value that some majority of each half has (all of 4 members)', () => {
  for (const values of assignments([0, 1, 2])) {
    for (const configuration of CONFIGURATIONS) {
      const valueOf = (id: MemberId): number => values.get(id) ?? 0
      const expected = [2, 1, 0].find((value) => isQuorum(configuration, (id) => valueOf(id) >= value))
      assert.equal(quorumValue(configuration, valueOf), expected)
    }
  }
})

test('Raft §5.2, §6: an election is won or lost once the missing votes cannot change it (all of 4 members)', () => {
  for (const answers of assignments([true, false, undefined])) {
    const votes = new Map([...answers].flatMap(([id, vote]) => (vote === undefined ? [] : [[id, vote]])))
    for (const configuration of CONFIGURATIONS) {
      const canStillWin = isQuorum(configuration, (id) => votes.get(id) !== false)
      const hasWon = isQuorum(configuration, (id) => votes.get(id) === true)
      const expected: VoteResult = hasWon ? 'won' : canStillWin ? 'pending' : 'lost'
      assert.equal(voteResult(configuration, votes), expected)
    }
  }
})

test('everybody gets the log once', () => {
  for (const configuration of CONFIGURATIONS) assert.deepEqual(new Set(membersOf(configuration)), new Set(IDS))
})
