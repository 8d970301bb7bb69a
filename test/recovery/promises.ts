/** What a member has told others, and so must know after any crash. */
import { LogIndex, NOBODY, Term, type MemberId } from '../../lib/ids.ts'
import type { Message } from '../../node-server/raft/message.ts'

export interface Promised {
  /** The directory was made: somebody was told that this member exists. */
  isCreated: boolean
  /** The cluster has removed it, and its directory says so. */
  isRemoved: boolean
  /** Highest term of any message it sent. */
  term: Term
  vote: { readonly term: Term; readonly to: MemberId } | undefined
  /** It has all of that term's leader's log up to the index. */
  log: { readonly term: Term; readonly index: LogIndex }
  /** Keys whose put was answered. */
  readonly keys: Set<string>
}

export function nothingPromised(): Promised {
  return {
    isCreated: false,
    isRemoved: false,
    term: Term(0),
    vote: undefined,
    log: { term: Term(0), index: LogIndex(0) },
    keys: new Set(),
  }
}

export function copyPromised(promised: Promised): Promised {
  return { ...promised, keys: new Set(promised.keys) }
}

/** A pre-vote asks about a term that nobody enters by it, and a question to the leader may leave before its term is written down. */
const PROMISES_NOTHING: ReadonlySet<Message['kind']> = new Set([
  'pre-vote-request',
  'pre-vote-response',
  'read-index-request',
])

export function noteMessages(promised: Promised, messages: readonly Message[]): void {
  for (const message of messages) {
    if (PROMISES_NOTHING.has(message.kind)) continue
    if (message.term > promised.term) promised.term = message.term
    if (message.kind === 'vote-request') promised.vote = { term: message.term, to: message.from }
    if (message.kind === 'vote-response' && message.isGranted) promised.vote = { term: message.term, to: message.to }
    if (message.kind !== 'append-response' || message.isRejected) continue
    const { log } = promised
    const isFurther = message.term > log.term || (message.term === log.term && message.index > log.index)
    if (isFurther) promised.log = { term: message.term, index: message.index }
  }
}

/** The vote that it must still have in that term. */
export function promisedVote({ vote }: Promised, term: Term): MemberId {
  return vote?.term === term ? vote.to : NOBODY
}
