import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogIndex, Term } from '../../lib/ids.ts'
import { recover, type Found, type FoundStore, type Recovery } from './recovery.ts'

const POINTS = [0, 1, 5, 9].map(LogIndex)
const STORES: readonly FoundStore[] = [
  { kind: 'missing' },
  { kind: 'unreadable', problem: 'it is empty' },
  { kind: 'damaged', problem: 'file 3, block 7' },
  ...POINTS.flatMap((appliedIndex) =>
    [true, false].map((isOfLog): FoundStore => ({ kind: 'there', appliedIndex, isOfLog })),
  ),
]
const SNAPSHOT_SETS = Array.from({ length: 1 << POINTS.length }, (_, set) => POINTS.filter((_, i) => set & (1 << i)))

/** Every order of base, last, commit and applied index and of the terms, every kind of store, every set of snapshots. */
function* allFound(): Generator<Found> {
  for (const baseIndex of POINTS)
    for (const lastIndex of POINTS.filter((index) => index >= baseIndex))
      for (const lastTerm of [2, 3, 4].map(Term))
        for (const commitIndex of POINTS)
          for (const store of STORES)
            for (const snapshots of SNAPSHOT_SETS)
              yield { log: { baseIndex, lastIndex, lastTerm, commitIndex, term: Term(3) }, store, snapshots }
}

/** One row of the oracle: the first that applies decides. */
interface Row {
  readonly when: (found: Found) => boolean
  readonly decision: Recovery['kind']
  readonly words?: RegExp
}

const covers = ({ log, store }: Found): boolean => store.kind === 'there' && store.appliedIndex >= log.baseIndex

/** Written from the rules of docs/recovery.md, not from the code. */
const ORACLE: readonly Row[] = [
  {
    when: ({ log }) => log.commitIndex > log.lastIndex,
    decision: 'refuse',
    words: /^the log says that the entries up to \d are committed, but it ends at \d: promised entries are gone;/,
  },
  {
    when: ({ log }) => log.lastTerm > log.term && log.lastIndex !== log.baseIndex,
    decision: 'refuse',
    words: /^the log has entry \d of term 4, but knows of no term after 3: what it promised since is gone;/,
  },
  {
    when: (found) => !covers(found) && found.snapshots.some((at) => at === found.log.baseIndex),
    decision: 'install-snapshot',
  },
  { when: ({ store }) => store.kind === 'damaged', decision: 'run-without-store' },
  {
    when: ({ store }) => store.kind === 'missing',
    decision: 'refuse',
    words: /^the store is missing, and the log begins only behind entry \d: what is before it is not on this disk;/,
  },
  {
    when: ({ store }) => store.kind === 'unreadable',
    decision: 'refuse',
    words: /^the store cannot be read \(it is empty\), and the log begins only behind entry \d/,
  },
  {
    when: (found) => !covers(found),
    decision: 'refuse',
    words: /^the store ends at entry \d, and the log begins only behind entry \d/,
  },
  {
    when: ({ log, store }) => store.kind === 'there' && store.appliedIndex > log.lastIndex,
    decision: 'refuse',
    words: /^the store has entry \d, but the log ends at \d: promised entries are gone;/,
  },
  {
    when: ({ store }) => store.kind === 'there' && !store.isOfLog,
    decision: 'refuse',
    words: /^the store has another entry \d than the log: they are of different times or members/,
  },
  { when: () => true, decision: 'run' },
]

test('every combination of what may be on the disk has its decision, and its words', (t) => {
  const counts = ORACLE.map(() => 0)
  for (const found of allFound()) {
    const decision = recover(found)
    const which = ORACLE.findIndex(({ when }) => when(found))
    const row = ORACLE[which]
    assert.equal(decision.kind, row?.decision, JSON.stringify(found))
    counts[which] = (counts[which] ?? 0) + 1
    switch (decision.kind) {
      case 'run': {
        const { log, store } = found
        // What raft/log.ts asserts of its start: base <= applied <= committed <= last.
        assert.ok(store.kind === 'there' && log.baseIndex <= store.appliedIndex)
        assert.ok(decision.commitIndex >= store.appliedIndex && decision.commitIndex <= log.lastIndex)
        assert.ok(decision.commitIndex >= log.commitIndex, 'the commit index never goes back')
        break
      }
      case 'install-snapshot':
        assert.equal(decision.index, found.log.baseIndex)
        break
      case 'run-without-store':
        assert.ok(decision.commitIndex <= found.log.lastIndex && decision.damage.length > 0)
        break
      case 'refuse':
        assert.match(decision.reason, row?.words ?? /never/)
        assert.match(decision.reason, /; remove the member from the cluster and add it again with an empty directory$/)
    }
  }
  t.diagnostic(
    `${counts.reduce((sum, count) => sum + count, 0)} combinations, by row of the table: ${counts.join(' ')}`,
  )
  assert.ok(
    counts.every((count) => count > 50),
    `every row of the table decides something: ${counts.join(' ')}`,
  )
})
