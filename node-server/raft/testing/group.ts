/**
 * A few members that talk without delay, for tests of one rule at a time. Turns are carried out whole; messages wait in
 * `mail` until {@link Group.settle} delivers them, and those on a cut way are lost.
 */
import { LogIndex, MemberId, NOBODY, Term } from '../../../lib/ids.ts'
import { EMPTY_CONFIGURATION } from '../membership.ts'
import type { ConfigChange, Configuration, Entry, Message } from '../message.ts'
import {
  appended,
  applied,
  applyConfigChange,
  createRaft,
  hasReady,
  propose,
  ready,
  step,
  tick,
  type Raft,
  type RaftOptions,
  type Ready,
} from '../raft.ts'

export const ELECTION_TICKS = 10

export const one = MemberId(1n)
export const two = MemberId(2n)
export const three = MemberId(3n)
export const four = MemberId(4n)
export const five = MemberId(5n)

export function options(id: MemberId, more: Partial<RaftOptions> = {}): RaftOptions {
  return {
    id,
    electionTicks: ELECTION_TICKS,
    heartbeatTicks: 1,
    maxMessageSizeBytes: 1024,
    maxInflightMessages: 8,
    maxInflightSizeBytes: 8192,
    maxUncommittedSizeBytes: 65536,
    maxCommittedSizeBytesPerReady: 65536,
    random: () => 0,
    ...more,
  }
}

export interface Start {
  readonly term?: number
  readonly vote?: MemberId
  readonly commit?: number
  readonly applied?: number
  /** The term of each entry, from index 1 on. */
  readonly terms?: readonly number[]
  readonly configuration?: Partial<Configuration>
}

export function entry(index: number, term: number, sizeBytes = 1): Entry {
  return { index: LogIndex(index), term: Term(term), kind: 'normal', data: Buffer.alloc(sizeBytes, index) }
}

export function startRaft(id: MemberId, start: Start, more: Partial<RaftOptions> = {}): Raft {
  const terms = start.terms ?? []
  return createRaft(options(id, more), {
    hardState: {
      term: Term(start.term ?? terms.at(-1) ?? 0),
      vote: start.vote ?? NOBODY,
      commit: LogIndex(start.commit ?? 0),
    },
    base: { index: LogIndex(0), term: Term(0) },
    configuration: { ...EMPTY_CONFIGURATION, ...start.configuration },
    configIndex: LogIndex(0),
    entries: terms.map((term, i) => entry(i + 1, term)),
    applied: LogIndex(start.applied ?? 0),
  })
}

export function encodeChange(change: ConfigChange): Buffer {
  return Buffer.from(JSON.stringify(change, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)))
}

function decodeChange(entry: Entry): ConfigChange {
  if (entry.data.length === 0) return { kind: 'leave-joint' }
  return JSON.parse(Buffer.from(entry.data).toString(), (_, value: unknown) =>
    typeof value === 'string' && /^\d+n$/.test(value) ? MemberId(BigInt(value.slice(0, -1))) : value,
  ) as ConfigChange
}

/** The disk and the store do at once what they are given. */
export function carryOut(raft: Raft, work: Ready): void {
  if (work.append !== undefined) appended(raft, work.append)
  for (const entry of work.committed)
    if (entry.kind === 'config') applyConfigChange(raft, entry.index, decodeChange(entry))
  if (work.committed.length > 0) applied(raft, work.committed)
}

/** Carries out what there is to do until nothing is left; returns what would have been sent. */
export function drain(raft: Raft, onReady: (work: Ready) => void = () => {}): Message[] {
  const messages: Message[] = []
  while (hasReady(raft)) {
    const work = ready(raft)
    onReady(work)
    messages.push(...work.messages, ...(work.append?.promises ?? []))
    carryOut(raft, work)
  }
  return messages
}

export class Group {
  readonly members = new Map<MemberId, Raft>()
  /** What was applied, by member. */
  readonly applied = new Map<MemberId, Entry[]>()
  readonly works = new Map<MemberId, Ready[]>()
  readonly #isolated = new Set<MemberId>()
  mail: Message[] = []

  constructor(members: ReadonlyMap<MemberId, Raft>) {
    for (const [id, raft] of members) this.add(id, raft)
  }

  add(id: MemberId, raft: Raft): void {
    this.members.set(id, raft)
    this.applied.set(id, [])
    this.works.set(id, [])
  }

  get(id: MemberId): Raft {
    const raft = this.members.get(id)
    if (raft === undefined) throw new Error(`no member ${id}`)
    return raft
  }

  isolate(...ids: MemberId[]): void {
    for (const id of ids) this.#isolated.add(id)
  }

  rejoin(): void {
    this.#isolated.clear()
  }

  /** Delivers and carries out everything until it is quiet. */
  settle(): void {
    for (let round = 0; round < 1000; round++) {
      for (const [id, raft] of this.members) {
        this.mail.push(
          ...drain(raft, (work) => {
            this.works.get(id)?.push(work)
            this.applied.get(id)?.push(...work.committed)
          }),
        )
      }
      const mail = this.mail
      this.mail = []
      if (mail.length === 0) return
      for (const message of mail) {
        if (this.#isolated.has(message.from) || this.#isolated.has(message.to)) continue
        const to = this.members.get(message.to)
        if (to !== undefined) step(to, message)
      }
    }
    throw new Error('the members do not stop talking')
  }

  tick(id: MemberId, times = 1): void {
    for (let i = 0; i < times; i++) tick(this.get(id))
  }

  tickAll(times: number): void {
    for (let i = 0; i < times; i++) {
      for (const raft of this.members.values()) tick(raft)
      this.settle()
    }
  }

  elect(id: MemberId): Raft {
    this.tick(id, 2 * ELECTION_TICKS)
    this.settle()
    return this.get(id)
  }

  propose(id: MemberId, ...data: string[]): ReturnType<typeof propose> {
    return propose(
      this.get(id),
      data.map((text) => ({ kind: 'normal', data: Buffer.from(text) })),
    )
  }

  change(id: MemberId, change: ConfigChange): ReturnType<typeof propose> {
    return propose(this.get(id), [{ kind: 'config', data: encodeChange(change) }])
  }
}

/** Fresh members: `voters` first, then `learners`. */
export function groupOf(
  voters: readonly MemberId[],
  learners: readonly MemberId[] = [],
  more: Partial<RaftOptions> = {},
): Group {
  const configuration = { voters, learners }
  return new Group(new Map([...voters, ...learners].map((id) => [id, startRaft(id, { configuration }, more)])))
}
