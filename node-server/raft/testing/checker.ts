/**
 * Watches a whole cluster from outside and throws at the first broken promise (Raft figure 3). It sees what no member does:
 * every log, every leader and every commit index there ever was.
 */
import assert from 'node:assert/strict'
import type { LogIndex, MemberId, Term } from '../../../lib/ids.ts'
import { NOBODY } from '../../../lib/ids.ts'
import { entryAt, lastIndex, termAt } from '../log.ts'
import type { Configuration, Entry, HardState, Message } from '../message.ts'
import type { Raft } from '../raft.ts'

interface Committed {
  readonly term: Term
  readonly payload: number
}

export function payloadOf(entry: Entry): number {
  return entry.data.length === 0 ? 0 : Buffer.from(entry.data).readUInt32BE(0)
}

/** Written a second time on purpose: a wrong count in quorum.ts must not judge itself. */
export function isOnMajorities({ voters, votersOutgoing }: Configuration, has: (id: MemberId) => boolean): boolean {
  const isMajority = (ids: readonly MemberId[]): boolean => ids.length === 0 || 2 * ids.filter(has).length > ids.length
  return isMajority(voters) && isMajority(votersOutgoing)
}

export class Checker {
  /** By index; grows by commits that some member knows of. */
  readonly #committed: Committed[] = []
  /** The term in which each of them was first seen to be committed. */
  readonly #committedIn: Term[] = []
  readonly #digests = new Map<number, number>()
  readonly #leaders = new Map<Term, string>()
  readonly #votes = new Map<string, MemberId>()
  readonly #entries = new Map<string, { readonly payload: number; readonly previousTerm: Term }>()
  commits = 0
  elections = 0
  reads = 0
  snapshots = 0
  changes = 0
  transfers = 0
  lostStores = 0
  /** Joint configurations that were left again. */
  joints = 0

  get highestCommit(): number {
    return this.#committed.length - 1
  }

  readonly #payloadOf: (entry: Entry) => number

  /** `genesis` is where the first members' log begins; `payloadOf` tells entries of one place and term apart. */
  constructor(genesis: { index: LogIndex; term: Term }, payload: (entry: Entry) => number = payloadOf) {
    this.#payloadOf = payload
    for (let index = 0; index <= genesis.index; index++) {
      this.#committed.push({ term: genesis.term, payload: 0 })
      this.#committedIn.push(genesis.term)
    }
  }

  /** Log Matching (Raft §5.3): an index and a term name one entry, and by induction everything before it. */
  handedOut(raft: Raft, entries: readonly Entry[]): void {
    for (const entry of entries) {
      // A snapshot that came meanwhile may have taken the log away; then the next member to see the entry checks it.
      const previousTerm = termAt(raft.log, (entry.index - 1) as LogIndex)
      if (previousTerm !== undefined) this.follows(entry, previousTerm)
    }
  }

  /** The same for one entry, somewhere, that follows one of that term. */
  follows(entry: Entry, previousTerm: Term): void {
    const key = `${entry.index}:${entry.term}`
    const known = this.#entries.get(key)
    const seen = { payload: this.#payloadOf(entry), previousTerm }
    if (known === undefined) this.#entries.set(key, seen)
    else assert.deepEqual(seen, known, `log matching is broken at index ${entry.index}, term ${entry.term}`)
  }

  /** State Machine Safety (Raft §5.4.3), checked when a member knows of the commit. */
  committedTo(raft: Raft, from: number): void {
    const { log, role, term } = raft
    // Raft §5.4.2: a leader counts only for entries of its own term.
    if (role.kind === 'leader' && log.committed > from)
      assert.equal(termAt(log, log.committed), term, `a leader of term ${term} committed ${log.committed} by counting`)
    for (let index = from + 1; index <= raft.log.committed; index++) {
      const entry = entryAt(raft.log, index as LogIndex)
      if (entry === undefined) continue
      const seen = { term: entry.term, payload: this.#payloadOf(entry) }
      const known = this.#committed[index]
      if (known === undefined) {
        assert.equal(index, this.#committed.length, 'commits are seen without gaps')
        this.#committed.push(seen)
        this.#committedIn.push(term)
        this.commits += 1
      } else assert.deepEqual(seen, known, `two entries are committed at index ${index}`)
    }
  }

  /** Equal state at equal index, also by way of snapshots and restarts. */
  applied(index: LogIndex, digest: number): void {
    const known = this.#digests.get(index)
    if (known === undefined) this.#digests.set(index, digest)
    else assert.equal(digest, known, `states differ at index ${index}`)
  }

  /** Election Safety (Raft §5.2) and Leader Completeness (§5.4). `incarnation` names one life of one process. */
  leads(raft: Raft, incarnation: string): void {
    const known = this.#leaders.get(raft.term)
    if (known === incarnation) return
    assert.equal(known, undefined, `${known} and ${incarnation} both led term ${raft.term}`)
    this.#leaders.set(raft.term, incarnation)
    this.elections += 1
    for (let index = raft.log.base.index; index <= this.highestCommit; index++) {
      // Who was elected long ago and hears of it only now owes nothing to the terms after his.
      if ((this.#committedIn[index] ?? 0) >= raft.term) continue
      assert.ok(index <= lastIndex(raft.log), `the leader of term ${raft.term} lacks committed entries`)
      assert.equal(termAt(raft.log, index), this.#committed[index]?.term, `leader completeness at ${index}`)
    }
  }

  /** Raft §5.2: one vote a member and term, over all of its lives. Asking for a vote is voting for oneself. */
  sent(message: Message): void {
    const { kind, from, term } = message
    if (kind !== 'vote-request' && !(kind === 'vote-response' && message.isGranted)) return
    const candidate = kind === 'vote-request' ? from : message.to
    const voter = `${from} in term ${term}`
    const known = this.#votes.get(voter)
    assert.ok(known === undefined || known === candidate, `member ${voter} voted for ${known} and for ${candidate}`)
    this.#votes.set(voter, candidate)
  }

  /** Raft figure 2: what was promised on disk is never taken back. */
  persisted(before: HardState, after: HardState): void {
    assert.ok(after.term >= before.term, `the term went back from ${before.term} to ${after.term}`)
    assert.ok(after.commit >= before.commit, `the commit index went back from ${before.commit} to ${after.commit}`)
    const isFreeToVote = after.term > before.term || before.vote === NOBODY
    assert.ok(isFreeToVote || after.vote === before.vote, `two votes in term ${after.term}`)
  }

  /** Thesis §6.4: a read sees everything that was committed, as far as anybody knew, when it began. */
  read(index: LogIndex, highestCommitAtStart: number, member: MemberId): void {
    assert.ok(index >= highestCommitAtStart, `${member} read at ${index}, but ${highestCommitAtStart} was committed`)
    this.reads += 1
  }
}
