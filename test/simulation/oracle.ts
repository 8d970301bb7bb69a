/**
 * Watches all members from outside, after every step of each, and throws at the first broken invariant. The numbers are
 * those of reliability.md's list, repeated in docs/proof.md.
 */
import { crc32 } from '@node-rs/crc32'
import { LogIndex, NOBODY, Term, type MemberId } from '../../lib/ids.ts'
import type { Store } from '../../node-server/mvcc/store.ts'
import { hashState } from '../../node-server/mvcc/testing/hash-state.ts'
import { lastIndex } from '../../node-server/raft/log.ts'
import { mayAppend, type FlowLimits, type Progress } from '../../node-server/raft/progress.ts'
import { membersOf } from '../../node-server/raft/quorum.ts'
import type { Configuration, Message } from '../../node-server/raft/message.ts'
import type { Raft } from '../../node-server/raft/raft.ts'
import { Checker, isOnMajorities } from '../../node-server/raft/testing/checker.ts'
import type { DurableLog } from './disk.ts'
import type { Coverage } from './coverage.ts'

/** A promise that was broken: the message names it. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

function hasFullPipeline(peers: ReadonlyMap<MemberId, Progress>, limits: FlowLimits): boolean {
  for (const progress of peers.values()) if (progress.state === 'replicate' && !mayAppend(progress, limits)) return true
  return false
}

export function demand(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Violation(invariant)
}

/** What the oracle remembers of one life of one process. */
export interface Seen {
  readonly name: string
  readonly life: string
  committed: number
  ledTerm: number
  term: number
  role: string
  leader: MemberId
  revision: number
  /** No answer is older: what was committed when this life began. */
  oldestAnswer: number
  /** Committed by what it found on its disk. */
  found: number
  compacted: number
  applied: number
  configIndex: number
  base: number
  lastIndex: number
  pendingReads: number
  isPipelineFull: boolean
}

/** Whoever sends one of these must still be in its term after a crash: it votes, acknowledges, or leads. */
const BINDS: ReadonlySet<Message['kind']> = new Set([
  'vote-request',
  'append-request',
  'heartbeat-request',
  'snapshot-request',
  'timeout-now-request',
])

function isBinding(message: Message): boolean {
  if (message.kind === 'vote-response') return message.isGranted
  if (message.kind === 'append-response') return !message.isRejected
  return BINDS.has(message.kind)
}

const GENESIS = { index: LogIndex(1), term: Term(1) }
const HASH_EVERY = 256

export class Oracle {
  readonly checker = new Checker(GENESIS, (entry) => crc32(entry.data))
  readonly #coverage: Coverage
  readonly #checkedEntries = new WeakSet<object>()
  readonly #configurations = new Map<number, Configuration>()
  readonly #hashes = new Map<number, string>()
  /** The highest term that each member has told others, over all of its lives. */
  readonly #toldTerm = new Map<MemberId, number>()
  /** What each member has, or had when it ended, on its disk. */
  readonly #durable = new Map<MemberId, DurableLog>()
  /** That any member has applied. */
  #newestRevision = 1
  /** Of any member. */
  #newestCommitted = 0
  /** What was committed when a follower asked its leader for a ReadIndex, by the question. */
  readonly #asked = new Map<string, number>()

  constructor(coverage: Coverage) {
    this.#coverage = coverage
  }

  get newestRevision(): number {
    return this.#newestRevision
  }

  /** A process has recovered (1: the hard state never goes back). */
  started(raft: Raft, store: Store, durable: DurableLog, name: string, life: string): Seen {
    this.#durable.set(raft.options.id, durable)
    const told = this.#toldTerm.get(raft.options.id) ?? 0
    demand(raft.term >= told, `1: ${name} has told others of term ${told} and came back in term ${raft.term}`)
    return {
      name,
      life,
      committed: raft.log.base.index,
      ledTerm: 0,
      term: raft.term,
      role: raft.role.kind,
      leader: NOBODY,
      revision: store.revision,
      oldestAnswer: this.#newestRevision,
      found: raft.log.committed,
      compacted: store.compactedRevision,
      applied: 0,
      configIndex: 0,
      base: raft.log.base.index,
      lastIndex: lastIndex(raft.log),
      pendingReads: 0,
      isPipelineFull: false,
    }
  }

