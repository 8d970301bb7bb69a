/**
 * One turn of a member: what the Raft core wants done, in the order that is the safety argument: durable, then promised,
 * then visible (Raft §5: "persistent state is updated on stable storage before responding to RPCs").
 */
import type { Entry, HardState, Message, SnapshotMeta } from '../raft/message.ts'
import { advance, ready, type Raft, type Ready } from '../raft/raft.ts'

/** What a turn needs done outside of the core; each is called in the order of the argument. */
export interface TurnActions {
  send(messages: readonly Message[]): void
  /** Makes the store the one that the snapshot describes, durably. */
  installSnapshot(snapshot: SnapshotMeta): Promise<void>
  /** Resolves once all of it is durable. */
  persist(hardState: HardState | undefined, entries: readonly Entry[], mustSync: boolean): Promise<void>
  apply(entries: readonly Entry[]): Promise<void>
  afterTurn(ready: Ready): void
}

export async function runTurn(raft: Raft, actions: TurnActions): Promise<void> {
  const work = ready(raft)
  actions.send(work.appends) // they promise nothing, so they travel while the disk works
  if (work.snapshot !== undefined) await actions.installSnapshot(work.snapshot)
  if (work.hardState !== undefined || work.entries.length > 0) {
    await actions.persist(work.hardState, work.entries, work.mustSync)
  }
  actions.send(work.promises) // votes and acknowledgements: sent earlier, a crash could forget them
  if (work.committed.length > 0) await actions.apply(work.committed)
  advance(raft, work)
  actions.afterTurn(work)
}
