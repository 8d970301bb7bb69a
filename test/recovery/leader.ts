/** The leader of these tests: it has the history's log and sends what a script says. */
import { LogIndex, Term, type MemberId } from '../../lib/ids.ts'
import type { Entry, Message } from '../../node-server/raft/message.ts'
import { entryAt, LEADER, termAt, type SNAPSHOTS, type History } from './history.ts'
import { OWN, type MemberProcess } from './member-process.ts'

type AppendResponse = Extract<Message, { kind: 'append-response' }>

export interface Append {
  readonly prevIndex: number
  readonly prevTerm?: Term
  readonly entries: readonly Entry[]
  readonly commit: number
  readonly term?: number
  readonly from?: MemberId
}

/** The term in which the history's leader sends, unless a script says another. */
export const LEADER_TERM = 4

/** Sends one append and gives the member's answer. */
export async function sendAppend(process: MemberProcess, append: Append): Promise<AppendResponse> {
  const { prevIndex, prevTerm = termAt(prevIndex), entries, commit, term = LEADER_TERM, from = LEADER } = append
  const before = process.sent.length
  const answer = (): AppendResponse | undefined =>
    process.sent.slice(before).findLast((message) => message.kind === 'append-response')
  const envelope = { from, to: OWN, term: Term(term) }
  const place = { prevIndex: LogIndex(prevIndex), prevTerm }
  process.handlers.onMessages([{ kind: 'append-request', ...envelope, ...place, entries, commit: LogIndex(commit) }])
  await process.until(`an append behind ${prevIndex}`, () => answer() !== undefined)
  const response = answer()
  if (response === undefined) throw new Error('the answer is there')
  return response
}

export function entries(from: number, to: number): readonly Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entryAt(from + i))
}

/** The history from `from` to `to`, in appends of one to three entries; each commits what is before it. */
export async function feed(process: MemberProcess, from: number, to: number): Promise<void> {
  for (let next = from; next <= to;) {
    const last = Math.min(to, next + (next % 3))
    await sendAppend(process, { prevIndex: next - 1, entries: entries(next, last), commit: next - 1 })
    next = last + 1
  }
  await commitTo(process, to)
}

export async function commitTo(process: MemberProcess, index: number, term = LEADER_TERM): Promise<void> {
  await sendAppend(process, { prevIndex: index, entries: [], commit: index, term })
  await process.until(`entry ${index} is applied`, () => process.node.store.appliedIndex >= index)
}

/** A store as the transport hands it over. */
export async function* inPieces(bytes: Buffer): AsyncIterable<Uint8Array> {
  const half = bytes.length >> 1
  yield* [bytes.subarray(0, half), bytes.subarray(half)]
}

export async function sendSnapshot(
  process: MemberProcess,
  history: History,
  index: (typeof SNAPSHOTS)[number],
  term = LEADER_TERM,
): Promise<void> {
  const snapshot = history.snapshots.get(index)
  if (snapshot === undefined) throw new Error(`there is no snapshot of ${index}`)
  const envelope = { from: LEADER, to: OWN, term: Term(term) }
  const message = { kind: 'snapshot-request', ...envelope, snapshot: snapshot.meta } as const
  await process.handlers.onSnapshot({ message, pieces: inPieces(snapshot.bytes) })
  await process.until(`snapshot ${index}`, () => process.node.store.appliedIndex >= index)
  await commitTo(process, index, term)
}

/** Asks for the member's vote and gives its answer. */
export async function askForVote(process: MemberProcess, from: MemberId, term: number, last: number): Promise<boolean> {
  const before = process.sent.length
  const answer = (): Message | undefined =>
    process.sent.slice(before).find((message) => message.kind === 'vote-response')
  const lastEntry = { lastIndex: LogIndex(last), lastTerm: termAt(last) }
  // A transfer: it is asked although the member hears from a leader.
  const request = { kind: 'vote-request', from, to: OWN, term: Term(term), ...lastEntry, isTransfer: true } as const
  process.handlers.onMessages([request])
  await process.until(`a vote in term ${term}`, () => answer() !== undefined)
  const response = answer()
  return response?.kind === 'vote-response' && response.isGranted
}
