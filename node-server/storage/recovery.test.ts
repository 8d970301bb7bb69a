import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex } from '../../lib/ids.ts'
import { recover, type Found, type Recovery } from './recovery.ts'

const POINTS = [0, 1, 5, 9].map(LogIndex)

/** Every order of base, last, commit and applied index, a missing store, and every set of snapshots. */
function* allFound(): Generator<Found> {
  for (const baseIndex of POINTS)
    for (const lastIndex of POINTS.filter((index) => index >= baseIndex))
      for (const commitIndex of POINTS)
        for (const appliedIndex of [undefined, ...POINTS])
          for (let set = 0; set < 1 << POINTS.length; set++)
            yield {
              baseIndex,
              lastIndex,
              commitIndex,
              appliedIndex,
              snapshots: POINTS.filter((_, i) => set & (1 << i)),
            }
}

/** The rules, one question after the other, as a naive twin of the table. */
function expected(found: Found): Recovery['kind'] {
  const isCommittedThere = found.commitIndex <= found.lastIndex
  const hasStore = found.appliedIndex !== undefined && found.appliedIndex >= found.baseIndex
  const isStoreKnownToLog = found.appliedIndex === undefined || found.appliedIndex <= found.lastIndex
  const hasSnapshot = found.snapshots.includes(found.baseIndex)
  if (isCommittedThere && hasStore && isStoreKnownToLog) return 'run'
  if (isCommittedThere && !hasStore && hasSnapshot) return 'install-snapshot'
  return 'refuse'
}

test('every combination of what may be on the disk has its decision', () => {
  const counts = { run: 0, 'install-snapshot': 0, refuse: 0 }
  for (const found of allFound()) {
    const decision = recover(found)
    assert.equal(decision.kind, expected(found), JSON.stringify(found))
    counts[decision.kind] += 1
    switch (decision.kind) {
      case 'run':
        // What raft/log.ts asserts of its start: base <= applied <= committed <= last.
        assert.ok(found.appliedIndex !== undefined && found.baseIndex <= found.appliedIndex)
        assert.ok(decision.commitIndex >= found.appliedIndex && decision.commitIndex <= found.lastIndex)
        assert.ok(decision.commitIndex >= found.commitIndex, 'the commit index never goes back')
        break
      case 'install-snapshot':
        assert.equal(decision.index, found.baseIndex)
        break
      case 'refuse':
        assert.match(decision.reason, /; remove the member from the cluster and add it again with an empty directory$/)
    }
  }
  assert.ok(counts.run > 50 && counts['install-snapshot'] > 50 && counts.refuse > 50, JSON.stringify(counts))
})

const FOUND: Found = {
  baseIndex: LogIndex(5),
  lastIndex: LogIndex(9),
  commitIndex: LogIndex(7),
  appliedIndex: LogIndex(6),
  snapshots: [],
}
const refusals: readonly [string, Partial<Found>, RegExp][] = [
  [
    'a log that ends before what it says is committed',
    { lastIndex: LogIndex(6) },
    /7 entries are committed, but it ends at 6/,
  ],
  ['a store that is ahead of the log', { appliedIndex: LogIndex(10) }, /store has entry 10, but the log ends at 9/],
  [
    'a store that is behind the log',
    { appliedIndex: LogIndex(4) },
    /ends at entry 4, and the log begins only behind entry 5/,
  ],
  ['a missing store', { appliedIndex: undefined }, /the store is missing or unreadable/],
]
for (const [title, change, words] of refusals) {
  test(`${title} is refused in words`, () => {
    const decision = recover({ ...FOUND, ...change })
    assert.ok(decision.kind === 'refuse')
    assert.match(decision.reason, words)
  })
}
