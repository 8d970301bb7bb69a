/**
 * One turn of a member: what the Raft core wants done, in the order that is the safety argument: durable, then promised,
 * then visible (Raft §5: "persistent state is updated on stable storage before responding to RPCs").
 */
import type { Entry, HardState, Message, SnapshotMeta } from '../raft/message.ts'
import { advance, ready, type Raft, type Ready } from '../raft/raft.ts'

/** What a turn needs done outside of the core. */
export interface TurnActions {
  send(messages: readonly Message[]): void
  /** Makes the store the one that the snapshot describes, durably. */
  installSnapshot(snapshot: SnapshotMeta): Promise<void>
  /** Resolves once all of it is durable. */
  persist(hardState: HardState | undefined, entries: readonly Entry[], mustSync: boolean): Promise<void>
  apply(entries: readonly Entry[]): Promise<void>
  afterTurn(work: Ready): void
}

export async function runTurn(raft: Raft, actions: TurnActions): Promise<void> {
  const work = ready(raft)
  actions.send(work.appends) // they promise nothing, so they travel while the disk works
  if (work.snapshot !== undefined) await actions.installSnapshot(work.snapshot)
  const persisted = actions.persist(work.hardState, work.entries, work.mustSync)
  const { durable, fresh } = splitCommitted(work)
  // Both at once: what was durable before this turn need not wait for the disk a second time.
  await Promise.all([persisted, actions.apply(durable)])
  actions.send(work.promises) // votes and acknowledgements: sent earlier, a crash could forget them
  await actions.apply(fresh)
  advance(raft, work)
  actions.afterTurn(work)
}

/** Committed entries that earlier turns made durable, and those that only this one does. */
function splitCommitted({ committed, entries }: Ready): { durable: readonly Entry[]; fresh: readonly Entry[] } {
  const firstFresh = entries[0]?.index ?? Infinity
  const split = committed.findIndex((entry) => entry.index >= firstFresh)
  if (split === -1) return { durable: committed, fresh: [] }
  return { durable: committed.slice(0, split), fresh: committed.slice(split) }
}
