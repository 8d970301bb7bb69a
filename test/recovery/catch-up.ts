/** How a member gets to the end of the history after a start. */
import assert from 'node:assert/strict'
import { hashState } from '../../node-server/mvcc/testing/hash-state.ts'
import { LAST, REMOVAL, SNAPSHOTS, termAt, type History } from './history.ts'
import { commitTo, entries, sendAppend, sendSnapshot } from './leader.ts'
import type { MemberProcess } from './member-process.ts'

/** A new leader brings it to the end of the history: it has every entry, applied once, in order. */
export async function catchUp(process: MemberProcess, history: History): Promise<void> {
  const { term: termBefore, commitIndex } = process.node.status()
  if (commitIndex >= REMOVAL) return process.until('it learns of its removal', () => process.promised.isRemoved)
  const term = termBefore + 1
  for (let prevIndex: number = LAST, tries = 0; ; tries++) {
    assert.ok(tries < 5, 'the leader finds out what the member has')
    const answer = await sendAppend(process, { prevIndex, entries: entries(prevIndex + 1, LAST), commit: 0, term })
    if (!answer.isRejected) break
    prevIndex = Math.min(prevIndex - 1, answer.hintIndex)
    while (prevIndex > 1 && termAt(prevIndex) > answer.hintTerm) prevIndex -= 1
    if (prevIndex > 0) continue
    await sendSnapshot(process, history, SNAPSHOTS[1], term)
    prevIndex = SNAPSHOTS[1]
  }
  await commitTo(process, LAST, term)
  assert.equal(hashState(process.node.store), history.hashes.get(LAST), 'the state after all entries')
}