  /** Clients are let in (5). `isAlone`: without a leader, which only who has served before may do, with what it has. */
  serves({ appliedIndex, revision }: Store, seen: Seen, isAlone: boolean): void {
    demand(appliedIndex >= seen.found, `5: ${seen.life} serves at ${appliedIndex}, but has ${seen.found} on its disk`)
    if (isAlone) seen.oldestAnswer = revision
  }

  /** Told to a client, of the state as it is now. */
  answered(revision: bigint, seen: Seen): void {
    const oldest = seen.oldestAnswer
    demand(
      revision >= oldest,
      `5: ${seen.life} answers at revision ${revision}, but began when ${oldest} was committed`,
    )
  }

  /** After every step of a process. */
  look(raft: Raft, seen: Seen): void {
    if (raft.term !== seen.term) {
      demand(raft.term > seen.term, `1: the term of ${seen.name} went from ${seen.term} back to ${raft.term}`)
      seen.term = raft.term
    }
    const { committed } = raft.log
    if (committed !== seen.committed) {
      demand(committed > seen.committed, `1: ${seen.name} took back its commit index ${seen.committed} to ${committed}`)
      this.checker.committedTo(raft, Math.max(seen.committed, raft.log.base.index))
      if (raft.role.kind === 'leader' && seen.ledTerm === raft.term) this.#leaderCommitted(raft, seen)
      seen.committed = committed
      this.#newestCommitted = Math.max(this.#newestCommitted, committed)
    }
    const { role } = raft
    const { kind } = role
    this.#lookAtLog(raft, seen)
    if (kind !== seen.role) {
      if (seen.role === 'leader' && seen.pendingReads > 0) this.#coverage.note('term change during a ReadIndex round')
      if (seen.role === 'leader' && kind === 'follower' && raft.term === seen.term)
        this.#coverage.note('leader steps down without a quorum')
      seen.role = kind
    }
    seen.pendingReads = role.kind === 'leader' ? role.readCount : 0
    if (role.kind === 'leader') {
      for (const { readBatch } of role.progress.values())
        demand(
          readBatch <= role.lastReadBatch,
          `4: ${seen.name} is answered a round of heartbeats that it has not begun`,
        )
    }
    const isPipelineFull = role.kind === 'leader' && hasFullPipeline(role.progress, raft.options)
    if (isPipelineFull && !seen.isPipelineFull) this.#coverage.note('pipeline to a follower is full')
    seen.isPipelineFull = isPipelineFull
    if (kind === 'leader' && seen.ledTerm !== raft.term) {
      this.checker.leads(raft, seen.life)
      seen.ledTerm = raft.term
    }
    if (raft.configIndex !== seen.configIndex) this.#configured(raft, seen)
  }

  /** 8: what a leader commits is durable on a quorum. */
  #leaderCommitted({ log, configuration, configIndex }: Raft, seen: Seen): void {
    if (configIndex !== seen.configIndex) return // counted by the voters before the change
    const has = (id: MemberId): boolean => (this.#durable.get(id)?.lastIndex ?? 0) >= log.committed
    demand(
      isOnMajorities(configuration, has),
      `8: ${seen.name} committed ${log.committed}, which no quorum has on disk`,
    )
  }

