/** What must hold on the disk that a crash leaves, and that the member goes on from there. */
import assert from 'node:assert/strict'
import { NOBODY } from '../../lib/ids.ts'
import { hashState } from '../../node-server/mvcc/testing/hash-state.ts'
import { removedReason } from '../../node-server/node/lifecycle/open.ts'
import { openStore } from '../../node-server/node/maintenance/snapshots.ts'
import { readIdentity } from '../../node-server/storage/data-directory.ts'
import { replay, type WalContents } from '../../node-server/storage/wal-replay.ts'
import { simulatedVolume } from '../simulation/volume.ts'
import { catchUp } from './catch-up.ts'
import { CLUSTER, entryAt, termAt, type History } from './history.ts'
import { bootstrapPlan, DATA, MemberProcess, PATHS, type Machine, type ProcessOptions } from './member-process.ts'
import { foreignEntry } from './foreign.ts'
import { copyPromised, promisedVote, type Promised } from './promises.ts'

export type Found = 'empty' | 'a member' | 'removed'

/** As a process starts (main.ts). The error says why this directory is refused. */
export async function boot(process: MemberProcess): Promise<{ readonly found: Found; readonly refusal?: string }> {
  const identity = await readIdentity(process.volume.disk, DATA)
  if (!identity.ok) return { found: 'a member', refusal: identity.error }
  if (identity.value === undefined) return { found: 'empty' }
  if (identity.value.isRemoved) return { found: 'removed' }
  const run = await process.lifecycle.run(identity.value)
  if (run.ok) return { found: 'a member' }
  return run.error === removedReason(DATA) ? { found: 'removed' } : { found: 'a member', refusal: run.error }
}

/** Fails when the crash took anything that was promised, or the member cannot go on. */
export async function checkAfterCrash(
  machine: Machine,
  promised: Promised,
  history: History,
  options: ProcessOptions,
): Promise<Found> {
  await checkLog(machine, promised)
  await checkStore(machine, history)
  const process = new MemberProcess(machine, copyPromised(promised), { ...options, strike: undefined })
  const { found, refusal } = await boot(process)
  assert.equal(refusal, undefined, 'a mere crash leaves nothing that is refused')
  switch (found) {
    case 'removed':
      return found
    case 'empty':
      assert.ok(!promised.isCreated, 'the member was made')
      assert.ok((await process.lifecycle.start(bootstrapPlan(CLUSTER))).ok)
      break
    case 'a member':
      assert.ok(!promised.isRemoved, 'the member was removed')
  }
  await catchUp(process, history)
  process.disk.kill()
  return found
}

/** The log has all that was promised, and nothing that nobody sent. */
async function checkLog({ disk }: Machine, promised: Promised): Promise<void> {
  const identity = await readIdentity(disk, DATA)
  if (!identity.ok || identity.value === undefined) return
  const contents = await replay(disk, PATHS.wal)
  assert.ok(contents.ok, contents.ok ? '' : contents.error)
  const { hardState, base } = contents.value.state
  // A snapshot was accepted in a term that the hard state does not know yet: nothing was said in that term.
  assert.ok(hardState.term >= promised.term, `term ${hardState.term}, but it said ${promised.term}`)
  const vote = promisedVote(promised, hardState.term)
  if (vote !== NOBODY) assert.equal(hardState.vote, vote, `its vote in term ${hardState.term}`)
  for (const entry of contents.value.entries) {
    const sent = entry.term === termAt(entry.index) ? entryAt(entry.index) : foreignEntry(entry.index)
    assert.deepEqual({ ...entry, data: Buffer.from(entry.data) }, { ...sent, data: Buffer.from(sent.data) })
  }
  const last = contents.value.entries.at(-1) ?? base
  const isThere = last.index >= promised.log.index || last.term > promised.log.term || isReplaced(contents.value)
  assert.ok(isThere, `the log ends at ${last.index}, promised was ${promised.log.index} (term ${promised.log.term})`)
}

/** The history's entries of term 4 have taken the place of the foreign ones of term 3. */
function isReplaced({ entries: found }: WalContents): boolean {
  return found.some(({ index, term }) => index === 26 && term === termAt(index))
}

/** The store is a state that the history had. */
async function checkStore({ disk, states }: Machine, history: History): Promise<void> {
  if ((await disk.list(PATHS.db)).length === 0) return
  const store = await openStore(
    simulatedVolume(disk, disk, states, () => 0n),
    PATHS,
  )
  const { appliedIndex } = store
  if (appliedIndex > 0) assert.equal(hashState(store), history.hashes.get(appliedIndex), `state of ${appliedIndex}`)
}