  #lookAtLog({ log }: Raft, seen: Seen): void {
    const last = lastIndex(log)
    if (last < seen.lastIndex) this.#coverage.note('uncommitted entries overwritten')
    if (log.base.index > seen.base && log.base.index <= seen.applied) this.#coverage.note('log compacted')
    seen.lastIndex = last
    seen.base = log.base.index
  }

  /** 2: one voter at a time outside of a joint configuration, so that two quorums in a row overlap. */
  #configured(raft: Raft, seen: Seen): void {
    const { configuration, configIndex } = raft
    demand(configIndex > seen.configIndex, `2: the configuration of ${seen.name} went back to that of ${configIndex}`)
    seen.configIndex = configIndex
    const known = this.#configurations.get(configIndex)
    if (known !== undefined) {
      const isSame = String(membersOf(known)) === String(membersOf(configuration))
      return demand(isSame, `2: two configurations at index ${configIndex}`)
    }
    const before = Math.max(-1, ...[...this.#configurations.keys()].filter((index) => index < configIndex))
    const previous = this.#configurations.get(before)
    this.#configurations.set(configIndex, configuration)
    if (previous === undefined || previous.votersOutgoing.length > 0 || configuration.votersOutgoing.length > 0) return
    const joined = configuration.voters.filter((id) => !previous.voters.includes(id)).length
    const left = previous.voters.filter((id) => !configuration.voters.includes(id)).length
    demand(joined + left <= 1, `2: ${joined} voters joined and ${left} left at once at index ${configIndex}`)
  }

  /** `durable`: what of its log this member would find again after a crash; undefined before it serves. */
  sent(message: Message, durable: DurableLog | undefined, name: string): void {
    const { kind, from, term } = message
    if (kind === 'append-request') {
      let previousTerm = message.prevTerm
      for (const entry of message.entries) {
        if (!this.#checkedEntries.has(entry)) {
          this.checker.follows(entry, previousTerm)
          this.#checkedEntries.add(entry)
        }
        previousTerm = entry.term
      }
    }
    if (kind === 'read-index-request') this.#asked.set(`${from} ${message.requestId}`, this.#newestCommitted)
    if (kind === 'read-index-response') this.#confirmed(message)
    if (kind === 'propose-request') this.#coverage.note('proposal forwarded to the leader')
    const isVote = kind === 'vote-request' || (kind === 'vote-response' && message.isGranted)
    if (isVote) this.checker.sent(message)
    if (durable !== undefined) {
      const candidate = kind === 'vote-request' ? from : message.to
      // In a later term nobody votes in this one again.
      const isVoteDurable = durable.term > term || (durable.term === term && durable.vote === candidate)
      demand(!isVote || isVoteDurable, `8: ${name} sent a ${kind} that a crash could make it forget`)
      // What has been overwritten by then was as good as on disk to the leader of that term: it is deposed.
      if (kind === 'append-response' && !message.isRejected && durable.term <= term)
        demand(message.index <= durable.lastIndex, `8: ${name} acknowledged entry ${message.index} before its fsync`)
    }
    if (!isBinding(message)) return
    if (term > (this.#toldTerm.get(from) ?? 0)) this.#toldTerm.set(from, term)
    if (kind === 'vote-request')
      this.#coverage.note(message.isTransfer ? 'election by transfer' : 'election by time-out')
  }

  /** 4: a read sees what was committed before it was asked for (thesis §6.4). */
  #confirmed({ to, requestId, index }: Extract<Message, { kind: 'read-index-response' }>): void {
    const question = `${to} ${requestId}`
    const committed = this.#asked.get(question) ?? 0
    this.#asked.delete(question)
    demand(
      index >= committed,
      `4: a read at ${index} is confirmed, but ${committed} was committed when it was asked for`,
    )
  }

  /** After every batch that a member applied (3: equal state at equal index; 5: revisions never go back). */
  applied(store: Store, seen: Seen): void {
    const { revision, compactedRevision, appliedIndex } = store
    demand(appliedIndex >= seen.applied, `3: ${seen.name} applied ${seen.applied} and now has ${appliedIndex}`)
    demand(revision >= seen.revision, `5: the revision of ${seen.name} went from ${seen.revision} to ${revision}`)
    demand(compactedRevision >= seen.compacted, `5: the compacted revision of ${seen.name} went back`)
    seen.revision = revision
    this.#newestRevision = Math.max(this.#newestRevision, revision)
    seen.compacted = compactedRevision
    seen.applied = appliedIndex
    this.checker.applied(appliedIndex, revision * 1e6 + compactedRevision + 1)
    if (appliedIndex % HASH_EVERY === 0) this.sameState(store, seen.name)
  }

  /** 3, in full: everything that a read could see. */
  sameState(store: Store, name: string): void {
    const { appliedIndex } = store
    const hash = hashState(store)
    const known = this.#hashes.get(appliedIndex)
    if (known === undefined) this.#hashes.set(appliedIndex, hash)
    else demand(hash === known, `3: the state of ${name} at index ${appliedIndex} is not that of the others`)
  }
}
